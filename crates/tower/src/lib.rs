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
mod wait;

#[cfg(feature = "grpc")]
pub use crate::grpc::GrpcLimits;
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
