//! Small types that several pattern crates name in public.

use crate::ConfigError;
use std::{error, fmt, time::Duration};

/// How much a request matters: 0 is the first to go, 10 the last.
///
/// # Example
///
/// ```
/// use plimsoll_core::Priority;
///
/// assert!(Priority::LOWEST < Priority::NORMAL && Priority::NORMAL < Priority::HIGHEST);
/// assert_eq!(Priority::new(5), Priority::NORMAL);
/// assert!(Priority::try_new(11).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// 0: shed first.
    pub const LOWEST: Self = Self(0);
    /// 5: what a request has unless it says otherwise.
    pub const NORMAL: Self = Self(5);
    /// 10: shed last.
    pub const HIGHEST: Self = Self(10);

    /// The priority `level`, 0 to 10.
    ///
    /// # Panics
    ///
    /// When `level` is over 10. [`try_new`](Self::try_new) returns the error.
    #[track_caller]
    #[must_use]
    pub fn new(level: u8) -> Self {
        match Self::try_new(level) {
            Ok(priority) => priority,
            Err(error) => error.panic(),
        }
    }

    /// The priority `level`, 0 to 10.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `level` is over 10.
    pub fn try_new(level: u8) -> Result<Self, ConfigError> {
        if level > Self::HIGHEST.0 {
            return Err(ConfigError::new("priority", level, "0 to 10"));
        }
        Ok(Self(level))
    }

    /// 0 to 10.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// Something with a queue or work under way, read by whatever sheds.
///
/// Both figures may be stale by the time they are used, and a reader must not
/// trust that one is below the other.
pub trait Load: Send + Sync {
    /// How much is queued or under way now.
    fn load(&self) -> usize;

    /// How much there may be, `None` where there is no bound.
    fn capacity(&self) -> Option<usize>;
}

/// Something that holds accepted work and can finish it.
///
/// Batchers, pipelines and servers implement it; shutdown calls it.
pub trait Drain: Send + Sync {
    /// Takes nothing new, finishes what was accepted, and returns when that is
    /// done. Idempotent: a second call waits for the same end.
    ///
    /// # Errors
    ///
    /// [`DrainError`] when accepted work was not finished.
    ///
    /// # Cancel safety
    ///
    /// Dropped, the drain goes on or may be resumed by another call; nothing
    /// accepted is lost by it.
    fn drain(&self) -> impl Future<Output = Result<(), DrainError>> + Send;
}

/// Accepted work that a [`Drain`] could not finish.
///
/// # Example
///
/// ```
/// use plimsoll_core::DrainError;
///
/// let error = DrainError::new(3, "the database is gone");
/// assert_eq!(error.to_string(), "3 accepted items were not finished: the database is gone");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainError {
    unfinished: u64,
    why: String,
}

impl DrainError {
    /// `unfinished` items were accepted and not finished, because of `why`.
    pub fn new(unfinished: u64, why: impl Into<String>) -> Self {
        Self { unfinished, why: why.into() }
    }

    /// How many items were accepted and not finished.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.unfinished
    }

    /// The cause, as a fragment.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for DrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepted items were not finished: {}", self.unfinished, self.why)
    }
}

impl error::Error for DrainError {}

/// What a caller may still use: the figures of the RateLimit header fields.
///
/// Source of the terms: IETF draft-ietf-httpapi-ratelimit-headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaState {
    /// How many units may be used at once after a long rest.
    pub limit: u64,
    /// How many units may be used right now.
    pub remaining: u64,
    /// How long until `remaining` is `limit` again if nothing more is used.
    pub reset: Duration,
    /// The time over which `limit` is granted: how long an empty quota takes to
    /// be full.
    pub window: Duration,
}

/// A gate that can say what the caller has left.
pub trait Quota<C: ?Sized = ()>: Send + Sync {
    /// What the caller of whom `cx` is known may still use. Consumes nothing.
    fn quota(&self, cx: &C) -> QuotaState;
}
