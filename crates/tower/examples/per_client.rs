//! An axum server with a limit per client. It serves two clients on the
//! loopback, one of them greedy, and ends.
//!
//! `cargo run -p plimsoll-tower --example per_client --features axum`

use axum::{Router, routing::get};
use http::request::Parts;
use plimsoll_core::{Admit, Gate, GateExt, Outcome, Quota, QuotaState, Reason, Rejected};
use plimsoll_tower::{ClientAddr, HttpGateLayer};
use std::{
    collections::HashMap,
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const DAILY: u64 = 3;
const DAY: Duration = Duration::from_secs(86_400);

/// So many requests a day for each address.
#[derive(Default)]
struct PerClient(Mutex<HashMap<Option<IpAddr>, u64>>);

impl PerClient {
    /// Changes a client's count, or looks at it.
    fn used<R>(&self, client: Option<IpAddr>, f: impl FnOnce(&mut u64) -> R) -> R {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f(clients.entry(client).or_default())
    }
}

impl Gate for PerClient {
    type Ticket = Option<IpAddr>;

    fn leave(&self, client: Self::Ticket, outcome: Outcome) {
        if outcome == Outcome::Unused {
            self.used(client, |used| *used -= 1);
        }
    }
}

impl Admit<Option<IpAddr>> for PerClient {
    fn try_enter(&self, client: &Option<IpAddr>) -> Result<Self::Ticket, Rejected> {
        self.used(*client, |used| {
            if *used == DAILY {
                return Err(Rejected::new(Reason::Rate, "per client").retry_in(DAY));
            }
            *used += 1;
            Ok(*client)
        })
    }
}

impl Quota<Option<IpAddr>> for PerClient {
    fn quota(&self, client: &Option<IpAddr>) -> QuotaState {
        let remaining = DAILY - self.used(*client, |used| *used);
        QuotaState { limit: DAILY, remaining, reset: DAY, window: DAY }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // One proxy of ours stands before this server and says for whom it calls.
    let client = ClientAddr::connect_info().behind_proxies(1);
    let limiter = Arc::new(PerClient::default()).by(move |parts: &Parts| client.of(parts));

    let layer = HttpGateLayer::new(limiter.clone()).quota_named("per client", limiter);
    let app = Router::new().route("/", get(async || "hello")).layer(layer);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = tokio::spawn(async { axum::serve(listener, app).await });

    for _ in 0..5 {
        println!("greedy: {}", ask(address, "203.0.113.7").await?);
    }
    let modest = ask(address, "203.0.113.8").await?;
    println!("modest: {modest}");
    assert!(modest.contains(" 200 "), "another's greed is not its fault");
    let greedy = ask(address, "203.0.113.7").await?;
    assert!(greedy.contains(" 429 ") && greedy.contains("retry-after: 86400"));

    server.abort();
    Ok(())
}

/// Asks as the proxy would, and returns the lines that matter.
async fn ask(server: SocketAddr, client: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET / HTTP/1.0\r\nx-forwarded-for: {client}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let matters = |line: &&str| {
        ["HTTP", "ratelimit:", "retry-after"].iter().any(|start| line.starts_with(start))
    };
    Ok(answer.lines().filter(matters).collect::<Vec<_>>().join(" | "))
}
