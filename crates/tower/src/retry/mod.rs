//! Retries and hedged requests as layers.

mod after;
mod copy;
mod future;
mod hedge;
mod http;
mod layer;
mod repeat;
mod rules;
mod weigh;

pub use self::{
    copy::{ByClone, CopyBy, CopyRequest, copy_if_empty},
    future::RetryFuture,
    hedge::{HedgeFuture, HedgeLayer, HedgeService},
    http::HttpRequests,
    layer::{RetryLayer, RetryService},
    repeat::{AnyRequest, ByAnswer, Repeat},
    rules::RepeatService,
};
