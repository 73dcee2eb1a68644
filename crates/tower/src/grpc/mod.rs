//! Bounds for tonic's servers and clients, and what tonic has none for:
//! connections that are idle, and a server that is to stop.

mod apply;
mod limits;
mod rpcs;
mod serve;
mod times;
mod wire;

pub use self::{limits::GrpcLimits, serve::GrpcCutOff};
