//! Limits per window of time: exact, and in one word.

mod approximate;
mod counters;
mod exact;
mod log;
#[cfg(all(test, plimsoll_loom))]
mod models;

pub use self::{
    approximate::{ApproximateState, ApproximateWindow},
    exact::SlidingWindow,
};

use plimsoll_core::ConfigError;
use std::time::Duration;

/// The highest limit of either window: what 20 bits count to. It also keeps an
/// exact log at 8 MiB at most.
const MAX_LIMIT: u32 = (1 << 20) - 1;

/// What an admission leaves with its permit: when it was counted, and for how
/// much. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowTicket {
    /// The tick in an exact log, the number of the window in counters.
    at: u64,
    n: u32,
}

impl WindowTicket {
    /// What an admission of weight 0 leaves: nothing to give back.
    const NOTHING: Self = Self { at: 0, n: 0 };
}

fn checked_limit(limit: u32) -> Result<u32, ConfigError> {
    if limit > MAX_LIMIT {
        let allowed = "0 to 1048575 (a token bucket has no such bound)";
        return Err(ConfigError::new("limit", limit, allowed));
    }
    Ok(limit)
}

/// The window in nanoseconds, at least one.
fn checked_window(window: Duration) -> Result<u64, ConfigError> {
    match u64::try_from(window.as_nanos()) {
        Ok(nanos) if nanos > 0 => Ok(nanos),
        _ => Err(ConfigError::new("window", format!("{window:?}"), "1 ns to 584 years")),
    }
}
