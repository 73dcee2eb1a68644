//! Panics as values.

use crate::Panicked;
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// What `work` returns, or its panic.
///
/// Unwind safety is the caller's: what `work` had borrowed is either dropped
/// afterwards or whole at every step.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(Panicked::new)
}

/// The output of a future, or its panic. The future is dropped
/// before this returns.
pub(crate) async fn caught_async<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}
