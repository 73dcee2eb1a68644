//! The error of a call that was given up, and what becomes of nonsense in settings.

use plimsoll_core::{AsRejected, ConfigError, Rejected};
use std::{error, fmt};

/// Why no further attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stop {
    /// The error is one that trying again does not mend, an open breaker
    /// included.
    Permanent,
    /// There were as many attempts as there may be.
    Attempts,
    /// The pause would have ended after the time for all attempts.
    Time,
    /// The pause would have ended after the deadline.
    Deadline,
    /// Whoever refused asks for a longer pause than is allowed.
    Wait,
    /// The budget grants no retry: too much of the load fails already.
    Budget,
    /// The request could not be copied, so there is none to send again. Layers say
    /// this.
    Unrepeatable,
}

impl Stop {
    /// A short name in snake case, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Attempts => "attempts",
            Self::Time => "time",
            Self::Deadline => "deadline",
            Self::Wait => "wait",
            Self::Budget => "budget",
            Self::Unrepeatable => "unrepeatable",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Permanent => "no retry would help",
            Self::Attempts => "there are no more attempts",
            Self::Time => "the time for all attempts is up",
            Self::Deadline => "the deadline leaves no time for another",
            Self::Wait => "it is asked to wait for too long",
            Self::Budget => "the retry budget is spent",
            Self::Unrepeatable => "the request cannot be sent again",
        }
    }
}

/// A call that was given up: its last error, after how many attempts, and why no
/// further one was made.
///
/// The last error is the [source](error::Error::source), so a
/// [`Rejected`] in it is found, and [`into_inner`](Self::into_inner) takes it
/// out where the rest is of no interest.
///
/// # Why not the plain error
///
/// *Connection refused, after one attempt, as the budget is spent* and *after
/// five attempts in eleven seconds* call for different answers, and only
/// `Retry` knows which it was. A log line or a metric is one method away, and
/// so is the plain error.
///
/// # Example
///
/// ```
/// use plimsoll_retry::{Retry, Stop};
/// use std::{io, time::Duration};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let retry = Retry::exponential(Duration::from_millis(100)).attempts(3);
/// # let retry = retry.clock(plimsoll_core::TokioClock);
/// let retry = retry.retry_if(|error: &io::Error| error.kind() != io::ErrorKind::NotFound);
///
/// let error = retry.run(|| async { Err::<(), _>(io::Error::other("down")) }).await.unwrap_err();
/// assert_eq!((error.attempts(), error.why()), (3, Stop::Attempts));
/// assert_eq!(error.to_string(), "gave up after 3 attempts: there are no more attempts");
/// assert_eq!(error.into_inner().to_string(), "down");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RetryError<E> {
    last: E,
    attempts: u32,
    why: Stop,
}

impl<E> RetryError<E> {
    pub(crate) fn new(last: E, attempts: u32, why: Stop) -> Self {
        Self { last, attempts, why }
    }

    /// How many attempts were made, the first included.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why there was no further one.
    #[must_use]
    pub fn why(&self) -> Stop {
        self.why
    }

    /// The error of the last attempt.
    #[must_use]
    pub fn last(&self) -> &E {
        &self.last
    }

    /// The error of the last attempt.
    #[must_use]
    pub fn into_inner(self) -> E {
        self.last
    }
}

// The chain of sources says the rest.
impl<E> fmt::Display for RetryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = if self.attempts == 1 { "attempt" } else { "attempts" };
        write!(f, "gave up after {} {attempts}: {}", self.attempts, self.why.sentence())
    }
}

impl<E: error::Error + 'static> error::Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.last)
    }
}

impl<E: AsRejected> AsRejected for RetryError<E> {
    fn as_rejected(&self) -> Option<Rejected> {
        self.last.as_rejected()
    }
}

/// What a literal call made; its panic is that of whoever wrote the call.
#[track_caller]
pub(crate) fn or_panic<T>(made: Result<T, ConfigError>) -> T {
    match made {
        Ok(made) => made,
        Err(error) => error.panic(),
    }
}
