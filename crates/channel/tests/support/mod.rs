//! What several tests need.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Polls once with a waker that does nothing.
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
