//! How many are queueing, from how much slower than the best it is.

/// Keeps a few in the queue of whatever is behind the limit.
///
/// The best latency seen is what work takes without a queue. What is over that
/// is time in a queue, so `limit × (1 − best ÷ latency)` of those under way are
/// queueing. Few of them, and there is room; many, and there is not.
///
/// Sources: L. Brakmo and L. Peterson, "TCP Vegas: End to End Congestion
/// Avoidance on a Global Internet", 1995; the thresholds of `VegasLimit` in
/// Netflix's concurrency-limits.
#[derive(Clone, Debug)]
pub(super) struct Vegas {
    best: Best,
}

/// In steps of `max(1, ⌊log₁₀ limit⌋)`: below the first the limit grows fast,
/// below the second by a step, above the third it shrinks by one.
const FEW: f64 = 1.0;
const SOME: f64 = 3.0;
const MANY: f64 = 6.0;

impl Vegas {
    pub(super) fn new() -> Self {
        Self { best: Best { older: f64::INFINITY, newer: f64::INFINITY, windows: 0 } }
    }

    pub(super) fn next(&mut self, limit: f64, latency: f64) -> f64 {
        let best = self.best.with(latency);
        let queueing = (limit * (1.0 - best / latency)).ceil();
        let step = limit.log10().floor().max(1.0);
        if queueing <= FEW * step {
            limit + MANY * step
        } else if queueing < SOME * step {
            limit + step
        } else if queueing > MANY * step {
            limit - step
        } else {
            limit
        }
    }
}

/// The lowest latency of the last 30 to 60 windows.
///
/// A best that is kept for ever takes a path that has become longer for a queue,
/// and one that is replaced now and then by whatever comes next takes a queue for
/// the path. This one is forgotten only after the limit has had half a minute of
/// windows to shrink until nobody queued.
#[derive(Clone, Debug)]
struct Best {
    older: f64,
    newer: f64,
    windows: u32,
}

const GENERATION: u32 = 30;

impl Best {
    fn with(&mut self, latency: f64) -> f64 {
        if self.windows == GENERATION {
            *self = Self { older: self.newer, newer: f64::INFINITY, windows: 0 };
        }
        self.windows += 1;
        self.newer = self.newer.min(latency);
        self.newer.min(self.older)
    }
}
