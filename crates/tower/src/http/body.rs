//! A body that holds a permit until it ends.

use super::classify::Classify;
use bytes::Buf;
use http::{HeaderMap, header::CONTENT_LENGTH};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use plimsoll_core::{Gate, Outcome, Permit};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

pin_project! {
    /// The body of an answer whose permit is given back when the body ends.
    /// Made by [`HttpGateLayer::until_body_end`](crate::HttpGateLayer::until_body_end).
    ///
    /// | the body | the gate hears |
    /// |---|---|
    /// | was sent to its end, or to its stated length | what the head means, or the trailers where the head leaves it open |
    /// | broke off with an error, or panicked | `Failure` |
    /// | was dropped before its end | `Failure` if the head meant that, else `Ignored` |
    pub struct GateBody<B, H: Gate, C> {
        #[pin]
        body: B,
        held: Option<Held<H, C>>,
    }

    impl<B, H: Gate, C> PinnedDrop for GateBody<B, H, C> {
        fn drop(this: Pin<&mut Self>) {
            // By itself, the permit would say `Ignored`.
            if let Some(held) = this.project().held.take_if(|held| held.head == Some(Outcome::Failure)) {
                held.permit.finish(Outcome::Failure);
            }
        }
    }
}

struct Held<H: Gate, C> {
    permit: Permit<H>,
    head: Option<Outcome>,
    classify: C,
    /// How much is still to be sent of a stated length. A server may drop the
    /// body there without asking for its end. `None` where trailers follow.
    left: Option<u64>,
}

impl<H: Gate, C: Classify> Held<H, C> {
    fn end(self, trailers: Option<&HeaderMap>) {
        let outcome = self.head.unwrap_or_else(|| self.classify.trailers(trailers));
        self.permit.finish(outcome);
    }
}

impl<B: Body, H: Gate, C: Classify> GateBody<B, H, C> {
    pub(crate) fn new(
        body: B,
        permit: Permit<H>,
        head: Option<Outcome>,
        classify: C,
        headers: &HeaderMap,
    ) -> Self {
        let left = head.and_then(|_| stated_length(headers).or(body.size_hint().exact()));
        let held = Held { permit, head, classify, left };
        if body.is_end_stream() || left == Some(0) {
            // Nobody polls what is empty.
            held.end(None);
            return Self { body, held: None };
        }
        Self { body, held: Some(held) }
    }
}

fn stated_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl<B, H: Gate, C> GateBody<B, H, C> {
    pub(crate) fn bare(body: B) -> Self {
        Self { body, held: None }
    }

    /// The body within.
    pub fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B: Body, H: Gate, C: Classify> Body for GateBody<B, H, C> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        // On the stack while the body is polled: a panic drops it as it passes.
        let held = this.held.take();
        let polled = this.body.as_mut().poll_frame(cx);
        let Some(mut held) = held else { return polled };
        let Poll::Ready(frame) = polled else {
            *this.held = Some(held);
            return Poll::Pending;
        };
        match &frame {
            None => held.end(None),
            Some(Err(_)) => held.permit.finish(Outcome::Failure),
            Some(Ok(frame)) => {
                let sent = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                held.left = held.left.map(|left| left.saturating_sub(sent));
                match frame.trailers_ref() {
                    Some(trailers) => held.end(Some(trailers)),
                    // A server does not poll again after the last frame.
                    None if this.body.is_end_stream() || held.left == Some(0) => held.end(None),
                    None => *this.held = Some(held),
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: fmt::Debug, H: Gate, C> fmt::Debug for GateBody<B, H, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GateBody").field(&self.body).finish()
    }
}
