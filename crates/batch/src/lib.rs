#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod batcher;
mod builder;
mod callers;
mod driver;
mod emitted;
mod error;
mod flight;
mod handle;
mod intake;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod output;
mod settings;
mod shared;
mod slab;
mod stats;
mod stream;
mod sync;
mod teller;
mod thread;
mod wakers;

pub use crate::{
    batcher::Batcher,
    emitted::Emitted,
    error::{Refused, SubmitError},
    output::FlushOutput,
    settings::Linger,
    slab::Reply,
    stats::Stats,
    stream::{BatchStreamExt, Batched, BatchedByBytes, BatchedByKey, Group, TryBatched},
};
