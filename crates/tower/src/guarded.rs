//! A permit around a future.

use pin_project_lite::pin_project;
use plimsoll_core::{Gate, Permit};
use std::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

pin_project! {
    /// Work and the permit it runs under.
    ///
    /// Dropped before the first poll, the gate hears that the work never
    /// started; dropped later, that it tells nothing; if the work panics, that
    /// it failed.
    pub(crate) struct Guarded<F, H: Gate> {
        // Above the permit: what was under way is gone before its place is free.
        #[pin]
        work: F,
        permit: Option<Permit<H>>,
        polled: bool,
    }

    impl<F, H: Gate> PinnedDrop for Guarded<F, H> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.polled {
                if let Some(permit) = this.permit.take() {
                    permit.cancel();
                }
            }
        }
    }
}

impl<F: Future, H: Gate> Guarded<F, H> {
    #[inline]
    pub(crate) fn new(work: F, permit: Permit<H>) -> Self {
        Self { work, permit: Some(permit), polled: false }
    }

    /// Polls the work; its output comes with the permit, which is there unless
    /// this is polled again after it was ready.
    #[inline]
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<(F::Output, Option<Permit<H>>)> {
        let this = self.project();
        *this.polled = true;
        // On the stack while the work is polled: a panic drops the permit as it
        // passes. A `catch_unwind` further out would drop this future only
        // afterwards, and the gate would not hear of the failure.
        let permit = this.permit.take();
        match this.work.poll(cx) {
            Poll::Ready(output) => Poll::Ready((output, permit)),
            Poll::Pending => {
                *this.permit = permit;
                Poll::Pending
            }
        }
    }
}

/// What a future says at once, if it does. It is dropped either way, so it must
/// be cancel safe.
pub(crate) fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
