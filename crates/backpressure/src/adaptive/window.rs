//! What a window of results came to.

/// The results of a window. Only work that succeeded or failed is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// How much succeeded.
    pub(super) samples: u64,
    pub(super) failures: u64,
    /// Of what succeeded, in nanoseconds, at least 1: the mean or a percentile.
    pub(super) latency: f64,
    /// The most that was under way when work ended, itself included.
    pub(super) peak: u32,
}

impl Window {
    /// Whether the limit was what held work back: at some moment at least half of
    /// it was in use. Less than that says nothing about more.
    pub(super) fn binds(&self, limit: f64) -> bool {
        f64::from(self.peak) * 2.0 >= limit.floor()
    }

    /// Whether more than the share `tolerated` failed.
    pub(super) fn fails(&self, tolerated: f64) -> bool {
        let (failures, samples) = (self.failures as f64, self.samples as f64);
        failures > tolerated * (failures + samples)
    }
}
