//! The one place where Plimsoll meets the service.

use std::{sync::Arc, time::Duration};

use axum::{Router, response::IntoResponse};
use http::request::Parts;
use plimsoll::{
    keyed::PerKeyExt,
    metered::Metered,
    ratelimit::TokenBucket,
    tower::{HttpGateLayer, status},
};

use crate::http::{Client, Mistake};

/// How much one client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second, for ever.
    pub rate: u32,
    /// Requests at once after a rest.
    pub burst: u32,
}

/// Puts the gates in front of `routes`: a token bucket for each [`Client`], which must be among
/// the request's extensions. Requests without one share a bucket.
///
/// Every answer says in `RateLimit` and `RateLimit-Policy` what the client has left. A refusal is
/// a 429 that says in `Retry-After` when to come back. What was admitted and refused is counted
/// under `gate="per-client"`, if the metrics recorder is there already.
///
/// # Errors
///
/// When a limit makes no sense.
pub fn protect<S>(routes: Router<S>, limits: Limits) -> anyhow::Result<Router<S>>
where
    S: Clone + Send + Sync + 'static,
{
    let bucket = TokenBucket::try_new(limits.rate, Duration::from_secs(1))?.burst(limits.burst);
    let per_client = Arc::new(bucket.keyed_ref(client));
    let layer = HttpGateLayer::new(Metered::new("per-client", Arc::clone(&per_client)))
        .quota_from(per_client)
        .on_refusal(|refusal, _| {
            Mistake::new(status(refusal), "more requests than one client may make").into_response()
        });
    Ok(routes.layer(layer))
}

fn client(parts: &Parts) -> &Client {
    parts.extensions.get().unwrap_or(&Client::Unknown)
}
