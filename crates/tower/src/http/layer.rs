//! The layer before HTTP services.

use super::{
    Answer, Classify, ClassifyBy, Extent, GrpcAnswer, GrpcOutcome, HttpOutcome, OnRefusal,
    TextAnswer, UntilBodyEnd, UntilHead,
    future::{HttpFuture, State, Waiting},
    quota::QuotaHeaders,
};
use crate::guarded::at_once;
use http::{HeaderMap, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use plimsoll_core::{Admit, ConfigError, Gate, Outcome, Quota, Rejected};
use std::{
    marker::PhantomData,
    mem,
    sync::Arc,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a gate over [`http::request::Parts`] before an HTTP service; a refusal
/// is an answer.
///
/// The service keeps its error type, so it fits `Router::layer` of axum, which
/// wants none, and `Server::layer` of tonic with [`grpc`](Self::grpc).
///
/// | reason | HTTP | gRPC |
/// |---|---|---|
/// | `Rate` | 429 | `RESOURCE_EXHAUSTED` |
/// | `Deadline` | 504 | `DEADLINE_EXCEEDED` |
/// | all else | 503 | `UNAVAILABLE` |
///
/// The gate sees the head of the request and not its body, which need not be
/// `Sync`. It hears how the work went from the answer's status, or from what
/// [`classify`](Self::classify) says; an error of the service is a `Failure`. A
/// response future dropped before its first poll is `Unused`, dropped later
/// `Ignored`, and one that panics is a `Failure`.
///
/// **What a permit covers:** the work until the head of the answer is there.
/// The body, which may stream for an hour, is not covered, unless you say
/// [`until_body_end`](Self::until_body_end).
///
/// An answer that is a refusal carries the [`Rejected`] in its extensions, for
/// logs. Layers further out see by it that it is no failure.
///
/// # Example
///
/// ```
/// use axum::{Router, body::Body, routing::get};
/// use http::{Request, StatusCode};
/// use plimsoll_core::testing::Places;
/// use plimsoll_tower::HttpGateLayer;
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let app: Router = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(HttpGateLayer::new(Places::new(0)));
/// let answer = app.oneshot(Request::new(Body::empty())).await.unwrap();
/// assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
/// # }
/// ```
#[derive(Debug)]
pub struct HttpGateLayer<H, A = TextAnswer, C = HttpOutcome, X = UntilHead> {
    pub(super) gate: H,
    pub(super) answer: A,
    pub(super) classify: C,
    pub(super) quota: Option<QuotaHeaders>,
    waits: bool,
    extent: PhantomData<fn() -> X>,
}

impl<G: Gate> HttpGateLayer<Arc<G>> {
    /// Puts `gate` behind an `Arc`, which every service made by the layer shares.
    #[must_use]
    pub fn new(gate: G) -> Self {
        Self::of(Arc::new(gate))
    }
}

impl<G: Gate> HttpGateLayer<&'static G> {
    /// Keeps `gate` for the life of the process: no count of references is
    /// touched per request.
    #[must_use]
    pub fn leaked(gate: G) -> Self {
        Self::of(Box::leak(Box::new(gate)))
    }
}

impl<H: Gate + Clone> HttpGateLayer<H> {
    /// Takes a cheap handle that is there already: an `Arc`, a `&'static`, an
    /// [`AnyGate`](plimsoll_core::AnyGate).
    #[must_use]
    pub fn of(handle: H) -> Self {
        Self {
            gate: handle,
            answer: TextAnswer,
            classify: HttpOutcome,
            quota: None,
            waits: false,
            extent: PhantomData,
        }
    }
}

impl<H, A, C, X> HttpGateLayer<H, A, C, X> {
    /// Lets requests wait where the gate lets work wait. By default they are
    /// refused at once.
    ///
    /// A request that is admitted at once costs no allocation. One that must
    /// wait is boxed, keeps the service that was made ready for it, and calls
    /// that one when its turn comes. The gate hears of one decision for each
    /// request.
    #[must_use]
    pub fn wait(self) -> Self {
        Self { waits: true, ..self }
    }

    /// Answers refusals in your own words. By default a line of plain text.
    ///
    /// [`status`](crate::status()) gives the usual status. `Retry-After` is added
    /// where it is known and your answer has none.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, response::IntoResponse};
    /// use plimsoll_core::testing::Places;
    /// use plimsoll_tower::{HttpGateLayer, status};
    ///
    /// let layer = HttpGateLayer::new(Places::new(100)).on_refusal(|refusal, parts| {
    ///     let text = format!("{}: {refusal}", parts.uri.path());
    ///     (status(refusal), text).into_response()
    /// });
    /// let app: Router = Router::new().layer(layer);
    /// ```
    #[must_use]
    pub fn on_refusal<F, B>(self, answer: F) -> HttpGateLayer<H, OnRefusal<F>, C, X>
    where
        F: Fn(&Rejected, &Parts) -> Response<B>,
    {
        self.with(OnRefusal(answer), |classify| classify)
    }

    /// Says what an answer means to the gate, from its status and headers. By
    /// default [`HttpOutcome`].
    ///
    /// # Example
    ///
    /// For a gate before a client: the other side's 429 counts against it.
    ///
    /// ```
    /// use plimsoll_core::{Outcome, testing::Places};
    /// use plimsoll_tower::{HttpGateLayer, HttpOutcome};
    ///
    /// let layer = HttpGateLayer::new(Places::new(100)).classify(|status, _headers| {
    ///     if status == 429 { Outcome::Failure } else { HttpOutcome::of(status) }
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn classify<F>(self, classify: F) -> HttpGateLayer<H, A, ClassifyBy<F>, X>
    where
        F: Fn(StatusCode, &HeaderMap) -> Outcome,
    {
        let Self { gate, answer, classify: _, quota, waits, extent } = self;
        HttpGateLayer { gate, answer, classify: ClassifyBy(classify), quota, waits, extent }
    }

    /// Speaks gRPC: refuses with a gRPC status, and goes by that of the answer.
    ///
    /// Handlers that return an error put their code into the header, where it
    /// is seen. The code of an answer with messages follows them; to have it
    /// seen, add [`until_body_end`](Self::until_body_end).
    #[must_use]
    pub fn grpc(self) -> HttpGateLayer<H, GrpcAnswer, GrpcOutcome, X> {
        self.with(GrpcAnswer, |_| GrpcOutcome)
    }

    /// Keeps the permit until the body of the answer has ended or was dropped.
    /// By default it is given back when the head is there.
    ///
    /// The body becomes a [`GateBody`](crate::GateBody). For concurrency limits
    /// over large or streamed answers, and for gRPC, whose status comes last.
    #[must_use]
    pub fn until_body_end(self) -> HttpGateLayer<H, A, C, UntilBodyEnd> {
        let Self { gate, answer, classify, quota, waits, extent: _ } = self;
        HttpGateLayer { gate, answer, classify, quota, waits, extent: PhantomData }
    }

    /// Tells callers what they have left, in the `RateLimit` and
    /// `RateLimit-Policy` fields of every answer, admitted or refused, under
    /// the policy name `default`. By default nothing is told.
    ///
    /// Give it a handle to the limiter that the caller is meant to keep to, one
    /// of those in the gate. It is read once per request, after the decision.
    /// Layers that nest need [names of their own](Self::quota_named).
    ///
    /// Times are rounded up to whole seconds. `t` says when all of the quota is
    /// back, where the draft asks for some of it: whoever goes by `t` alone comes
    /// too late rather than too early. A refusal says in `Retry-After` when one
    /// more would pass, and by the draft that takes precedence.
    ///
    /// Source: draft-ietf-httpapi-ratelimit-headers-10.
    #[must_use]
    pub fn quota_from(self, quota: impl Quota<Parts> + 'static) -> Self {
        self.quota_named("default", quota)
    }

    /// [`quota_from`](Self::quota_from) under a policy name of your own.
    ///
    /// # Panics
    ///
    /// When the name is not printable ASCII or has a quote or backslash.
    /// [`try_quota_named`](Self::try_quota_named) returns the error.
    #[track_caller]
    #[must_use]
    pub fn quota_named(self, name: &'static str, quota: impl Quota<Parts> + 'static) -> Self {
        match self.try_quota_named(name, quota) {
            Ok(layer) => layer,
            Err(error) => error.panic(),
        }
    }

    /// [`quota_from`](Self::quota_from) under a policy name of your own.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the name is not printable ASCII or has a quote or
    /// backslash.
    pub fn try_quota_named(
        self,
        name: &'static str,
        quota: impl Quota<Parts> + 'static,
    ) -> Result<Self, ConfigError> {
        Ok(Self { quota: Some(QuotaHeaders::new(name, quota)?), ..self })
    }

    fn with<B, D>(self, answer: B, classify: impl FnOnce(C) -> D) -> HttpGateLayer<H, B, D, X> {
        let Self { gate, answer: _, classify: old, quota, waits, extent } = self;
        HttpGateLayer { gate, answer, classify: classify(old), quota, waits, extent }
    }
}

// Derived, it would ask that the marker be `Clone`.
impl<H: Clone, A: Clone, C: Clone, X> Clone for HttpGateLayer<H, A, C, X> {
    fn clone(&self) -> Self {
        Self {
            gate: self.gate.clone(),
            answer: self.answer.clone(),
            classify: self.classify.clone(),
            quota: self.quota.clone(),
            waits: self.waits,
            extent: PhantomData,
        }
    }
}

impl<S, H: Clone, A: Clone, C: Clone, X> Layer<S> for HttpGateLayer<H, A, C, X> {
    type Service = HttpGateService<S, H, A, C, X>;

    fn layer(&self, inner: S) -> Self::Service {
        HttpGateService { inner, layer: self.clone() }
    }
}

/// An HTTP service behind a gate. Made by [`HttpGateLayer`].
#[derive(Debug)]
pub struct HttpGateService<S, H, A = TextAnswer, C = HttpOutcome, X = UntilHead> {
    inner: S,
    layer: HttpGateLayer<H, A, C, X>,
}

impl<S, H, A, C, X> HttpGateService<S, H, A, C, X> {
    /// The service within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, H: Clone, A: Clone, C: Clone, X> Clone for HttpGateService<S, H, A, C, X> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S, B, RB, H, A, C, X> Service<Request<B>> for HttpGateService<S, H, A, C, X>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone,
    RB: Body,
    H: Admit<Parts> + Clone + 'static,
    A: Answer<RB> + Clone,
    C: Classify + Clone,
    X: Extent,
{
    type Response = Response<X::Body<RB, H, C>>;
    type Error = S::Error;
    type Future = HttpFuture<S, B, RB, H, A, C, X>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let gate = &self.layer.gate;
        // Asked without a box first. A wait that begins here is dropped, which
        // leaves no trace, and begins again in its box.
        let decision = if self.layer.waits {
            at_once(gate.enter(&parts))
        } else {
            Some(gate.try_enter(&parts))
        };
        let state = match decision {
            Some(decision) => State::decided(&self.layer, &mut self.inner, decision, parts, body),
            None => {
                // The one that was made ready goes along, an unready clone stays.
                let unready = self.inner.clone();
                let inner = mem::replace(&mut self.inner, unready);
                let gate = gate.clone();
                let entering = Box::pin(async move {
                    let decision = gate.enter(&parts).await;
                    (decision, parts)
                });
                let layer = self.layer.clone();
                let waiting = Waiting { entering, inner, body: Some(body), layer };
                State::Waiting { waiting: Box::new(waiting) }
            }
        };
        HttpFuture::new(state)
    }
}
