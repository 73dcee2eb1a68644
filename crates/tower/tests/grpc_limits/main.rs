//! `GrpcLimits` before tonic's own client and server, over connections in memory
//! and in paused time; and how a server ends, over loopback too.

#![cfg(feature = "grpc")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

#[path = "../support/text.rs"]
#[allow(unreachable_pub, reason = "other tests share it")]
mod text;

mod drain;
mod flow;
mod frames;
mod idle;
mod lab;
