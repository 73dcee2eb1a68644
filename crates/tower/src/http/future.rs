//! The way of one request through an [`HttpGateService`](super::HttpGateService).

use super::{Answer, Classify, Extent, layer::HttpGateLayer, quota::Left};
use crate::guarded::Guarded;
use http::{Request, Response, request::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use plimsoll_core::{Gate, Outcome, Permit, Rejected};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// A wait for the gate; it brings the head of the request back.
pub(super) type Entering<H> =
    Pin<Box<dyn Future<Output = (Result<<H as Gate>::Ticket, Rejected>, Parts)> + Send>>;

/// What a request that waits needs when its turn comes.
pub(super) struct Waiting<S, B, H: Gate, A, C, X> {
    pub(super) entering: Entering<H>,
    /// The service that was made ready for this request.
    pub(super) inner: S,
    /// Taken when the wait is over.
    pub(super) body: Option<B>,
    pub(super) layer: HttpGateLayer<H, A, C, X>,
}

pin_project! {
    /// The answer of an [`HttpGateService`](crate::HttpGateService): the
    /// service's, or the gate's own.
    pub struct HttpFuture<S, B, RB, H, A, C, X>
    where
        S: Service<Request<B>>,
        H: Gate,
    {
        #[pin]
        state: State<S, B, RB, H, A, C, X>,
    }
}

pin_project! {
    #[project = StateProj]
    pub(super) enum State<S, B, RB, H, A, C, X>
    where
        S: Service<Request<B>>,
        H: Gate,
    {
        // Boxed, for few wait: inline it would make every future as large.
        Waiting { waiting: Box<Waiting<S, B, H, A, C, X>> },
        Working { #[pin] work: Guarded<S::Future, H>, classify: Option<C>, left: Option<Left> },
        Refused { answer: Option<Response<RB>> },
    }
}

impl<S, B, RB, H, A, C, X> State<S, B, RB, H, A, C, X>
where
    S: Service<Request<B>, Response = Response<RB>>,
    H: Gate + Clone,
    A: Answer<RB>,
    C: Classify + Clone,
{
    /// What follows the gate's decision.
    #[inline]
    pub(super) fn decided(
        layer: &HttpGateLayer<H, A, C, X>,
        inner: &mut S,
        decision: Result<H::Ticket, Rejected>,
        parts: Parts,
        body: B,
    ) -> Self {
        // Before anything that could panic, so that the ticket is not lost.
        let decision = decision.map(|ticket| Permit::new(layer.gate.clone(), ticket));
        let left = layer.quota.as_ref().map(|quota| quota.read(&parts));
        match decision {
            Ok(permit) => {
                let work = inner.call(Request::from_parts(parts, body));
                let work = Guarded::new(work, permit);
                Self::Working { work, classify: Some(layer.classify.clone()), left }
            }
            Err(refusal) => {
                let mut answer = layer.answer.answer(&refusal, &parts);
                if let Some(left) = left {
                    left.write(answer.headers_mut());
                }
                // So that gates further out, and logs, can tell it from a failure.
                answer.extensions_mut().insert(refusal);
                Self::Refused { answer: Some(answer) }
            }
        }
    }
}

impl<S, B, RB, H, A, C, X> HttpFuture<S, B, RB, H, A, C, X>
where
    S: Service<Request<B>>,
    H: Gate,
{
    #[inline]
    pub(super) fn new(state: State<S, B, RB, H, A, C, X>) -> Self {
        Self { state }
    }
}

impl<S, B, RB, H, A, C, X> Future for HttpFuture<S, B, RB, H, A, C, X>
where
    S: Service<Request<B>, Response = Response<RB>>,
    RB: Body,
    H: Gate + Clone,
    A: Answer<RB>,
    C: Classify + Clone,
    X: Extent,
{
    type Output = Result<Response<X::Body<RB, H, C>>, S::Error>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        if let StateProj::Waiting { waiting } = state.as_mut().project() {
            let (decision, parts) = ready!(waiting.entering.as_mut().poll(cx));
            let body = waiting.body.take().expect("the wait ends once");
            let next = State::decided(&waiting.layer, &mut waiting.inner, decision, parts, body);
            state.set(next);
        }
        match state.project() {
            StateProj::Waiting { .. } => unreachable!("the wait is over"),
            StateProj::Refused { answer } => {
                let answer = answer.take().expect("polled after it was ready");
                Poll::Ready(Ok(answer.map(X::bare)))
            }
            StateProj::Working { work, classify, left } => {
                let (result, permit) = ready!(work.poll(cx));
                let (Some(permit), Some(classify)) = (permit, classify.take()) else {
                    unreachable!("polled after it was ready")
                };
                Poll::Ready(match result {
                    Ok(response) => Ok(admitted::<X, _, _, _>(response, permit, classify, *left)),
                    Err(error) => {
                        permit.finish(Outcome::Failure);
                        Err(error)
                    }
                })
            }
        }
    }
}

#[inline]
fn admitted<X: Extent, RB: Body, H: Gate, C: Classify>(
    mut response: Response<RB>,
    permit: Permit<H>,
    classify: C,
    left: Option<Left>,
) -> Response<X::Body<RB, H, C>> {
    if let Some(left) = left {
        left.write(response.headers_mut());
    }
    let head = if response.extensions().get::<Rejected>().is_some() {
        Some(Outcome::Ignored)
    } else {
        classify.head(response.status(), response.headers())
    };
    let (parts, body) = response.into_parts();
    let body = X::admitted(body, permit, head, classify, &parts.headers);
    Response::from_parts(parts, body)
}

impl<S, B, RB, H, A, C, X> fmt::Debug for HttpFuture<S, B, RB, H, A, C, X>
where
    S: Service<Request<B>>,
    H: Gate,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFuture").finish_non_exhaustive()
    }
}
