//! What the layers have in common: rules about requests and their results, and
//! the service that they make.

use super::{
    copy::{ByClone, CopyBy},
    http::HttpRequests,
    repeat::Repeat,
    weigh::{Failed, Sent, weigh},
};
use http::{HeaderMap, HeaderName, Method};
use plimsoll_retry::{Judge, Reserved};
use std::{fmt, future::poll_fn, sync::Arc};
use tower_service::Service;

/// Which requests may be sent again, how they are copied, and which errors pass.
#[derive(Clone)]
pub(super) struct Rules<P, C, J> {
    pub(super) policy: P,
    pub(super) copy: C,
    judge: J,
}

impl<P, J> Rules<P, ByClone, J> {
    pub(super) fn of(policy: P, judge: J) -> Self {
        Self { policy, copy: ByClone, judge }
    }
}

impl<C, J> Rules<HttpRequests, C, J> {
    pub(super) fn idempotent_if(
        self,
        idempotent: impl Fn(&Method, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.policed(|policy| policy.also(idempotent))
    }

    pub(super) fn attempt_header(self, header: HeaderName) -> Self {
        self.policed(|policy| policy.numbered(header))
    }
}

impl<P, C, J> Rules<P, C, J> {
    pub(super) fn copied_by<F>(self, copy: F) -> Rules<P, CopyBy<F>, J> {
        let Self { policy, copy: _, judge } = self;
        Rules { policy, copy: CopyBy(copy), judge }
    }

    pub(super) fn policed<P2>(self, change: impl FnOnce(P) -> P2) -> Rules<P2, C, J> {
        let Self { policy, copy, judge } = self;
        Rules { policy: change(policy), copy, judge }
    }

    /// Whether a result is a success.
    pub(super) fn weigh<Req, Res, E>(
        &self,
        result: Result<Res, E>,
        sent: Sent,
    ) -> Result<Res, Failed<Res, E>>
    where
        P: Repeat<Req, Res>,
        J: Judge<E>,
    {
        weigh(result, sent, &self.policy, &self.judge)
    }

    /// Sends a request once `service` is ready for it. That it costs, and nothing
    /// before.
    pub(super) async fn send<S, Req>(
        &self,
        mut service: S,
        request: Req,
        sent: Sent,
        reserved: Reserved<'_>,
    ) -> Result<S::Response, Failed<S::Response, S::Error>>
    where
        S: Service<Req>,
        P: Repeat<Req, S::Response>,
        J: Judge<S::Error>,
    {
        let result = match poll_fn(|cx| service.poll_ready(cx)).await {
            Ok(()) => {
                reserved.spend();
                service.call(request).await
            }
            Err(error) => Err(error),
        };
        self.weigh(result, sent)
    }
}

/// A service whose requests may be sent more than once. Made by a layer `L`:
/// [`RetryLayer`](crate::RetryLayer) or [`HedgeLayer`](crate::HedgeLayer).
pub struct RepeatService<S, L> {
    pub(super) inner: S,
    pub(super) layer: Arc<L>,
}

impl<S, L: Clone> RepeatService<S, L> {
    pub(super) fn new(inner: S, layer: &L) -> Self {
        Self { inner, layer: Arc::new(layer.clone()) }
    }
}

impl<S, L> RepeatService<S, L> {
    /// The service within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, L> Clone for RepeatService<S, L> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<S: fmt::Debug, L: fmt::Debug> fmt::Debug for RepeatService<S, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { inner, layer } = self;
        f.debug_struct("RepeatService").field("inner", inner).field("layer", layer).finish()
    }
}
