//! Two futures in one task.

use std::{future::poll_fn, pin::Pin, task::Poll};

/// Polls both until the first is done: its output, and the other's if that is done
/// too, and need not be polled any more.
pub(crate) async fn beside<A: Future, B: Future>(
    mut first: Pin<&mut A>,
    mut other: Pin<&mut B>,
) -> (A::Output, Option<B::Output>) {
    let mut of_other = None;
    let of_first = poll_fn(|cx| {
        if of_other.is_none() {
            if let Poll::Ready(output) = other.as_mut().poll(cx) {
                of_other = Some(output);
            }
        }
        first.as_mut().poll(cx)
    })
    .await;
    (of_first, of_other)
}
