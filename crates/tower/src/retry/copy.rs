//! Copies of requests, to be sent again.

use http::Request;
use http_body::Body;

/// Says how a request is copied.
pub trait CopyRequest<Req> {
    /// A request to be sent again; `None` where there can't be one: then the
    /// request is sent once.
    fn copy(&self, request: &Req) -> Option<Req>;
}

/// Clones requests: what layers do unless they are told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByClone;

impl<Req: Clone> CopyRequest<Req> for ByClone {
    fn copy(&self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

/// Copies by a function. Made by
/// [`RetryLayer::copied_by`](crate::RetryLayer::copied_by).
#[derive(Clone, Copy, Debug)]
pub struct CopyBy<F>(pub(super) F);

impl<Req, F: Fn(&Req) -> Option<Req>> CopyRequest<Req> for CopyBy<F> {
    fn copy(&self, request: &Req) -> Option<Req> {
        (self.0)(request)
    }
}

/// Copies HTTP requests whose body is empty, whatever its type: most that may be
/// sent twice have none. For
/// [`RetryLayer::copied_by`](crate::RetryLayer::copied_by), where bodies are
/// streams and can't be cloned.
///
/// # Example
///
/// ```
/// use axum::body::Body;
/// use http::Request;
/// use plimsoll_tower::copy_if_empty;
///
/// let get = Request::get("/products/7").body(Body::empty()).unwrap();
/// assert_eq!(copy_if_empty(&get).unwrap().uri(), "/products/7");
/// let put = Request::put("/products/7").body(Body::from("a chair")).unwrap();
/// assert!(copy_if_empty(&put).is_none());
/// ```
#[must_use]
pub fn copy_if_empty<B: Body + Default>(request: &Request<B>) -> Option<Request<B>> {
    if !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(B::default());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy.extensions_mut().clone_from(request.extensions());
    Some(copy)
}
