//! The latency against a target.

/// Holds the latency near a target.
///
/// Source: D.-M. Chiu and R. Jain, "Analysis of the Increase and Decrease
/// Algorithms for Congestion Avoidance in Computer Networks", 1989, for growing
/// carefully and shrinking by a factor. Both steps are factors here, one a
/// window, so that a limit of 10 and one of 1,000 take as long to adapt.
#[derive(Clone, Debug)]
pub(super) struct Aimd {
    /// In nanoseconds.
    pub(super) target: f64,
}

/// Slower than this many times the target, and the limit shrinks.
const SLOW: f64 = 1.1;
/// Faster, and it grows. Between the two it is left alone, or it would never rest.
const FAST: f64 = 0.8;
const DOWN: f64 = 0.9;
const UP: f64 = 1.1;

impl Aimd {
    pub(super) fn next(&self, limit: f64, latency: f64) -> f64 {
        match latency / self.target {
            ratio if ratio > SLOW => limit * DOWN,
            ratio if ratio < FAST => limit * UP,
            _ => limit,
        }
    }
}
