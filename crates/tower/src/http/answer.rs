//! What a refused request is answered.

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};
use plimsoll_core::{Reason, Rejected};

/// The status of a refusal: `Rate` is 429, `Deadline` 504, all else 503.
///
/// # Example
///
/// ```
/// use http::StatusCode;
/// use plimsoll_core::{Reason, Rejected};
///
/// let refusal = Rejected::new(Reason::Open, "breaker");
/// assert_eq!(plimsoll_tower::status(&refusal), StatusCode::SERVICE_UNAVAILABLE);
/// ```
#[must_use]
pub fn status(refusal: &Rejected) -> StatusCode {
    match refusal.reason() {
        Reason::Rate => StatusCode::TOO_MANY_REQUESTS,
        Reason::Deadline => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The `Retry-After` of a refusal that knows when to come back: whole seconds,
/// rounded up so that nobody comes too early, and never 0.
///
/// # Example
///
/// ```
/// use plimsoll_core::{Reason, Rejected};
/// use std::time::Duration;
///
/// let refusal = Rejected::new(Reason::Rate, "bucket").retry_in(Duration::from_millis(1_001));
/// assert_eq!(plimsoll_tower::retry_after(&refusal).unwrap(), "2");
/// ```
#[must_use]
pub fn retry_after(refusal: &Rejected) -> Option<HeaderValue> {
    let wait = refusal.retry_after()?;
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    Some(HeaderValue::from(seconds.max(1)))
}

/// The gRPC code of a refusal: `Rate` is `RESOURCE_EXHAUSTED` (8), `Deadline`
/// is `DEADLINE_EXCEEDED` (4), all else `UNAVAILABLE` (14).
#[must_use]
pub fn grpc_code(refusal: &Rejected) -> u8 {
    match refusal.reason() {
        Reason::Rate => 8,
        Reason::Deadline => 4,
        _ => 14,
    }
}

/// A sentence for the caller. It does not name the gate: how a service is
/// protected is nobody's business outside.
fn says(refusal: &Rejected) -> &'static str {
    match refusal.reason() {
        Reason::Rate => "too many requests",
        Reason::Deadline => "the deadline cannot be met",
        _ => "the service has no capacity for this request now",
    }
}

/// Answers refused requests, with the body type `B` of the service's own
/// answers.
pub trait Answer<B> {
    /// The answer to the request `parts`, whose body was not read.
    fn answer(&self, refusal: &Rejected, parts: &Parts) -> Response<B>;
}

/// A line of plain text under the [status](status()) of the refusal, with
/// `Retry-After` where that is known. What
/// [`HttpGateLayer`](crate::HttpGateLayer) answers unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextAnswer;

impl<B: From<&'static str>> Answer<B> for TextAnswer {
    fn answer(&self, refusal: &Rejected, _: &Parts) -> Response<B> {
        let mut response = Response::new(B::from(says(refusal)));
        *response.status_mut() = status(refusal);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(seconds) = retry_after(refusal) {
            headers.insert(RETRY_AFTER, seconds);
        }
        response
    }
}

/// An answer of one's own. Made by
/// [`HttpGateLayer::on_refusal`](crate::HttpGateLayer::on_refusal).
///
/// Adds `Retry-After` where it is known and the answer has none.
#[derive(Clone, Copy, Debug)]
pub struct OnRefusal<F>(pub(crate) F);

impl<B, F: Fn(&Rejected, &Parts) -> Response<B>> Answer<B> for OnRefusal<F> {
    fn answer(&self, refusal: &Rejected, parts: &Parts) -> Response<B> {
        let mut response = (self.0)(refusal, parts);
        if let Some(seconds) = retry_after(refusal) {
            response.headers_mut().entry(RETRY_AFTER).or_insert(seconds);
        }
        response
    }
}

/// A gRPC status without a body, as clients of gRPC expect it: 200, and the
/// [code](grpc_code) in the header. Made by
/// [`HttpGateLayer::grpc`](crate::HttpGateLayer::grpc).
///
/// Where the refusal knows when to come back, `grpc-retry-pushback-ms` says so,
/// rounded up, up to the 24 days that fit its 32 bits.
///
/// Sources: "gRPC over HTTP2" (Trailers-Only, Percent-Encoded) and gRPC
/// proposal A6 (pushback).
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcAnswer;

impl<B: Default> Answer<B> for GrpcAnswer {
    fn answer(&self, refusal: &Rejected, _: &Parts) -> Response<B> {
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from(u16::from(grpc_code(refusal))));
        // Plain ASCII without a percent sign: its own percent-encoding.
        headers.insert("grpc-message", HeaderValue::from_static(says(refusal)));
        if let Some(wait) = refusal.retry_after() {
            let millis = wait.as_nanos().div_ceil(1_000_000);
            let millis = i32::try_from(millis).unwrap_or(i32::MAX);
            headers.insert("grpc-retry-pushback-ms", HeaderValue::from(millis));
        }
        response
    }
}
