//! What an answer means to the gate before it.

use http::{HeaderMap, StatusCode};
use plimsoll_core::Outcome;

/// Says what an answer means to the gate: how the work went.
///
/// It is not asked about an answer that is itself a refusal of a gate further
/// in: such work is `Ignored`, so that a full limit does not open a breaker
/// before it.
pub trait Classify {
    /// What status and headers say; `None` when the trailers decide.
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Option<Outcome>;

    /// What the trailers say, asked where the head left it open and the body
    /// was [waited for](crate::HttpGateLayer::until_body_end). `None` when the
    /// body ended without any.
    fn trailers(&self, trailers: Option<&HeaderMap>) -> Outcome {
        let _ = trailers;
        Outcome::Success
    }
}

/// The meaning of HTTP status codes: what
/// [`HttpGateLayer`](crate::HttpGateLayer) goes by unless it is told otherwise.
///
/// | status | outcome | because |
/// |---|---|---|
/// | 5xx but 501 and 505 | `Failure` | the service failed |
/// | 4xx, 501, 505 | `Ignored` | the caller's mistake says nothing about the service |
/// | all else | `Success` | |
///
/// 408 and 429 are among the ignored: the first says that the caller was slow
/// to send, the second that a quota ran out. Before a client that calls another
/// service you may want them to count; [`classify`] does it.
///
/// [`classify`]: crate::HttpGateLayer::classify
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpOutcome;

impl HttpOutcome {
    /// The outcome of one status code.
    ///
    /// # Example
    ///
    /// ```
    /// use http::StatusCode;
    /// use plimsoll_core::Outcome;
    /// use plimsoll_tower::HttpOutcome;
    ///
    /// assert_eq!(HttpOutcome::of(StatusCode::BAD_GATEWAY), Outcome::Failure);
    /// assert_eq!(HttpOutcome::of(StatusCode::NOT_FOUND), Outcome::Ignored);
    /// ```
    #[must_use]
    pub fn of(status: StatusCode) -> Outcome {
        match status.as_u16() {
            400..=499 | 501 | 505 => Outcome::Ignored,
            500.. => Outcome::Failure,
            _ => Outcome::Success,
        }
    }
}

impl Classify for HttpOutcome {
    fn head(&self, status: StatusCode, _: &HeaderMap) -> Option<Outcome> {
        Some(Self::of(status))
    }
}

/// The meaning of gRPC codes. Chosen by
/// [`HttpGateLayer::grpc`](crate::HttpGateLayer::grpc).
///
/// | code | outcome |
/// |---|---|
/// | `OK` | `Success` |
/// | `UNKNOWN`, `DEADLINE_EXCEEDED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`, none or an unknown one | `Failure` |
/// | all else | `Ignored`: the caller's mistake, or a quota |
///
/// The code of an answer without a body is in its header. That of an answer
/// with messages comes after them, in the trailers, and is seen by a layer that
/// stays [until the body's end](crate::HttpGateLayer::until_body_end); one that
/// goes by the head alone counts such an answer as a success.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcOutcome;

impl GrpcOutcome {
    /// The outcome of one code, as `grpc-status` states it.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::Outcome;
    /// use plimsoll_tower::GrpcOutcome;
    ///
    /// assert_eq!(GrpcOutcome::of(14), Outcome::Failure); // UNAVAILABLE
    /// assert_eq!(GrpcOutcome::of(5), Outcome::Ignored); // NOT_FOUND
    /// ```
    #[must_use]
    pub fn of(code: u8) -> Outcome {
        match code {
            0 => Outcome::Success,
            1 | 3 | 5..=12 | 16 => Outcome::Ignored,
            _ => Outcome::Failure,
        }
    }

    fn in_map(headers: &HeaderMap) -> Option<Outcome> {
        let code = headers.get("grpc-status")?;
        let code = code.to_str().ok().and_then(|code| code.parse().ok());
        Some(code.map_or(Outcome::Failure, Self::of))
    }
}

impl Classify for GrpcOutcome {
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Option<Outcome> {
        // Anything but 200 comes from what knows HTTP and not gRPC: a proxy.
        Self::in_map(headers).or_else(|| (status != 200).then(|| HttpOutcome::of(status)))
    }

    fn trailers(&self, trailers: Option<&HeaderMap>) -> Outcome {
        trailers.and_then(Self::in_map).unwrap_or(Outcome::Failure)
    }
}

/// A meaning of one's own. Made by
/// [`HttpGateLayer::classify`](crate::HttpGateLayer::classify).
#[derive(Clone, Copy, Debug)]
pub struct ClassifyBy<F>(pub(crate) F);

impl<F: Fn(StatusCode, &HeaderMap) -> Outcome> Classify for ClassifyBy<F> {
    fn head(&self, status: StatusCode, headers: &HeaderMap) -> Option<Outcome> {
        Some((self.0)(status, headers))
    }
}
