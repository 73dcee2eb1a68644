//! What a refusal says.

use crate::Error;
use std::{error, fmt, io, time::Duration};

/// Why a gate refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// More per unit of time than is allowed.
    Rate,
    /// As much at once as is allowed is under way.
    Concurrency,
    /// The service is overloaded and sheds.
    Overload,
    /// A circuit breaker is open.
    Open,
    /// The gate admits nothing more: it is shut down, or set to admit nothing.
    Closed,
    /// The deadline has passed, or cannot be met.
    Deadline,
}

impl Reason {
    const ALL: [Self; 6] =
        [Self::Rate, Self::Concurrency, Self::Overload, Self::Open, Self::Closed, Self::Deadline];

    /// A short name in snake case, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Overload => "overload",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Deadline => "deadline",
        }
    }

    /// Every reason there is at present.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &Self::ALL
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Rate => "rate limit reached",
            Self::Concurrency => "concurrency limit reached",
            Self::Overload => "overloaded",
            Self::Open => "circuit open",
            Self::Closed => "closed",
            Self::Deadline => "deadline cannot be met",
        }
    }
}

/// A refusal: which gate, why, and when to come back.
///
/// Small and `Copy`: refusing is the hot path of a service in trouble.
///
/// # Example
///
/// ```
/// use plimsoll_core::{Reason, Rejected};
/// use std::time::Duration;
///
/// let refusal = Rejected::new(Reason::Rate, "per client").retry_in(Duration::from_millis(20));
/// assert_eq!(refusal.reason(), Reason::Rate);
/// assert_eq!(refusal.to_string(), "per client: rate limit reached, retry after 20ms");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rejected {
    gate: &'static str,
    /// The reason in the low four bits, above it the nanoseconds until a retry
    /// may pass, all ones where that is not known. One word keeps the whole at
    /// three.
    packed: u64,
}

const REASON_BITS: u32 = 4;
const NO_HINT: u64 = u64::MAX >> REASON_BITS;

impl Rejected {
    /// A refusal by `gate` that does not say when to come back.
    #[inline]
    #[must_use]
    pub const fn new(reason: Reason, gate: &'static str) -> Self {
        Self { gate, packed: NO_HINT << REASON_BITS | reason as u64 }
    }

