//! A scripted day for each algorithm, in manual time, as a table: a change of
//! behaviour is a change of these.
//!
//! Behind the limit stands a service with 40 workers and a queue of its own.
//! Requests come evenly and don't wait for a place. Each line is two seconds, at
//! whose end the limit, the latency and what was in the queue are taken.

use super::{MILLI, SECOND};
use plimsoll_backpressure::AdaptiveLimit;
use plimsoll_core::{Clock, GateExt, ManualClock, Outcome, Permit, Tick};
use std::{cmp::Reverse, collections::BinaryHeap, fmt::Write as _, time::Duration};

/// Twenty seconds of the day.
struct Hour {
    what: &'static str,
    per_second: u32,
    /// What one request takes of a worker.
    takes: Duration,
    /// Every so many requests fail at once.
    fails_every: Option<u64>,
    seconds: u32,
}

const fn hour(what: &'static str, per_second: u32, millis: u64, seconds: u32) -> Hour {
    let takes = Duration::from_millis(millis);
    Hour { what, per_second, takes, fails_every: None, seconds }
}

/// 40 workers that take 20 ms each serve 2,000 a second.
const DAY: [Hour; 7] = [
    hour("quiet", 200, 20, 6),
    hour("morning", 1_500, 20, 12),
    hour("twice too many", 4_000, 20, 16),
    hour("slow dependency", 1_500, 60, 12),
    Hour { fails_every: Some(4), ..hour("a quarter fails", 1_500, 20, 6) },
    hour("recovered", 1_500, 20, 12),
    hour("night", 5, 20, 6),
];

const WORKERS: usize = 40;
/// Seconds a line.
const LINE: u32 = 2;

struct Ending<'a> {
    at: Tick,
    outcome: Outcome,
    took: Duration,
    permit: Permit<&'a AdaptiveLimit<ManualClock>>,
}

fn live(limit: AdaptiveLimit) -> String {
    let clock = ManualClock::new();
    let limit = limit.clock(clock.clone());
    let mut table = String::from(
        "    s  what             arrive  takes  limit  admit  refuse  latency  after 2 s\n",
    );
    // When each worker is free, and what is under way, by when it ends.
    let mut workers: BinaryHeap<Reverse<Tick>> =
        (0..WORKERS).map(|_| Reverse(Tick::ZERO)).collect();
    let mut under_way: Vec<Ending<'_>> = Vec::new();
    let (mut second, mut number) = (0, 0_u64);
    for hour in &DAY {
        for line in 0..hour.seconds / LINE {
            let before = limit.limit();
            let (mut admitted, mut refused) = (0_u32, 0_u32);
            let (mut ended, mut latency) = (0_u32, Duration::ZERO);
            let start = clock.now();
            let arrivals = hour.per_second * LINE;
            for arrival in 0..=arrivals {
                let now = start + SECOND * LINE * arrival / arrivals;
                // What ends before this one comes.
                under_way.sort_by_key(|ending| Reverse(ending.at));
                while under_way.last().is_some_and(|ending| ending.at <= now) {
                    let ending = under_way.pop().unwrap();
                    clock.set(ending.at);
                    ended += 1;
                    latency += ending.took;
                    ending.permit.finish(ending.outcome);
                }
                clock.set(now);
                if arrival == arrivals {
                    break;
                }
                let Ok(permit) = limit.try_admit() else {
                    refused += 1;
                    continue;
                };
                admitted += 1;
                number += 1;
                let fails = hour.fails_every.is_some_and(|every| number % every == 0);
                let Reverse(free) = workers.pop().unwrap();
                let at = if fails { now + MILLI } else { free.max(now) + hour.takes };
                workers.push(Reverse(if fails { free } else { at }));
                let outcome = if fails { Outcome::Failure } else { Outcome::Success };
                under_way.push(Ending { at, outcome, took: at.since(now), permit });
            }
            let latency = latency.checked_div(ended).unwrap_or_default();
            let after = limit.limit();
            let decision = match after.cmp(&before) {
                std::cmp::Ordering::Less => "down",
                std::cmp::Ordering::Equal => "-",
                std::cmp::Ordering::Greater => "up",
            };
            writeln!(
                table,
                "{second:5}  {:15}  {:6}  {:3}ms  {before:5}  {admitted:5}  {refused:6}  {:5}ms  {decision} {after}",
                if line == 0 { hour.what } else { "" },
                hour.per_second * LINE,
                hour.takes.as_millis(),
                latency.as_millis(),
            )
            .unwrap();
            second += LINE;
        }
    }
    table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_day_of_aimd() {
    insta::assert_snapshot!(live(AdaptiveLimit::aimd(MILLI * 30).range(5..=500)));
}

#[test]
fn a_day_of_vegas() {
    insta::assert_snapshot!(live(AdaptiveLimit::vegas().range(5..=500)));
}

#[test]
fn a_day_of_gradient() {
    insta::assert_snapshot!(live(AdaptiveLimit::gradient().range(5..=500)));
}

#[test]
fn a_day_of_probing() {
    insta::assert_snapshot!(live(AdaptiveLimit::probing(SECOND * 20).range(5..=500)));
}
