//! Adaptive limits, through their public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod days;
mod results;
mod settings;

use plimsoll_backpressure::AdaptiveLimit;
use plimsoll_core::{GateExt, ManualClock, Outcome};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// Fills all places, lets `time` pass, and ends all with `outcome`; for at least
/// a second. Returns the limit.
fn busy(
    limit: &AdaptiveLimit<ManualClock>,
    clock: &ManualClock,
    time: Duration,
    outcome: Outcome,
) -> u32 {
    let rounds = SECOND.as_nanos() / time.as_nanos();
    for _ in 0..=rounds {
        let permits: Vec<_> = std::iter::from_fn(|| limit.try_admit().ok()).collect();
        clock.advance(time);
        permits.into_iter().for_each(|permit| permit.finish(outcome));
    }
    limit.limit()
}