    /// Adds the time after which a retry alone would pass, up to 36 years;
    /// a longer one is as good as unknown and leaves the hint out.
    #[inline]
    #[must_use]
    pub const fn retry_in(self, wait: Duration) -> Self {
        let nanos = wait.as_nanos();
        #[expect(clippy::cast_possible_truncation, reason = "compared before")]
        self.retry_in_nanos(if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 })
    }

    /// [`retry_in`](Self::retry_in), in nanoseconds.
    #[inline]
    #[must_use]
    pub const fn retry_in_nanos(self, nanos: u64) -> Self {
        let hint = if nanos < NO_HINT { nanos } else { NO_HINT };
        let reason = self.packed & ((1 << REASON_BITS) - 1);
        Self { gate: self.gate, packed: hint << REASON_BITS | reason }
    }

    /// The same refusal under another gate's name.
    #[inline]
    #[must_use]
    pub const fn by_gate(self, gate: &'static str) -> Self {
        Self { gate, packed: self.packed }
    }

    /// Why.
    #[inline]
    #[must_use]
    pub fn reason(&self) -> Reason {
        let index = (self.packed & ((1 << REASON_BITS) - 1)) as usize;
        // The index was a `Reason` once, so there is always one.
        Reason::ALL.get(index).copied().unwrap_or(Reason::Closed)
    }

    /// The name of the gate that refused.
    #[inline]
    #[must_use]
    pub const fn gate(&self) -> &'static str {
        self.gate
    }

    /// After how long a retry would pass if nobody else came meanwhile, where
    /// the gate knows. Never too early.
    #[inline]
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.packed >> REASON_BITS {
            NO_HINT => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// The refusal in an error or anywhere in the chain of its sources, also
    /// where an [`io::Error`] wraps it.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{Error, Reason, Rejected};
    ///
    /// let refusal = Rejected::new(Reason::Concurrency, "places");
    /// let boxed: Box<dyn std::error::Error> = Box::new(Error::<std::io::Error>::Rejected(refusal));
    /// assert_eq!(Rejected::find(&*boxed), Some(refusal));
    /// ```
    #[must_use]
    pub fn find(error: &(dyn error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(*found);
            }
            next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                // What an `io::Error` wraps is not its source: the source of that is.
                Some(wrapped) => Some(wrapped),
                None => error.source(),
            };
        }
        None
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.gate, self.reason().sentence())?;
        match self.retry_after() {
            Some(wait) => write!(f, ", retry after {wait:?}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("gate", &self.gate)
            .field("reason", &self.reason())
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl error::Error for Rejected {}

/// An error that may be, or carry, a refusal.
///
/// Whoever retries or judges results asks this, so that a refusal is not taken
/// for a failure of the dependency.
pub trait AsRejected {
    /// The refusal that this error is or carries.
    fn as_rejected(&self) -> Option<Rejected>;
}

impl AsRejected for Rejected {
    fn as_rejected(&self) -> Option<Rejected> {
        Some(*self)
    }
}

impl<E: error::Error + 'static> AsRejected for Error<E> {
    fn as_rejected(&self) -> Option<Rejected> {
        match self {
            Self::Rejected(refusal) => Some(*refusal),
            Self::Inner(inner) => Rejected::find(inner),
        }
    }
}

impl AsRejected for Box<dyn error::Error> {
    fn as_rejected(&self) -> Option<Rejected> {
        Rejected::find(&**self)
    }
}

impl AsRejected for Box<dyn error::Error + Send + Sync> {
    fn as_rejected(&self) -> Option<Rejected> {
        Rejected::find(&**self)
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_three_words_and_so_is_the_result_that_may_hold_it() {
        assert!(size_of::<Rejected>() <= 24);
        assert!(size_of::<Result<u64, Rejected>>() <= 24);
    }

    #[test]
    fn every_reason_and_hint_survives_packing() {
        for reason in Reason::all() {
            let bare = Rejected::new(*reason, "g");
            assert_eq!((bare.reason(), bare.retry_after()), (*reason, None));
            for nanos in [0, 1, 86_400_000_000_000, NO_HINT - 1] {
                let hinted = bare.retry_in_nanos(nanos);
                assert_eq!(hinted.reason(), *reason);
                assert_eq!(hinted.retry_after(), Some(Duration::from_nanos(nanos)));
            }
        }
    }

    #[test]
    fn a_hint_too_long_to_keep_is_left_out_and_not_shortened() {
        let refusal = Rejected::new(Reason::Rate, "g");
        assert_eq!(refusal.retry_in(Duration::MAX).retry_after(), None);
        assert_eq!(refusal.retry_in_nanos(u64::MAX).retry_after(), None);
    }

    #[test]
    fn a_refusal_is_found_through_nested_errors() {
        let refusal = Rejected::new(Reason::Open, "breaker");
        let inner: Error<std::io::Error> = Error::Rejected(refusal);
        let outer: Error<Error<std::io::Error>> = Error::Inner(inner);
        assert_eq!(outer.as_rejected(), Some(refusal));
        let boxed: Box<dyn error::Error + Send + Sync> = Box::new(outer);
        assert_eq!(boxed.as_rejected(), Some(refusal));
    }

    #[test]
    fn a_refusal_is_found_in_an_io_error_that_wraps_it() {
        let refusal = Rejected::new(Reason::Rate, "bucket");
        assert_eq!(Rejected::find(&io::Error::other(refusal)), Some(refusal));
        let inner: Error<io::Error> = Error::Inner(io::Error::other(io::Error::other(refusal)));
        assert_eq!(inner.as_rejected(), Some(refusal));
        assert_eq!(Rejected::find(&io::Error::from(io::ErrorKind::NotFound)), None);
    }

    #[test]
    fn an_error_that_carries_no_refusal_yields_none() {
        let error: Error<std::io::Error> = Error::Inner(std::io::Error::other("down"));
        assert_eq!(error.as_rejected(), None);
    }
}
