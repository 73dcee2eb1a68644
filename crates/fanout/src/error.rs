//! Why an item has no result.

use std::{any::Any, convert::Infallible, error, fmt, sync::Arc};

/// The message of a panic.
///
/// The panic itself has been reported by the panic hook, with its place and its
/// backtrace, when it happened.
// A thin pointer: the result of an item is then a pair of registers for many a
// type, which half the cost of a cheap item hangs on.
#[derive(Clone, PartialEq, Eq)]
pub struct Panicked(Arc<Box<str>>);

impl Panicked {
    /// For what [`catch_unwind`](std::panic::catch_unwind) returns.
    #[must_use]
    pub fn new(panic: Box<dyn Any + Send>) -> Self {
        let text = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => (*panic.downcast::<&str>().unwrap_or(Box::new("no message"))).to_owned(),
        };
        Self(Arc::new(text.into()))
    }

    /// What the panic said; "no message" if that was no text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panicked").field(&self.message()).finish()
    }
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the work panicked: {}", self.message())
    }
}

impl error::Error for Panicked {}

/// Why an item has no result. Never more than one item's: the others go on.
///
/// Work that cannot fail is `Failure` without parameters, and then
/// [`Failed`](Self::Failed) never comes.
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
/// use plimsoll_fanout::{Failure, FanOutExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shares = stream::iter([2, 0]).fan_out(1, |n| async move { 100 / n });
/// let shares: Vec<Result<i32, Failure>> = shares.collect().await;
/// assert_eq!(shares[0], Ok(50));
/// let failure = shares[1].as_ref().unwrap_err();
/// assert_eq!(failure.to_string(), "the work panicked: attempt to divide by zero");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure<E = Infallible> {
    /// The work says so; or, in a stream of results, the item was an error when
    /// it came.
    Failed(E),
    /// The work panicked, in the function or in its future.
    Panicked(Panicked),
    /// The work was cut off: its runtime was shut down. One more of these stands
    /// for what the source still had then.
    Cancelled,
}

impl<E> Failure<E> {
    /// The work's own error, if that is what it is.
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Panicked(_) | Self::Cancelled => None,
        }
    }
}

impl<E> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("the work failed"),
            Self::Panicked(panic) => panic.fmt(f),
            Self::Cancelled => f.write_str("the work was cancelled"),
        }
    }
}

impl<E: error::Error + 'static> error::Error for Failure<E> {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            Self::Panicked(_) | Self::Cancelled => None,
        }
    }
}
