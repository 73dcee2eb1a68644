//! One stream of items, several workers.

mod ours;
mod peers;

use super::both;
use crate::{
    bench::{Bench, Group},
    on::On,
    rounds::Subject,
    row::AtMost,
};
use anyhow::Result;
use std::time::Duration;

/// What a slow item waits.
const SLEEP: Duration = Duration::from_millis(1);
const IDEAL: &str = "ideal: shares known before";

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    bench.run(cheap())?;
    for workers in [1, 4, 8, 16, 64] {
        bench.run(sleeps(workers))?;
    }
    let rounds = if bench.quick() { 2 } else { 15 };
    bench.run(mixed(rounds))?;
    bench.run(three_against_one(On::Paused, 1, 0.0))?;
    if !bench.quick() {
        bench.run(three_against_one(On::MultiThread, 3, 0.01))?;
    }
    Ok(())
}

/// Each of ours against the same target.
fn each(group: Group, ours: [Subject; 2], targets: &[(On, AtMost)]) -> Group {
    ours.into_iter().fold(group, |group, subject| group.ours(subject, targets))
}

/// A function that takes no longer than a hand-over does.
fn cheap() -> Group {
    let target = [(On::MultiThread, AtMost::times(1.35, IDEAL))];
    let group = Group::flows().only_on(&[On::MultiThread]).crowded();
    each(group, ours::cheap("fan-out 50 ns, 2 workers"), &target).peers(peers::cheap())
}

/// Items that only wait, where a timer's grain hides nothing.
fn sleeps(workers: usize) -> Group {
    let least = if workers < 64 { 0.98 } else { 0.97 };
    let target = [(On::Paused, AtMost::times(1.0 / least, IDEAL))];
    let name = format!("fan-out sleeps, 10,000 × 1 ms, {workers} workers");
    let group = Group::flows().only_on(&[On::Paused]).sized(10_000, 1);
    each(group, ours::sleeping(&name, workers, |_| 1), &target)
        .peers(peers::sleeping(workers, |_| 1))
}

/// Workers that took many items while they were cheap must not sit on the slow
/// ones.
fn mixed(rounds: usize) -> Group {
    let times = |n| if n < 100_000 { 0 } else { 10 };
    let target = both(&[AtMost::times(1.15, IDEAL)]);
    let name = "cheap items, then slow ones, 100,000 × 50 ns, 64 × 10 ms, 8 workers";
    let group = Group::flows().sized(100_064, rounds).crowded();
    each(group, ours::sleeping(name, 8, times), &target).peers(peers::sleeping(8, times))
}

/// The claim that three workers do three times as much as one.
fn three_against_one(on: On, rounds: usize, spread: f64) -> Group {
    const ONE: &str = "1 worker";
    let target = [(on, AtMost::fraction(3.0 * (1.0 - spread), ONE))];
    let [one, _] = ours::sleeping(ONE, 1, |_| 1);
    let group = Group::flows().only_on(&[on]).sized(3_000, rounds).crowded();
    each(group, ours::sleeping("3,000 items × 1 ms, 3 workers against 1", 3, |_| 1), &target)
        .peer(one)
        .peers(peers::sleeping(3, |_| 1))
}
