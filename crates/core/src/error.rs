//! The error of `run`, the error of configuration, and what a result means.

use crate::Rejected;
use std::{error, fmt};

/// Why work that asked a gate has no result: it was refused, or it failed.
///
/// # Example
///
/// ```
/// use plimsoll_core::{Error, Reason, Rejected};
/// use std::error::Error as _;
///
/// let refused: Error<std::io::Error> = Rejected::new(Reason::Rate, "per client").into();
/// assert_eq!(refused.to_string(), "not admitted");
/// assert_eq!(refused.source().unwrap().to_string(), "per client: rate limit reached");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error<E> {
    /// The gate refused: the work did not run.
    Rejected(Rejected),
    /// The work ran and failed.
    Inner(E),
}

impl<E> Error<E> {
    /// The refusal, if that is what it is. Refusals further in are seen by
    /// [`AsRejected`](crate::AsRejected).
    pub fn rejected(&self) -> Option<&Rejected> {
        match self {
            Self::Rejected(refusal) => Some(refusal),
            Self::Inner(_) => None,
        }
    }

    /// The work's own error, if it ran.
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(inner) => Some(inner),
        }
    }
}

impl<E> From<Rejected> for Error<E> {
    fn from(refusal: Rejected) -> Self {
        Self::Rejected(refusal)
    }
}

// Each says its own part; the chain of sources says the rest.
impl<E> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rejected(_) => "not admitted",
            Self::Inner(_) => "admitted, and failed",
        })
    }
}

impl<E: error::Error + 'static> error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Rejected(refusal) => Some(refusal),
            Self::Inner(inner) => Some(inner),
        }
    }
}

/// A setting that cannot mean anything: what, how much, and what is allowed.
///
/// Builders return it from `build()`, and every constructor that panics on a
/// bad literal has a `try_` twin that returns it.
///
/// # Example
///
/// ```
/// use plimsoll_core::ConfigError;
///
/// let error = ConfigError::new("ratio", 1.5, "0 to 1");
/// assert_eq!(error.to_string(), "ratio must be 0 to 1, but is 1.5");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    value: String,
    allowed: &'static str,
}

impl ConfigError {
    /// `field` was given as `value`; `allowed` completes "must be …".
    pub fn new(field: &'static str, value: impl fmt::Display, allowed: &'static str) -> Self {
        Self { field, value: value.to_string(), allowed }
    }

    /// The setting's name.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What it was given.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What it may be.
    #[must_use]
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }

    /// Panics with this error's message: the end of every constructor that
    /// takes literals.
    ///
    /// Call it from a `#[track_caller]` function, in a `match` rather than in a
    /// closure: then the message points at the line with the bad literal.
    ///
    /// # Panics
    ///
    /// Always.
    #[track_caller]
    #[cold]
    pub fn panic(self) -> ! {
        panic!("{self}")
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}, but is {}", self.field, self.allowed, self.value)
    }
}

impl error::Error for ConfigError {}

/// Ready-made judgements for [`GateExt::run_with`](crate::GateExt::run_with).
pub mod verdict {
    use crate::{AsRejected, Outcome};

    /// A success for `Ok`, ignored for a refusal further in, else a failure.
    ///
    /// For work that passes further gates: without it, a full limit inside a
    /// breaker would count as failures of the dependency and open the breaker.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{Error, GateExt, Outcome, testing::Places, verdict};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (outer, inner) = (Places::new(1), Places::new(0));
    /// let work = inner.run(async { Ok::<(), std::io::Error>(()) });
    /// let refused = outer.run_with(work, verdict::of).await.unwrap_err();
    /// assert_eq!(verdict::of(&Err::<(), _>(refused)), Outcome::Ignored);
    /// # }
    /// ```
    pub fn of<T, E: AsRejected>(result: &Result<T, E>) -> Outcome {
        match result {
            Ok(_) => Outcome::Success,
            Err(error) if error.as_rejected().is_some() => Outcome::Ignored,
            Err(_) => Outcome::Failure,
        }
    }
}
