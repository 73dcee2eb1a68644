//! Open-loop load: arrivals on a fixed schedule, whatever the service does.
//!
//! A closed loop (send, wait, send again) slows down with the service it measures and so never
//! sees how bad it is. Here the schedule is drawn up beforehand and kept: a request is sent when
//! its time comes, whether or not the ones before it have been answered, and its latency counts
//! from that intended start. A generator that comes late (it shares the machine with the service)
//! counts against the service, never in its favour; how late it came is reported beside it.

use std::{
    io,
    net::SocketAddr,
    panic::resume_unwind,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use axum::body::Body;
use hdrhistogram::Histogram;
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::IgnoredAny;
use tokio::{
    runtime,
    sync::{
        mpsc::{self, UnboundedReceiver},
        oneshot,
    },
    task::{JoinError, JoinSet},
    time::timeout,
};

use crate::{
    http::{CLIENT_ID, SearchAnswer},
    plan::{Arrival, Plan},
};

/// The most requests on their way at once. Beyond it the generator, and not the service, would
/// be what is measured, so one more counts as an error.
const MAX_IN_FLIGHT: usize = 4_096;

/// An answer that takes longer is an error.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What there is to ask for.
#[derive(Clone, Debug)]
pub struct Targets {
    paths: Vec<String>,
}

impl Targets {
    /// Searches for `words`, and one request in ten for a product of `ids`.
    #[must_use]
    pub fn new(words: &[String], ids: &[i64]) -> Self {
        let searches = words.iter().map(|word| format!("/search?q={}", encode(word)));
        let products = ids.iter().map(|id| format!("/products/{id}"));
        let one_in_ten = words.len().div_ceil(9).max(1);
        Self { paths: searches.chain(products.cycle().take(one_in_ten)).collect() }
    }
}

/// Text as one value of a query string.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// What one group of clients met with.
#[derive(Debug)]
pub struct Group {
    /// How many clients it has.
    pub clients: u16,
    /// Requests whose time came.
    pub sent: u64,
    /// Answered with what was asked for.
    pub admitted: u64,
    /// Answered with 429.
    pub refused: u64,
    /// Anything else.
    pub errors: u64,
    /// From the intended start to the end of the answer, in microseconds.
    pub admitted_us: Histogram<u64>,
    /// The same for refusals.
    pub refused_us: Histogram<u64>,
    /// From the start of the run to this group's last answer.
    pub window: Duration,
}

impl Group {
    fn new(clients: u16) -> Self {
        // Three digits, and it grows as needed: no latency is cut off.
        let empty = || Histogram::new(3).expect("3 digits are within 0 to 5");
        Self {
            clients,
            sent: 0,
            admitted: 0,
            refused: 0,
            errors: 0,
            admitted_us: empty(),
            refused_us: empty(),
            window: Duration::ZERO,
        }
    }
}

/// What a run of load showed.
#[derive(Debug)]
pub struct Outcome {
    /// The one client above its rate.
    pub greedy: Group,
    /// All others.
    pub polite: Group,
    /// How much later than intended requests left, in microseconds.
    pub late_us: Histogram<u64>,
    /// The first few errors, in words.
    pub errors: Vec<String>,
}

impl Outcome {
    fn new(plan: &Plan) -> Self {
        Self {
            greedy: Group::new(u16::from(plan.greedy_rate > 0.0)),
            polite: Group::new(plan.polite_clients),
            late_us: Histogram::new(3).expect("3 digits are within 0 to 5"),
            errors: Vec::new(),
        }
    }

    fn count(&mut self, sample: Sample) {
        let group = if sample.arrival.client == 0 { &mut self.greedy } else { &mut self.polite };
        group.sent += 1;
        group.window = group.window.max(sample.ended);
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let latency = micros(sample.ended.saturating_sub(sample.arrival.at));
        // An auto-resizing histogram of 64-bit values takes every value.
        match sample.answer {
            Answer::Admitted => {
                group.admitted += 1;
                group.admitted_us.saturating_record(latency);
            }
            Answer::Refused => {
                group.refused += 1;
                group.refused_us.saturating_record(latency);
            }
            Answer::Wrong(error) => {
                group.errors += 1;
                if self.errors.len() < 5 {
                    self.errors.push(error);
                }
            }
        }
        self.late_us.saturating_record(micros(sample.left.saturating_sub(sample.arrival.at)));
    }
}

struct Sample {
    arrival: Arrival,
    left: Duration,
    ended: Duration,
    answer: Answer,
}

enum Answer {
    Admitted,
    Refused,
    Wrong(String),
}

/// Sends the plan's load and waits for the last answer.
///
/// The generator has threads and a runtime of its own, so that a busy service does not hold
/// arrivals up. Cancel safe: dropped, it ends the generator.
///
/// # Errors
///
/// When the plan is too large, or there is nothing to ask for. Failed requests are counted.
pub async fn run(plan: Plan, address: SocketAddr, targets: Targets) -> anyhow::Result<Outcome> {
    let schedule = plan.schedule()?;
    if targets.paths.is_empty() {
        bail!("there is nothing to ask for");
    }
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let start = Instant::now();
    let due = arrivals(schedule, start)?;
    let (mut done, outcome) = oneshot::channel();
    thread::Builder::new().name("load".into()).spawn(move || {
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = generate(&plan, start, due, address, &targets) => Some(outcome),
                () = done.closed() => None,
            }
        });
        if let Some(outcome) = outcome {
            // Fails only if nobody waits any more.
            let _ = done.send(outcome);
        }
    })?;
    outcome.await.context("the load generator died")
}

