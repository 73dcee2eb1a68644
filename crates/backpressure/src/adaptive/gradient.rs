//! The latency of now against that of the last minutes.

/// Follows the ratio of a long average of the latency to the present one.
///
/// Source: `Gradient2Limit` in Netflix's concurrency-limits. It differs in one
/// point: the room for a queue is added only while there is no sign of one.
/// Added always, it lets the limit creep up for ever under a mild overload.
#[derive(Clone, Debug)]
pub(super) struct Gradient {
    long: f64,
    windows: u32,
}

/// How many windows the long average looks back, and of how many at the start
/// it is the plain mean.
const LONG: f64 = 600.0;
const WARM_UP: u32 = 10;
/// How much slower than the average is no sign of a queue.
const TOLERANCE: f64 = 1.5;
/// How many may queue.
const QUEUE: f64 = 4.0;
/// How much of the way to go in one window.
const SMOOTHING: f64 = 0.2;

impl Gradient {
    pub(super) fn new() -> Self {
        Self { long: 0.0, windows: 0 }
    }

    pub(super) fn next(&mut self, limit: f64, latency: f64) -> f64 {
        self.learn(latency);
        let gradient = (TOLERANCE * self.long / latency).clamp(0.5, 1.0);
        let room = if gradient < 1.0 { 0.0 } else { QUEUE };
        limit * (1.0 - SMOOTHING) + (limit * gradient + room) * SMOOTHING
    }

    fn learn(&mut self, latency: f64) {
        let weight = if self.windows < WARM_UP {
            self.windows += 1;
            1.0 / f64::from(self.windows)
        } else {
            2.0 / (LONG + 1.0)
        };
        self.long += (latency - self.long) * weight;
        // After an overload the average is far too high: come down faster.
        if self.long > 2.0 * latency {
            self.long *= 0.95;
        }
    }
}
