//! A pool for a collection.

use crate::{Answer, Failure, Fallible, FanOut, Plain, Work};
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::{
    future::poll_fn,
    iter,
    pin::Pin,
    task::{Context, Poll},
};

/// Runs `work` on each input, on `n` workers, and returns the results in the
/// order of the inputs.
///
/// As many results as inputs, whatever panics. The workers are tasks, as those
/// of [`fan_out`](crate::FanOutExt::fan_out) are.
///
/// # Cancel safety
///
/// Dropped, it aborts the workers, and all results are lost.
///
/// # Panics
///
/// When `n` is 0 or over 1,048,576; [`checked_map`] returns the error. When it is first polled
/// outside of a tokio runtime.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let squares = plimsoll_fanout::map(8, 1..=3, |n| async move { n * n }).await;
/// assert_eq!(squares, [Ok(1), Ok(4), Ok(9)]);
/// # }
/// ```
#[track_caller]
pub fn map<I, F, Fut>(
    n: usize,
    inputs: I,
    work: F,
) -> impl Future<Output = Vec<Answer<Fut::Output>>> + Send + use<I, F, Fut>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> Fut + Send + Sync + 'static,
    Fut: Future + Send,
    Fut::Output: Send + 'static,
{
    match checked_map(n, inputs, work) {
        Ok(results) => results,
        Err(error) => error.panic(),
    }
}

/// [`map`](map()), for a number that comes from configuration.
///
/// # Errors
///
/// [`ConfigError`] when `n` is 0 or over 1,048,576.
pub fn checked_map<I, F, Fut>(
    n: usize,
    inputs: I,
    work: F,
) -> Result<impl Future<Output = Vec<Answer<Fut::Output>>> + Send + use<I, F, Fut>, ConfigError>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Send + 'static,
    F: Fn(I::Item) -> Fut + Send + Sync + 'static,
    Fut: Future + Send,
    Fut::Output: Send + 'static,
{
    let mut pool = FanOut::new(Inputs(inputs.into_iter()), n, Plain(work))?;
    Ok(async move {
        let mut results = Vec::new();
        while let Some((place, result)) = next(&mut pool).await {
            put(&mut results, place, result);
        }
        // Each place has its result; a gap would be an item that was lost.
        results.into_iter().map(|result| result.unwrap_or(Err(Failure::Cancelled))).collect()
    })
}

/// Runs `work` on each input, on `n` workers, and returns what all of them
/// returned, in the order of the inputs; or the first failure, and ends the
/// rest.
///
/// "First" is the first to fail, not the first of the inputs; a panic fails like
/// an error. When this returns, nothing runs any more: the others were aborted,
/// and have ended; one that blocks its thread cannot be aborted, and is waited for.
/// Inputs that were not started by then never are.
///
/// # Errors
///
/// The [`Failure`] of the first that failed.
///
/// # Cancel safety
///
/// Dropped, it aborts the workers.
///
/// # Panics
///
/// When `n` is 0 or over 1,048,576; [`checked_try_map`] returns the error. When it is first polled
/// outside of a tokio runtime.
///
/// # Example
///
/// ```
/// use plimsoll_fanout::{Failure, try_map};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let parse = |text: &'static str| async move { text.parse::<u8>().map_err(|_| text) };
/// assert_eq!(try_map(8, ["1", "2"], parse).await, Ok(vec![1, 2]));
/// assert_eq!(try_map(8, ["1", "x"], parse).await, Err(Failure::Failed("x")));
/// # }
/// ```
#[track_caller]
pub fn try_map<I, U, E, F, Fut>(
    n: usize,
    inputs: I,
    work: F,
) -> impl Future<Output = Result<Vec<U>, Failure<E>>> + Send + use<I, U, E, F, Fut>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Send + 'static,
    U: Send + 'static,
    E: Send + 'static,
    F: Fn(I::Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<U, E>> + Send,
{
    match checked_try_map(n, inputs, work) {
        Ok(results) => results,
        Err(error) => error.panic(),
    }
}

/// [`try_map`], for a number that comes from configuration.
///
/// # Errors
///
/// [`ConfigError`] when `n` is 0 or over 1,048,576.
pub fn checked_try_map<I, U, E, F, Fut>(
    n: usize,
    inputs: I,
    work: F,
) -> Result<
    impl Future<Output = Result<Vec<U>, Failure<E>>> + Send + use<I, U, E, F, Fut>,
    ConfigError,
>
where
    I: IntoIterator,
    I::IntoIter: Send + 'static,
    I::Item: Send + 'static,
    U: Send + 'static,
    E: Send + 'static,
    F: Fn(I::Item) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<U, E>> + Send,
{
    let items = Inputs(inputs.into_iter().map(Ok::<_, E>));
    let mut pool = FanOut::new(items, n, Fallible(work))?;
    Ok(async move {
        let mut results = Vec::new();
        while let Some((place, result)) = next(&mut pool).await {
            match result {
                Ok(output) => put(&mut results, place, output),
                Err(failure) => {
                    pool.shut().await;
                    return Err(failure);
                }
            }
        }
        results.into_iter().map(|result| result.ok_or(Failure::Cancelled)).collect()
    })
}

async fn next<S, W>(pool: &mut FanOut<S, W>) -> Option<crate::Placed<W::Output, W::Error>>
where
    S: Stream + Send + 'static,
    S::Item: Send + 'static,
    W: Work<S::Item>,
{
    poll_fn(|cx| pool.poll_placed(cx)).await
}

fn put<R>(results: &mut Vec<Option<R>>, place: u64, result: R) {
    // An index into memory that holds one result for each.
    let Ok(place) = usize::try_from(place) else { return };
    if results.len() <= place {
        results.extend(iter::repeat_with(|| None).take(place + 1 - results.len()));
    }
    results[place] = Some(result);
}

/// An iterator as a stream.
struct Inputs<I>(I);

impl<I> Unpin for Inputs<I> {}

impl<I: Iterator> Stream for Inputs<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
