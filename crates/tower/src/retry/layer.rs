//! Retries before a service.

use super::{
    copy::{ByClone, CopyBy, CopyRequest},
    future::{Again, RetryFuture},
    http::HttpRequests,
    repeat::{AnyRequest, ByAnswer, Repeat},
    rules::{RepeatService, Rules},
    weigh::{Said, Sent, Told},
};
use http::{HeaderMap, HeaderName, Method};
use plimsoll_core::{Clock, DefaultClock};
use plimsoll_retry::{Judge, Observe, Refusals, Retry, Unobserved, Verdict};
use std::{
    fmt,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Sends a request again that failed, as a [`Retry`] says: pauses, attempts,
/// budget, deadline, observers.
///
/// [`new`](Self::new) takes any service, `Ok` for a success, and judges errors;
/// [`http`](Self::http) knows HTTP. The service keeps its types: what comes back in
/// the end is the last answer or the last error.
///
/// * Each attempt but the first is made on a clone of the service, once that is
///   ready. The first is made on the one that was made ready for it.
/// * Requests are copied before they are sent, where another attempt may follow.
///   One that can't be copied is sent once; where it fails, [`on_give_up`](Retry::on_give_up) hears
///   [`Stop::Unrepeatable`](plimsoll_retry::Stop::Unrepeatable).
/// * All services made by the layer, and all its clones, share one budget.
/// * A request that succeeds at once costs a copy of itself, one of the service and
///   a look at the budget; nothing is boxed but what comes after a failure.
/// * Dropped, an answer's future drops the attempt under way, or gives the retry
///   that it waits for back to the budget, until the service is ready for it.
///
/// # Order
///
/// From the outside in: retry, breaker, limit, timeout, as the crate
/// `plimsoll-retry` argues. The gates' refusals are then judged here: an open
/// breaker's ends the call.
///
/// # Panics
///
/// Responses' futures panic outside a tokio runtime with timers, if they have to
/// pause.
///
/// # Example
///
/// ```
/// use plimsoll_core::testing::Places;
/// use plimsoll_retry::Retry;
/// use plimsoll_tower::{GateLayer, RetryLayer};
/// use std::time::Duration;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut service = ServiceBuilder::new()
///     .layer(RetryLayer::new(Retry::exponential(Duration::from_millis(100))))
///     .layer(GateLayer::new(Places::new(100)))
///     .service(service_fn(async |n: u32| Ok::<_, std::io::Error>(n + 1)));
/// assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 2);
/// # }
/// ```
#[derive(Clone)]
pub struct RetryLayer<P = AnyRequest, C = ByClone, J = Refusals, O = Unobserved, K = DefaultClock> {
    pub(super) rules: Rules<P, C, J>,
    pub(super) retry: Retry<Said, Told<O>, K>,
}

impl<J, O, K> RetryLayer<AnyRequest, ByClone, J, O, K> {
    /// Sends any request again that ended in an error which may pass.
    #[must_use]
    pub fn new(retry: Retry<J, O, K>) -> Self {
        Self::of(AnyRequest, retry)
    }
}

impl<J, O, K> RetryLayer<HttpRequests, ByClone, J, O, K> {
    /// Sends HTTP requests again, by method, status and `Retry-After`, as
    /// [`HttpRequests`] says. Errors are judged as the [`Retry`] says: where they
    /// are of a type that is never a refusal, by
    /// [`retry_if`](Retry::retry_if), for axum's `|_: &Infallible| false`.
    ///
    /// # Example
    ///
    /// ```
    /// use http::{Request, Response};
    /// use plimsoll_core::Error;
    /// use plimsoll_retry::Retry;
    /// use plimsoll_tower::RetryLayer;
    /// use std::{io, time::Duration};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let retry = Retry::exponential(Duration::from_millis(100)).on_retry(
    ///     |attempt, result: &Result<Response<String>, Error<io::Error>>, _| {
    ///         let failed = result.as_ref().map(Response::status);
    ///         eprintln!("attempt {attempt}: {failed:?}");
    ///     },
    /// );
    /// let client = service_fn(async |_: Request<String>| Ok(Response::new(String::new())));
    /// let client = RetryLayer::http(retry)
    ///     .idempotent_if(|_, headers| headers.contains_key("idempotency-key"))
    ///     .layer(client);
    /// # let _ = client.oneshot(Request::default()).await;
    /// # }
    /// ```
    #[must_use]
    pub fn http(retry: Retry<J, O, K>) -> Self {
        Self::of(HttpRequests::default(), retry)
    }
}

impl<C, J, O, K> RetryLayer<HttpRequests, C, J, O, K> {
    /// Takes requests for idempotent for which this holds, besides those whose
    /// method is: a `POST` with a key by which the server knows it again.
    #[must_use]
    pub fn idempotent_if(
        self,
        idempotent: impl Fn(&Method, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.ruled(|rules| rules.idempotent_if(idempotent))
    }

    /// Writes the number of each attempt into this header, 1 for the first. By
    /// default nothing is written.
    #[must_use]
    pub fn attempt_header(self, header: HeaderName) -> Self {
        self.ruled(|rules| rules.attempt_header(header))
    }
}

impl<P, J, O, K> RetryLayer<P, ByClone, J, O, K> {
    /// Judges requests and answers by `policy`, and errors by the [`Retry`].
    #[must_use]
    pub fn of(policy: P, retry: Retry<J, O, K>) -> Self {
        let (judge, observer, retry) = retry.into_parts();
        let retry = retry.judge(Said).observer(Told(observer));
        Self { rules: Rules::of(policy, judge), retry }
    }
}

impl<P, C, J, O, K> RetryLayer<P, C, J, O, K> {
    /// Copies requests by a function, which returns `None` for those that are to
    /// be sent once. By default they are cloned. See
    /// [`copy_if_empty`](crate::copy_if_empty).
    #[must_use]
    pub fn copied_by<Req, F>(self, copy: F) -> RetryLayer<P, CopyBy<F>, J, O, K>
    where
        F: Fn(&Req) -> Option<Req>,
    {
        self.ruled(|rules| rules.copied_by(copy))
    }

    /// Says of an answer whether it is a success, `None`, or else whether it may
    /// be tried again.
    ///
    /// A request that must not be carried out twice is only sent again if the
    /// policy would send it again, too: with [`http`](Self::http) a `POST` after a
    /// 429, and not after a 500. Take in what is no risk by
    /// [`idempotent_if`](Self::idempotent_if), before this.
    #[must_use]
    pub fn judge_answers<Res, F>(self, judge: F) -> RetryLayer<ByAnswer<P, F>, C, J, O, K>
    where
        F: Fn(&Res) -> Option<Verdict>,
    {
        self.ruled(|rules| rules.policed(|policy| ByAnswer(policy, judge)))
    }

    fn ruled<P2, C2>(
        self,
        change: impl FnOnce(Rules<P, C, J>) -> Rules<P2, C2, J>,
    ) -> RetryLayer<P2, C2, J, O, K> {
        RetryLayer { rules: change(self.rules), retry: self.retry }
    }
}

impl<S, P, C, J, O, K> Layer<S> for RetryLayer<P, C, J, O, K>
where
    Self: Clone,
{
    type Service = RetryService<S, P, C, J, O, K>;

    fn layer(&self, inner: S) -> Self::Service {
        RepeatService::new(inner, self)
    }
}

impl<P: fmt::Debug, C, J, O, K> fmt::Debug for RetryLayer<P, C, J, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer")
            .field("policy", &self.rules.policy)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// A service whose requests are sent again when they fail. Made by [`RetryLayer`].
pub type RetryService<
    S,
    P = AnyRequest,
    C = ByClone,
    J = Refusals,
    O = Unobserved,
    K = DefaultClock,
> = RepeatService<S, RetryLayer<P, C, J, O, K>>;

impl<Req, S, P, C, J, O, K> Service<Req> for RetryService<S, P, C, J, O, K>
where
    Req: Send + 'static,
    S: Service<Req, Response: Send, Error: Send, Future: Send> + Clone + Send + 'static,
    P: Repeat<Req, S::Response> + Send + Sync + 'static,
    C: CopyRequest<Req> + Send + Sync + 'static,
    J: Judge<S::Error> + Send + Sync + 'static,
    O: Observe<Result<S::Response, S::Error>> + Send + Sync + 'static,
    K: Clock + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, Req, P, C, J, O, K>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Req) -> Self::Future {
        let RetryLayer { rules: Rules { policy, copy, .. }, retry } = &*self.layer;
        let more = retry.may_follow(1);
        let copy = if more { copy.copy(&request) } else { None };
        let may_run_twice = policy.may_run_twice(&request);
        let sent = Sent { may_run_twice, uncopied: more && copy.is_none() };
        policy.number(&mut request, 1);
        // A copy is called when it was made ready itself: not this one.
        let again = copy.map(|request| Again { service: self.inner.clone(), request });
        RetryFuture::new(self.inner.call(request), sent, again, self.layer.clone())
    }
}
