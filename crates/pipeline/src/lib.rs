#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod ack;
mod batched;
mod crew;
mod driver;
mod error;
mod family;
mod feed;
mod flow;
mod function;
mod inlet;
mod item;
mod join;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod outlet;
mod pace;
mod pipeline;
mod policy;
#[cfg(feature = "indicatif")]
mod progress;
mod reorder;
mod retry;
mod shape;
mod split;
mod stages;
mod start;
mod stats;
mod stream;
mod supervisor;
mod sync;
mod tuning;
mod work;

pub use crate::{
    ack::Ack,
    error::{BoxError, Cause, RunError},
    flow::Flow,
    pipeline::Pipeline,
    policy::{
        DeadLetter, DeadLetters, Failure, Handled, OnError, Returned, ReturnedToDeadLetters, Skip,
        Stop, ToDeadLetters, dead_letter, dead_letter_returned, skip, stop,
    },
    stats::{Bottleneck, Drainer, Report, StageReport, Stats},
    stream::Results,
    supervisor::Stall,
};
pub use tokio_util::sync::CancellationToken;
