//! Gates over HTTP requests; a refusal is an answer.

mod answer;
mod body;
mod classify;
mod extent;
mod future;
mod layer;
mod quota;

pub use self::{
    answer::{Answer, GrpcAnswer, OnRefusal, TextAnswer, grpc_code, retry_after, status},
    body::GateBody,
    classify::{Classify, ClassifyBy, GrpcOutcome, HttpOutcome},
    extent::{Extent, UntilBodyEnd, UntilHead},
    future::HttpFuture,
    layer::{HttpGateLayer, HttpGateService},
};
