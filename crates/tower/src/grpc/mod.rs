//! Bounds for tonic's servers and clients, and what tonic has none for:
//! connections that are idle.

mod apply;
mod limits;
mod rpcs;
mod serve;
mod wire;

pub use self::limits::GrpcLimits;
