//! A client with a breaker for each endpoint, against a local server of which one
//! endpoint goes down and comes back: `cargo run -p plimsoll-breaker --example
//! per_endpoint`.

use plimsoll_breaker::CircuitBreaker;
use plimsoll_core::{Error, GateExt};
use plimsoll_keyed::PerKeyExt;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// What the server is like, and how often it was asked for prices.
#[derive(Default)]
struct Shop {
    prices_down: AtomicBool,
    asked: AtomicU32,
}

async fn serve(listener: TcpListener, shop: Arc<Shop>) -> io::Result<()> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        let mut line = [0; 64];
        let read = socket.read(&mut line).await?;
        let prices = line[..read].starts_with(b"GET /prices");
        shop.asked.fetch_add(u32::from(prices), Ordering::Relaxed);
        let down = prices && shop.prices_down.load(Ordering::Relaxed);
        socket.write_all(if down { b"503" } else { b"200" }).await?;
    }
}

struct Request {
    endpoint: &'static str,
}

/// An answer of 503 is the endpoint's failure, and so is no answer.
async fn send(to: SocketAddr, request: &Request) -> io::Result<()> {
    let mut socket = TcpStream::connect(to).await?;
    socket.write_all(format!("GET {}", request.endpoint).as_bytes()).await?;
    let mut status = [0; 3];
    socket.read_exact(&mut status).await?;
    if status == *b"200" { Ok(()) } else { Err(io::Error::other("503")) }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (server, shop) = (listener.local_addr()?, Arc::<Shop>::default());
    tokio::spawn(serve(listener, Arc::clone(&shop)));

    let breaker = CircuitBreaker::builder()
        .consecutive_failures(3)
        .open_for(Duration::from_millis(200))
        .probes(1)
        .on_change(|change| println!("  prices: {} -> {}", change.from, change.to))
        .build()?
        .keyed(|request: &Request| request.endpoint)
        .max_keys(16);

    for (spell, down) in [("well", false), ("down", true), ("back", false)] {
        println!("{spell}");
        shop.prices_down.store(down, Ordering::Relaxed);
        for endpoint in ["/prices", "/stock"] {
            let (mut ok, mut failed, mut refused) = (0, 0, 0);
            let asked = shop.asked.load(Ordering::Relaxed);
            for _ in 0..20 {
                let request = Request { endpoint };
                match breaker.run_for(&request, send(server, &request)).await {
                    Ok(()) => ok += 1,
                    Err(Error::Inner(_)) => failed += 1,
                    Err(Error::Rejected(_)) => refused += 1,
                }
            }
            println!("  {endpoint}: {ok} ok, {failed} failed, {refused} refused unsent");
            let asked = shop.asked.load(Ordering::Relaxed) - asked;
            assert_eq!(asked, if endpoint == "/prices" { ok + failed } else { 0 });
        }
        sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}
