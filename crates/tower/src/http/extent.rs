//! How long a request holds its permit.

use super::{GateBody, classify::Classify};
use http::HeaderMap;
use http_body::Body;
use plimsoll_core::{Gate, Outcome, Permit};

/// How long a request holds its permit: [`UntilHead`] or [`UntilBodyEnd`].
pub trait Extent: sealed::Sealed {
    /// The body of the answer, given that of the service's answer.
    type Body<B, H: Gate, C: Classify>;

    #[doc(hidden)]
    fn admitted<B: Body, H: Gate, C: Classify>(
        body: B,
        permit: Permit<H>,
        head: Option<Outcome>,
        classify: C,
        headers: &HeaderMap,
    ) -> Self::Body<B, H, C>;

    #[doc(hidden)]
    fn bare<B, H: Gate, C: Classify>(body: B) -> Self::Body<B, H, C>;
}

/// Until the head of the answer is there: status and headers, not the body.
/// What a layer does unless it is told otherwise; the body's type stays as it
/// is.
#[derive(Clone, Copy, Debug)]
pub struct UntilHead;

impl Extent for UntilHead {
    type Body<B, H: Gate, C: Classify> = B;

    fn admitted<B: Body, H: Gate, C: Classify>(
        body: B,
        permit: Permit<H>,
        head: Option<Outcome>,
        _: C,
        _: &HeaderMap,
    ) -> B {
        permit.finish(head.unwrap_or(Outcome::Success));
        body
    }

    fn bare<B, H: Gate, C: Classify>(body: B) -> B {
        body
    }
}

/// Until the body of the answer has ended or was dropped.
#[derive(Clone, Copy, Debug)]
pub struct UntilBodyEnd;

impl Extent for UntilBodyEnd {
    type Body<B, H: Gate, C: Classify> = GateBody<B, H, C>;

    fn admitted<B: Body, H: Gate, C: Classify>(
        body: B,
        permit: Permit<H>,
        head: Option<Outcome>,
        classify: C,
        headers: &HeaderMap,
    ) -> GateBody<B, H, C> {
        GateBody::new(body, permit, head, classify, headers)
    }

    fn bare<B, H: Gate, C: Classify>(body: B) -> GateBody<B, H, C> {
        GateBody::bare(body)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::UntilHead {}
    impl Sealed for super::UntilBodyEnd {}
}
