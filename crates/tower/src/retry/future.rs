//! The way of one request through a [`RetryService`](super::RetryService).

use super::{
    copy::CopyRequest,
    layer::RetryLayer,
    repeat::Repeat,
    rules::Rules,
    weigh::{Failed, Sent},
};
use pin_project_lite::pin_project;
use plimsoll_core::Clock;
use plimsoll_retry::{Begun, Judge, Observe};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_service::Service;

/// What it takes to send a request again.
pub(super) struct Again<S, Req> {
    pub(super) service: S,
    pub(super) request: Req,
}

type Resumed<S, Req> = Pin<Box<dyn Future<Output = Answer<S, Req>> + Send>>;
type Answer<S, Req> = Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>;

pin_project! {
    /// The answer of a [`RetryService`](crate::RetryService).
    pub struct RetryFuture<S, Req, P, C, J, O, K>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S, Req>,
        begun: Begun,
        sent: Sent,
        layer: Arc<RetryLayer<P, C, J, O, K>>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Req>
    where
        S: Service<Req>,
    {
        First { #[pin] attempt: S::Future, again: Option<Again<S, Req>> },
        Resumed { rest: Resumed<S, Req> },
    }
}

impl<S, Req, P, C, J, O, K> RetryFuture<S, Req, P, C, J, O, K>
where
    S: Service<Req>,
    K: Clock,
{
    pub(super) fn new(
        attempt: S::Future,
        sent: Sent,
        again: Option<Again<S, Req>>,
        layer: Arc<RetryLayer<P, C, J, O, K>>,
    ) -> Self {
        let begun = layer.retry.begin();
        Self { state: State::First { attempt, again }, begun, sent, layer }
    }
}

impl<S, Req, P, C, J, O, K> Future for RetryFuture<S, Req, P, C, J, O, K>
where
    Req: Send + 'static,
    S: Service<Req, Response: Send, Error: Send, Future: Send> + Clone + Send + 'static,
    P: Repeat<Req, S::Response> + Send + Sync + 'static,
    C: CopyRequest<Req> + Send + Sync + 'static,
    J: Judge<S::Error> + Send + Sync + 'static,
    O: Observe<Result<S::Response, S::Error>> + Send + Sync + 'static,
    K: Clock + 'static,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StateProj::First { attempt, again } = this.state.as_mut().project() {
            let result = ready!(attempt.poll(cx));
            let RetryLayer { rules, retry } = &**this.layer;
            let failed = match rules.weigh(result, *this.sent) {
                Ok(answer) => {
                    retry.succeeded();
                    return Poll::Ready(Ok(answer));
                }
                Err(failed) => failed,
            };
            let Some(again) = again.take() else {
                retry.observed_by().gave_up(1, &failed, failed.only_once());
                return Poll::Ready(failed.result);
            };
            let rest = resume(this.layer.clone(), *this.begun, *this.sent, failed, again);
            this.state.set(State::Resumed { rest: Box::pin(rest) });
        }
        match this.state.project() {
            StateProj::Resumed { rest } => rest.as_mut().poll(cx),
            StateProj::First { .. } => unreachable!("the first attempt has ended"),
        }
    }
}

/// All attempts but the first.
async fn resume<S, Req, P, C, J, O, K>(
    layer: Arc<RetryLayer<P, C, J, O, K>>,
    begun: Begun,
    sent: Sent,
    failed: Failed<S::Response, S::Error>,
    again: Again<S, Req>,
) -> Result<S::Response, S::Error>
where
    S: Service<Req> + Clone,
    P: Repeat<Req, S::Response>,
    C: CopyRequest<Req>,
    J: Judge<S::Error>,
    O: Observe<Result<S::Response, S::Error>>,
    K: Clock,
{
    let RetryLayer { rules, retry } = &*layer;
    let Rules { policy, copy, .. } = rules;
    let Again { service, request } = again;
    let mut next = Some(request);
    let attempt = move |number, reserved| {
        // The failure of an attempt that left no copy is permanent, or it was the last.
        let mut request = next.take().expect("each attempt but the last leaves a copy");
        let more = retry.may_follow(number);
        next = if more { copy.copy(&request) } else { None };
        policy.number(&mut request, number);
        let sent = Sent { uncopied: more && next.is_none(), ..sent };
        rules.send(service.clone(), request, sent, reserved)
    };
    match retry.resume(begun, failed, attempt).await {
        Ok(answer) => Ok(answer),
        Err(given_up) => given_up.into_inner().result,
    }
}

impl<S: Service<Req>, Req, P, C, J, O, K> fmt::Debug for RetryFuture<S, Req, P, C, J, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").finish_non_exhaustive()
    }
}
