#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
mod errors;
#[cfg(feature = "grpc")]
mod grpc;
mod guarded;
mod http;
mod judge;
mod layer;
#[cfg(feature = "retry")]
mod retry;
mod wait;

#[cfg(feature = "grpc")]
pub use crate::grpc::{GrpcCutOff, GrpcLimits};
#[cfg(feature = "retry")]
pub use crate::retry::{
    AnyRequest, ByAnswer, ByClone, CopyBy, CopyRequest, HedgeFuture, HedgeLayer, HedgeService,
    HttpRequests, Repeat, RepeatService, RetryFuture, RetryLayer, RetryService, copy_if_empty,
};
pub use crate::{
    client::ClientAddr,
    errors::{BoxError, into_box_error},
    http::{
        Answer, Classify, ClassifyBy, Extent, GateBody, GrpcAnswer, GrpcOutcome, HttpFuture,
        HttpGateLayer, HttpGateService, HttpOutcome, OnRefusal, TextAnswer, UntilBodyEnd,
        UntilHead, grpc_code, retry_after, status,
    },
    judge::{Judge, OkOrFailure},
    layer::{GateLayer, GateService, ResponseFuture},
    wait::{WaitFuture, WaitLayer, WaitService},
};
