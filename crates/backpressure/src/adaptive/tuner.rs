//! From the results of a window to the next limit: the rules that all
//! algorithms share, and which algorithm it is.

use super::{
    aimd::Aimd,
    gradient::Gradient,
    probing::{PROBE_LIMIT, PROBE_SAMPLES, Probing},
    vegas::Vegas,
    window::Window,
};
use plimsoll_core::Tick;

/// Where a limit goes after a window that was not congested.
#[derive(Clone, Debug)]
pub(super) enum Law {
    Aimd(Aimd),
    Vegas(Vegas),
    Gradient(Gradient),
    Probing(Probing),
}

/// What holds whatever the algorithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) low: u32,
    pub(super) high: u32,
    /// A window of which more than this share failed is congested.
    pub(super) tolerated: f64,
    /// So is one that is slower, in nanoseconds.
    pub(super) healthy: f64,
}

/// After a congested window, whatever the algorithm.
const DOWN: f64 = 0.9;

/// The algorithm, and where it has got to.
#[derive(Debug)]
pub(super) struct Tuner {
    rules: Rules,
    law: Law,
    /// Not rounded, so that a small limit can grow by a tenth at a time.
    limit: f64,
}

impl Tuner {
    pub(super) fn new(rules: Rules, law: Law, start: u32) -> Self {
        Self { rules, law, limit: start.into() }
    }

    /// What may be under way.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
    pub(super) fn limit(&self) -> u32 {
        let limit = self.limit as u32;
        if self.is_probing() { limit.min(PROBE_LIMIT) } else { limit }
    }

    /// Whether the window measures the latency without load.
    pub(super) fn is_probing(&self) -> bool {
        matches!(&self.law, Law::Probing(probing) if probing.is_probing())
    }

    /// How many results end the window before its time.
    pub(super) fn enough(&self) -> u64 {
        if self.is_probing() { PROBE_SAMPLES.into() } else { u64::MAX }
    }

    /// Draws the consequence of a window that ended at `now`; `draw` is a random
    /// number from 0 to 1.
    pub(super) fn learn(&mut self, window: &Window, now: Tick, draw: f64) {
        let (low, high) = (f64::from(self.rules.low), f64::from(self.rules.high));
        let next = if self.is_congested(window) {
            // Nothing else is learned: neither failures nor a latency that is
            // beyond all bounds become what is taken for normal.
            if let Law::Probing(probing) = &mut self.law {
                probing.failed(now, draw);
            }
            self.limit * DOWN
        } else {
            let wanted = match &mut self.law {
                Law::Aimd(law) => law.next(self.limit, window.latency),
                Law::Vegas(law) => law.next(self.limit, window.latency),
                Law::Gradient(law) => law.next(self.limit, window.latency),
                Law::Probing(law) => law.next(self.limit, window, low, now, draw),
            };
            // It grows only where it is what holds work back.
            if wanted > self.limit && !window.binds(self.limit) { self.limit } else { wanted }
        };
        self.limit = next.clamp(low, high);
    }

    fn is_congested(&self, window: &Window) -> bool {
        window.fails(self.rules.tolerated) || window.latency > self.rules.healthy
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests;
