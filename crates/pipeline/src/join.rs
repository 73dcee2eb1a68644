//! Two futures in one task.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

/// Polls both until both are done: neither is kept from going on by the other.
pub(crate) async fn both<A: Future + Unpin, B: Future>(mut a: A, b: B) -> (A::Output, B::Output) {
    let mut b = pin!(b);
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        if first.is_none() {
            if let Poll::Ready(output) = Pin::new(&mut a).poll(cx) {
                first = Some(output);
            }
        }
        if second.is_none() {
            if let Poll::Ready(output) = b.as_mut().poll(cx) {
                second = Some(output);
            }
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (still_first, still_second) => {
                (first, second) = (still_first, still_second);
                Poll::Pending
            }
        }
    })
    .await
}
