//! Hedged requests before a service.

use super::{
    copy::{ByClone, CopyBy, CopyRequest},
    http::HttpRequests,
    repeat::{AnyRequest, Repeat},
    rules::{RepeatService, Rules},
    weigh::{Said, Sent},
};
use http::{HeaderMap, HeaderName, Method};
use plimsoll_core::{Clock, DefaultClock};
use plimsoll_retry::{EveryError, Hedge, Judge, ObserveHedge, Unobserved};
use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Sends a request a second time that takes long, as a [`Hedge`] says, and takes
/// the answer that comes first; the other is dropped.
///
/// Put it where the second request goes to another server than the first: before a
/// balancer. And within a [`RetryLayer`](crate::RetryLayer), which then sees one
/// answer.
///
/// Only requests that may be carried out twice and can be copied are hedged, with
/// [`http`](Self::http) those of idempotent methods; all others are sent once. A
/// request is copied before it is sent, where a hedge may follow, and so is each
/// hedge. Hedges are made on a clone of the service, once that is ready; one that is
/// dropped before that is given back to the budget. The answer's future is boxed.
/// Dropped, it drops all calls under way.
///
/// # Panics
///
/// Responses' futures panic outside a tokio runtime with timers, if the first call
/// does not succeed at once.
///
/// # Example
///
/// ```
/// use plimsoll_retry::Hedge;
/// use plimsoll_tower::HedgeLayer;
/// use std::time::Duration;
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = service_fn(async |n: u32| Ok::<_, std::io::Error>(n + 1));
/// let service = HedgeLayer::new(Hedge::after(Duration::from_millis(50))).layer(service);
/// assert_eq!(service.oneshot(1).await.unwrap(), 2);
/// # }
/// ```
#[derive(Clone)]
pub struct HedgeLayer<P = AnyRequest, C = ByClone, J = EveryError, O = Unobserved, K = DefaultClock>
{
    rules: Rules<P, C, J>,
    hedge: Hedge<Said, O, K>,
}

impl<J, O, K> HedgeLayer<AnyRequest, ByClone, J, O, K> {
    /// Hedges any request; `Ok` is a success.
    #[must_use]
    pub fn new(hedge: Hedge<J, O, K>) -> Self {
        Self::of(AnyRequest, hedge)
    }
}

impl<J, O, K> HedgeLayer<HttpRequests, ByClone, J, O, K> {
    /// Hedges HTTP requests that are idempotent, and takes answers for failures as
    /// [`HttpRequests`] says.
    #[must_use]
    pub fn http(hedge: Hedge<J, O, K>) -> Self {
        Self::of(HttpRequests::default(), hedge)
    }
}

impl<C, J, O, K> HedgeLayer<HttpRequests, C, J, O, K> {
    /// As [`RetryLayer::idempotent_if`](crate::RetryLayer::idempotent_if).
    #[must_use]
    pub fn idempotent_if(
        self,
        idempotent: impl Fn(&Method, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { rules: self.rules.idempotent_if(idempotent), ..self }
    }

    /// As [`RetryLayer::attempt_header`](crate::RetryLayer::attempt_header).
    #[must_use]
    pub fn attempt_header(self, header: HeaderName) -> Self {
        Self { rules: self.rules.attempt_header(header), ..self }
    }
}

impl<P, J, O, K> HedgeLayer<P, ByClone, J, O, K> {
    /// Judges requests and answers by `policy`, and errors by the [`Hedge`].
    #[must_use]
    pub fn of(policy: P, hedge: Hedge<J, O, K>) -> Self {
        let (judge, hedge) = hedge.into_parts();
        Self { rules: Rules::of(policy, judge), hedge: hedge.judge(Said) }
    }
}

impl<P, C, J, O, K> HedgeLayer<P, C, J, O, K> {
    /// As [`RetryLayer::copied_by`](crate::RetryLayer::copied_by).
    #[must_use]
    pub fn copied_by<Req, F>(self, copy: F) -> HedgeLayer<P, CopyBy<F>, J, O, K>
    where
        F: Fn(&Req) -> Option<Req>,
    {
        HedgeLayer { rules: self.rules.copied_by(copy), hedge: self.hedge }
    }
}

impl<S, P, C, J, O, K> Layer<S> for HedgeLayer<P, C, J, O, K>
where
    Self: Clone,
{
    type Service = HedgeService<S, P, C, J, O, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RepeatService::new(inner, self)
    }
}

impl<P: fmt::Debug, C, J, O, K> fmt::Debug for HedgeLayer<P, C, J, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeLayer")
            .field("policy", &self.rules.policy)
            .field("hedge", &self.hedge)
            .finish_non_exhaustive()
    }
}

/// A service whose slow requests are sent twice. Made by [`HedgeLayer`].
pub type HedgeService<
    S,
    P = AnyRequest,
    C = ByClone,
    J = EveryError,
    O = Unobserved,
    K = DefaultClock,
> = RepeatService<S, HedgeLayer<P, C, J, O, K>>;

/// The answer of a [`HedgeService`].
pub type HedgeFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<Req, S, P, C, J, O, K> Service<Req> for HedgeService<S, P, C, J, O, K>
where
    Req: Send + 'static,
    S: Service<Req, Response: Send, Error: Send, Future: Send> + Clone + Send + 'static,
    P: Repeat<Req, S::Response> + Send + Sync + 'static,
    C: CopyRequest<Req> + Send + Sync + 'static,
    J: Judge<S::Error> + Send + Sync + 'static,
    O: ObserveHedge + Send + Sync + 'static,
    K: Clock + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HedgeFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let layer = self.layer.clone();
        // The one that was made ready is called, an unready clone stays.
        let spare = self.inner.clone();
        let mut ready = Some(mem::replace(&mut self.inner, spare.clone()));
        let mut next = Some(request);
        Box::pin(async move {
            let HedgeLayer { rules, hedge } = &*layer;
            let sent = Sent { may_run_twice: true, uncopied: false };
            let call = move |number, reserved| {
                let mut request = next.take().expect("another follows only where there is a copy");
                // Now, for the request is gone when it is known that it is slow.
                if number < hedge.calls() && rules.policy.may_run_twice(&request) {
                    next = rules.copy.copy(&request);
                }
                rules.policy.number(&mut request, number);
                let (ready, spare) = (ready.take(), spare.clone());
                let call = async move {
                    match ready {
                        Some(mut service) => rules.weigh(service.call(request).await, sent),
                        None => rules.send(spare, request, sent, reserved).await,
                    }
                };
                (call, next.is_some())
            };
            hedge.run_paid(call).await.or_else(|failed| failed.result)
        })
    }
}
