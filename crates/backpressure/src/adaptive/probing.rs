//! The latency of now against that under almost no load, measured now and then.

use super::window::Window;
use plimsoll_core::Tick;
use std::time::Duration;

/// Measures from time to time, under a limit of almost nothing, what latency is
/// without a queue, and steers by the ratio to that.
///
/// Source: the gradient controller of Envoy's adaptive concurrency filter. What
/// it measures under is a knob of its own and not the floor of the range; the
/// next measurement is always set when one ends, also one that failed.
#[derive(Clone, Debug)]
pub(super) struct Probing {
    every: Duration,
    /// What latency is without a queue, once that is known.
    base: Option<f64>,
    probing: bool,
    due: Tick,
    /// For how many windows the limit has been as low as it may be.
    pinned: u32,
}

/// How many may be under way while it measures, and how many results are enough.
pub(super) const PROBE_LIMIT: u32 = 3;
pub(super) const PROBE_SAMPLES: u32 = 50;

/// How much slower than without load is no sign of a queue.
const TOLERANCE: f64 = 1.25;
/// So long at the floor, and what was measured is not believed any more.
const PINNED: u32 = 5;
/// Up to this share of the interval is added to it, so that not all instances of
/// a service measure at the same time.
const JITTER: f64 = 0.15;

impl Probing {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, base: None, probing: true, due: Tick::ZERO, pinned: 0 }
    }

    pub(super) fn is_probing(&self) -> bool {
        self.probing
    }

    /// `low` is the floor of the range, `draw` a random number from 0 to 1.
    pub(super) fn next(
        &mut self,
        limit: f64,
        window: &Window,
        low: f64,
        now: Tick,
        draw: f64,
    ) -> f64 {
        let base = match self.base {
            Some(base) if !self.probing => base,
            _ => {
                self.base = Some(window.latency);
                self.measured(now, draw);
                return limit;
            }
        };
        let gradient = (TOLERANCE * base / window.latency).clamp(0.5, 2.0);
        let next = gradient * limit + limit.sqrt();
        self.pinned = if next <= low { self.pinned + 1 } else { 0 };
        // A clock that was ahead has said when.
        let too_far = self.due > now + self.every + self.every;
        if now >= self.due || too_far || self.pinned >= PINNED {
            self.probing = true;
            return limit;
        }
        next
    }

    /// The window failed: nothing is learned from it. Without any measurement it
    /// goes on measuring.
    pub(super) fn failed(&mut self, now: Tick, draw: f64) {
        if self.probing && self.base.is_some() {
            self.measured(now, draw);
        }
    }

    fn measured(&mut self, now: Tick, draw: f64) {
        self.probing = false;
        self.pinned = 0;
        self.due = now + self.every + self.every.mul_f64(JITTER * draw);
    }
}
