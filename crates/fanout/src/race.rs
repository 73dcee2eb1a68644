//! The first of several.

use crate::{Failure, group::Group};
use std::{convert::Infallible, error, fmt, future::poll_fn};

/// None of the futures of a race won: there was none, or each failed.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mirrors: Vec<std::future::Ready<Result<u8, &str>>> = vec![];
/// let error = plimsoll_fanout::first_ok(mirrors).await.unwrap_err();
/// assert!(error.is_empty());
/// assert_eq!(error.to_string(), "there was nothing to try");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoneSucceeded<E = Infallible> {
    failures: Vec<Failure<E>>,
}

impl<E> NoneSucceeded<E> {
    /// Why each failed, in the order in which they were given.
    #[must_use]
    pub fn failures(&self) -> &[Failure<E>] {
        &self.failures
    }

    /// Why each failed, in the order in which they were given.
    #[must_use]
    pub fn into_failures(self) -> Vec<Failure<E>> {
        self.failures
    }

    /// Whether there was none to begin with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.failures.is_empty()
    }
}

impl<E> fmt::Display for NoneSucceeded<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failures.len() {
            0 => f.write_str("there was nothing to try"),
            tried => write!(f, "none of {tried} succeeded"),
        }
    }
}

impl<E: error::Error + 'static> error::Error for NoneSucceeded<E> {
    /// The first one's.
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.failures.first().map(|failure| failure as _)
    }
}

/// The first success, and which it was. The others are dropped before this
/// returns.
///
/// The futures run in this task, together; they need not be `Send` or
/// `'static`. A panic counts as a failure.
///
/// # Errors
///
/// [`NoneSucceeded`], with every failure, when none succeeds or there is none.
///
/// # Cancel safety
///
/// Dropped, it drops all of them.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// use std::time::Duration;
///
/// async fn ask(mirror: u64) -> Result<&'static str, String> {
///     tokio::time::sleep(Duration::from_millis(10 * mirror)).await;
///     if mirror == 1 { Err("moved".to_owned()) } else { Ok("a page") }
/// }
///
/// let (page, from) = plimsoll_fanout::first_ok([ask(3), ask(1), ask(2)]).await.unwrap();
/// assert_eq!((page, from), ("a page", 2)); // the second fastest: the fastest failed
/// # }
/// ```
pub async fn first_ok<I, T, E>(futures: I) -> Result<(T, usize), NoneSucceeded<E>>
where
    I: IntoIterator<Item: Future<Output = Result<T, E>>>,
{
    let mut group = Group::new();
    for future in futures {
        group.add(future); // at the place of its number, since none has ended yet
    }
    let mut failures: Vec<_> = (0..group.len()).map(|_| None).collect();
    while group.len() > 0 {
        let (number, ended) = poll_fn(|cx| group.poll_next(cx)).await;
        failures[number] = Some(match ended {
            Ok(Ok(output)) => return Ok((output, number)),
            Ok(Err(error)) => Failure::Failed(error),
            Err(panic) => Failure::Panicked(panic),
        });
    }
    Err(NoneSucceeded { failures: failures.into_iter().flatten().collect() })
}

/// The first to end, whatever its output, and which it was. The others are
/// dropped before this returns.
///
/// As [`first_ok`], with the end as the success: only one that panics does not
/// win.
///
/// # Errors
///
/// [`NoneSucceeded`] when each panics or there is none.
///
/// # Cancel safety
///
/// Dropped, it drops all of them.
pub async fn race<I>(futures: I) -> Result<(<I::Item as Future>::Output, usize), NoneSucceeded>
where
    I: IntoIterator<Item: Future>,
{
    first_ok(futures.into_iter().map(|future| async move { Ok::<_, Infallible>(future.await) }))
        .await
}
