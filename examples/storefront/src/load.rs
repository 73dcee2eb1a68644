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

use anyhow::Context;
use hdrhistogram::Histogram;
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
    caller::{Answer, Caller},
    plan::{Arrival, Plan},
    targets::Targets,
};

/// The most requests on their way at once: each is two open files, for both ends are in this
/// process, and some systems allow 256. One more waits here, and as its latency counts from its
/// intended start, that wait is in it.
const MAX_IN_FLIGHT: usize = 100;

/// How long after its intended start a request may be answered; later is a failure.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest latency that is told apart from longer ones. No run takes as long.
const HOUR_US: u64 = 3_600_000_000;

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
    pub failed: u64,
    /// From the intended start to the end of the answer, in microseconds.
    pub admitted_us: Histogram<u64>,
    /// The same for refusals.
    pub refused_us: Histogram<u64>,
    /// From the start of the run to this group's last answer.
    pub window: Duration,
}

/// In microseconds, to three digits.
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_max(HOUR_US, 3).expect("an hour and 3 digits are within its bounds")
}

impl Group {
    pub(crate) fn new(clients: u16) -> Self {
        Self {
            clients,
            sent: 0,
            admitted: 0,
            refused: 0,
            failed: 0,
            admitted_us: latencies(),
            refused_us: latencies(),
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
        Self::of(Group::new(u16::from(plan.greedy_rate > 0.0)), Group::new(plan.polite_clients))
    }

    pub(crate) fn of(greedy: Group, polite: Group) -> Self {
        Self { greedy, polite, late_us: latencies(), errors: Vec::new() }
    }

    fn count(&mut self, sample: Sample) {
        let group = if sample.arrival.client == 0 { &mut self.greedy } else { &mut self.polite };
        group.sent += 1;
        group.window = group.window.max(sample.ended);
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let latency = micros(sample.ended.saturating_sub(sample.arrival.at));
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
                group.failed += 1;
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

/// Sends the plan's load and waits for the last answer.
///
/// The generator has threads and a runtime of its own, so that a busy service does not hold
/// arrivals up. Cancel safe: dropped, it ends the generator.
///
/// # Errors
///
/// When the plan is too large, or the system gives no thread. Failed requests are counted.
pub async fn run(plan: Plan, address: SocketAddr, targets: Targets) -> anyhow::Result<Outcome> {
    let schedule = plan.schedule()?;
    apart("load", move || async move {
        let start = Instant::now();
        let due = arrivals(schedule, start)?;
        Ok(generate(&plan, start, due, address, targets).await)
    })
    .await?
}

/// Runs a future on a thread and a runtime of its own, and returns what it comes to.
///
/// Cancel safe: dropped, it ends the future at its next `await`, and the thread with it.
pub(crate) async fn apart<T, F>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> anyhow::Result<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut done, outcome) = oneshot::channel();
    thread::Builder::new().name(name.into()).spawn(move || {
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = work() => Some(outcome),
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
    targets: Targets,
) -> Outcome {
    let shared = Arc::new((Caller::new(address), targets));
    let mut outcome = Outcome::new(plan);
    let mut on_their_way = JoinSet::new();

    while let Some(arrival) = due.recv().await {
        while let Some(sample) = on_their_way.try_join_next() {
            outcome.count(own(sample));
        }
        if on_their_way.len() >= MAX_IN_FLIGHT {
            if let Some(sample) = on_their_way.join_next().await {
                outcome.count(own(sample));
            }
        }
        let shared = Arc::clone(&shared);
        on_their_way.spawn(async move { send(&shared.0, start, arrival, &shared.1).await });
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

/// Sends one request and says when it left and how it ended.
async fn send(caller: &Caller, start: Instant, arrival: Arrival, targets: &Targets) -> Sample {
    let left = start.elapsed();
    let (name, path) = match arrival.client {
        0 => ("greedy".to_owned(), targets.broad(arrival.choice)),
        number => (format!("polite-{number}"), targets.narrow(arrival.choice)),
    };
    // A request that waited here for too long does not even begin.
    let time_left = (arrival.at + ANSWER_WITHIN).saturating_sub(left);
    let answer = match timeout(time_left, caller.ask(&name, path)).await {
        Ok(answer) => answer,
        Err(_) => Answer::Wrong(format!("{path}: no answer within {ANSWER_WITHIN:?}")),
    };
    Sample { arrival, left, ended: start.elapsed(), answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_of_seconds_is_counted_as_long_as_it_was() {
        let plan = Plan {
            duration: Duration::from_secs(1),
            polite_clients: 1,
            polite_rate: 1.0,
            greedy_rate: 1.0,
            seed: 1,
        };
        let mut outcome = Outcome::new(&plan);
        let arrival = Arrival { at: Duration::from_secs(1), client: 1, choice: 0 };
        let (left, ended) = (Duration::from_secs(3), Duration::from_secs(8));
        outcome.count(Sample { arrival, left, ended, answer: Answer::Admitted });
        let within = |found: u64, micros: u64| found.abs_diff(micros) * 1_000 <= micros;
        assert!(within(outcome.polite.admitted_us.max(), 7_000_000));
        assert!(within(outcome.late_us.max(), 2_000_000));
    }
}