/// Hands out each arrival when its time comes, from a thread of its own: a sleeping thread wakes
/// some 50 us late, a timer of the runtime up to a millisecond, which is as much as an answer
/// takes. It ends with the schedule, or at the first arrival that nobody takes.
fn arrivals(schedule: Vec<Arrival>, start: Instant) -> io::Result<UnboundedReceiver<Arrival>> {
    // Bounded all the same, by the length of the schedule.
    let (hand_out, due) = mpsc::unbounded_channel();
    thread::Builder::new().name("arrivals".into()).spawn(move || {
        for arrival in schedule {
            thread::sleep((start + arrival.at).saturating_duration_since(Instant::now()));
            if hand_out.send(arrival).is_err() {
                break;
            }
        }
    })?;
    Ok(due)
}

async fn generate(
    plan: &Plan,
    start: Instant,
    mut due: UnboundedReceiver<Arrival>,
    address: SocketAddr,
    targets: &Targets,
) -> Outcome {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let sender = Arc::new(Sender { client, address, start });
    let mut outcome = Outcome::new(plan);
    let mut on_their_way = JoinSet::new();

    while let Some(arrival) = due.recv().await {
        while let Some(sample) = on_their_way.try_join_next() {
            outcome.count(own(sample));
        }
        if on_their_way.len() >= MAX_IN_FLIGHT {
            let answer = Answer::Wrong(format!("{MAX_IN_FLIGHT} requests were on their way"));
            let now = start.elapsed();
            outcome.count(Sample { arrival, left: now, ended: now, answer });
            continue;
        }
        let path = targets.paths[arrival.choice as usize % targets.paths.len()].clone();
        let sender = Arc::clone(&sender);
        on_their_way.spawn(async move { sender.send(arrival, &path).await });
    }
    while let Some(sample) = on_their_way.join_next().await {
        outcome.count(own(sample));
    }
    outcome
}

/// A task's sample, or its panic: none is ever cancelled while this waits for it.
fn own(joined: Result<Sample, JoinError>) -> Sample {
    joined.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

struct Sender {
    client: Client<HttpConnector, Body>,
    address: SocketAddr,
    start: Instant,
}

impl Sender {
    async fn send(&self, arrival: Arrival, path: &str) -> Sample {
        let left = self.start.elapsed();
        let answer = match timeout(ANSWER_WITHIN, self.ask(arrival.client, path)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Wrong(format!("{path}: {error:#}")),
            Err(_) => Answer::Wrong(format!("{path}: no answer within {ANSWER_WITHIN:?}")),
        };
        let ended = self.start.elapsed();
        Sample { arrival, left, ended, answer }
    }

    async fn ask(&self, client: u16, path: &str) -> anyhow::Result<Answer> {
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.address.to_string())
            .path_and_query(path)
            .build()?;
        let name = if client == 0 { "greedy".to_owned() } else { format!("polite-{client}") };
        let request = Request::get(uri).header(CLIENT_ID, name).body(Body::empty())?;
        let response = self.client.request(request).await?;
        let status = response.status();
        // Read to the end also what is thrown away: a half-read answer costs its connection.
        let body = response.into_body().collect().await?.to_bytes();
        Ok(match status {
            StatusCode::OK if path.starts_with("/search") => {
                // Every word comes from a product, so every search has something to find.
                let found: SearchAnswer<IgnoredAny> = serde_json::from_slice(&body)?;
                if found.count == 0 {
                    Answer::Wrong(format!("{path}: found nothing"))
                } else {
                    Answer::Admitted
                }
            }
            StatusCode::OK => Answer::Admitted,
            StatusCode::TOO_MANY_REQUESTS => Answer::Refused,
            other => Answer::Wrong(format!("{path}: {other}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_word_survives_the_query_string() {
        assert_eq!(encode("serde_json-1.0~"), "serde_json-1.0~");
        assert_eq!(encode("a b&c=d%+ü"), "a%20b%26c%3Dd%25%2B%C3%BC");
    }
}
