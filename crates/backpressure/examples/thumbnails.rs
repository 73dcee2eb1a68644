//! A thumbnail service under three times what it can do:
//! `cargo run --example thumbnails`.
//!
//! Before the work stand two gates. A budget keeps the pictures in memory within
//! 64 MiB, however large each of them is. Behind it a limit finds out by itself
//! how many the renderer can do at once, so that those who are let in are served
//! in time and all others hear so at once. Time is paused: it runs in a moment.

use plimsoll_backpressure::{AdaptiveLimit, ByteBudget};
use plimsoll_core::{Error, GateExt, TokioClock};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

/// Between one request and the next: 1,200 a second.
const GAP: Duration = Duration::from_nanos(1_000_000_000 / 1_200);

struct Picture {
    bytes: u64,
}

/// Eight cores, 20 ms a picture: 400 a second. It queues whatever it is given.
struct Renderer(Semaphore);

impl Renderer {
    async fn render(&self, _: &Picture) -> Result<(), Infallible> {
        let _core = self.0.acquire().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() {
    let renderer = Arc::new(Renderer(Semaphore::new(8)));
    let memory = ByteBudget::new(64 << 20).weighted(|picture: &Picture| picture.bytes);
    let limit = AdaptiveLimit::aimd(Duration::from_millis(50))
        .range(4..=500)
        .start_at(100)
        .clock(TokioClock);
    let gates = Arc::new((memory, limit));

    for second in 0..12 {
        let (start, mut requests) = (Instant::now(), JoinSet::new());
        for number in 0..1_200 {
            let (gates, renderer) = (Arc::clone(&gates), Arc::clone(&renderer));
            requests.spawn(async move {
                let came = Instant::now();
                // One in fifty is huge.
                let picture = Picture { bytes: if number % 50 == 0 { 24 << 20 } else { 1 << 18 } };
                match gates.run_for(&picture, renderer.render(&picture)).await {
                    Ok(()) => Ok(came.elapsed()),
                    Err(Error::Rejected(refusal)) => Err(refusal.gate()),
                    Err(Error::Inner(never)) => match never {},
                }
            });
            tokio::time::sleep_until(start + GAP * (number + 1)).await;
        }
        let mut answers = Vec::new();
        while let Some(answer) = requests.join_next().await {
            answers.extend(answer);
        }
        let served: Vec<_> = answers.iter().flatten().collect();
        let refused_by = |gate| answers.iter().filter(|answer| **answer == Err(gate)).count();
        println!(
            "{second:2} s: {} served, the slowest in {:3} ms; refused: {} for memory, {} by the limit of {}",
            served.len(),
            served.iter().map(|time| time.as_millis()).max().unwrap_or_default(),
            refused_by("byte budget"),
            refused_by("adaptive limit"),
            gates.1.limit(),
        );
    }
}
