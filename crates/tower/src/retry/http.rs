//! HTTP requests, and what their answers say about trying again.

use super::{after::retry_after, repeat::Repeat};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use plimsoll_core::Rejected;
use plimsoll_retry::{Judge, Refusals, Verdict};
use std::{fmt, sync::Arc, time::SystemTime};

/// HTTP: which requests may be sent again, and after which answers. Chosen by
/// [`RetryLayer::http`](crate::RetryLayer::http) and
/// [`HedgeLayer::http`](crate::HedgeLayer::http).
///
/// | answer | of an idempotent request | of another |
/// |---|---|---|
/// | 429 | sent again | sent again: it was refused |
/// | a [`Rejected`] in its extensions, as [`HttpGateLayer`](crate::HttpGateLayer) puts there | as [`Refusals`] are by default | the same, but of [`Deadline`](plimsoll_core::Reason::Deadline) not: it may have been cut off |
/// | 408, 425, 502, 503, 504 | sent again | not: it may have begun |
/// | other 5xx | not | not |
/// | all else | a success | a success |
///
/// Idempotent are `GET`, `HEAD`, `PUT`, `DELETE`, `OPTIONS` and `TRACE` (RFC 9110,
/// 9.2.2), and what you add. An error of the service counts like an answer: of
/// another request, it is tried again only if it is a refusal.
///
/// `Retry-After` is kept to, in seconds and as a date. A time that has passed, or
/// that cannot be read, leaves the pause as it is drawn; for one that is too long
/// the call is given up, see
/// [`wait_at_most`](plimsoll_retry::Retry::wait_at_most).
#[derive(Clone, Default)]
pub struct HttpRequests {
    also: Option<Arc<Also>>,
    header: Option<HeaderName>,
}

type Also = dyn Fn(&Method, &HeaderMap) -> bool + Send + Sync;

impl HttpRequests {
    pub(super) fn also(
        self,
        idempotent: impl Fn(&Method, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { also: Some(Arc::new(idempotent)), ..self }
    }

    pub(super) fn numbered(self, header: HeaderName) -> Self {
        Self { header: Some(header), ..self }
    }
}

impl<B, RB> Repeat<Request<B>, Response<RB>> for HttpRequests {
    fn may_run_twice(&self, request: &Request<B>) -> bool {
        let (method, headers) = (request.method(), request.headers());
        // http's own knows the methods of the RFC.
        method.is_idempotent() || self.also.as_ref().is_some_and(|also| also(method, headers))
    }

    fn judge(&self, may_run_twice: bool, answer: &Response<RB>) -> Option<Verdict> {
        if let Some(refusal) = answer.extensions().get::<Rejected>() {
            let refusals = Refusals::default();
            if !may_run_twice && refusals.may_have_begun(refusal) {
                return Some(Verdict::Permanent);
            }
            return Some(refusals.judge(refusal));
        }
        let again = match answer.status() {
            StatusCode::TOO_MANY_REQUESTS => true,
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_EARLY
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => may_run_twice,
            status if status.is_server_error() => false,
            _ => return None,
        };
        if !again {
            return Some(Verdict::Permanent);
        }
        let asked = retry_after(answer.headers(), SystemTime::now());
        Some(asked.map_or(Verdict::Transient, Verdict::NotBefore))
    }

    fn number(&self, request: &mut Request<B>, attempt: u32) {
        if let Some(header) = &self.header {
            request.headers_mut().insert(header.clone(), HeaderValue::from(attempt));
        }
    }
}

impl fmt::Debug for HttpRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequests").field("header", &self.header).finish_non_exhaustive()
    }
}
