//! What a breaker shows: where it stands, what it counted, what changed.

use std::fmt;

/// Where a circuit breaker stands. *Closed* conducts, as in an electric circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Calls pass, and their results are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls pass to find out whether the dependency is back.
    HalfOpen,
    /// It is back: a growing share of the calls passes.
    Recovering,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen,
    /// Calls pass whatever their results, until somebody says otherwise.
    ForcedClosed,
}

impl State {
    /// A short name in snake case, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Recovering => "recovering",
            Self::ForcedOpen => "forced_open",
            Self::ForcedClosed => "forced_closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was counted within the window, since the state last changed.
///
/// While half open it is the account of the probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Counts {
    /// Successes and failures together.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that took too long, failed or not; 0 where no
    /// [`slow_calls`](crate::Builder::slow_calls) are set.
    pub slow: u64,
    /// Failures since the last success, within the window or before it.
    pub consecutive_failures: u64,
}

impl Counts {
    /// Failures of all calls, 0 to 1; 0 where there were no calls.
    #[must_use]
    pub fn failure_ratio(&self) -> f64 {
        ratio(self.failures, self.calls)
    }

    /// Slow calls of all calls, 0 to 1; 0 where there were no calls.
    #[must_use]
    pub fn slow_ratio(&self) -> f64 {
        ratio(self.slow, self.calls)
    }
}

/// A quotient, not a product: correctly rounded, 55 of 100 is what `0.55` is.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A change of state that has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange {
    /// Where it stood.
    pub from: State,
    /// Where it stands. Half open after half open: the probes were given up for
    /// lost, and others go. Closed after closed: it was reset.
    pub to: State,
    /// Grows by one with each change (the end of a recovery excepted), so that
    /// observers called at the same time can tell which came last.
    pub generation: u64,
    /// What was counted in the state that ended: what made it open.
    pub counts: Counts,
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_failures_is_what_its_decimal_says() {
        for percent in 0..=100 {
            let counts = Counts { calls: 100, failures: percent, ..Counts::default() };
            let literal: f64 = format!("{}.{:02}", percent / 100, percent % 100).parse().unwrap();
            assert!(counts.failure_ratio() >= literal, "{percent} of 100");
        }
        assert_eq!(Counts::default().failure_ratio().to_bits(), 0.0_f64.to_bits());
    }
}
