#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod batcher;
mod blocking;
mod callers;
mod driver;
mod error;
mod intake;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod output;
mod settings;
mod shared;
mod slab;
mod stream;
mod sync;

pub use crate::{
    batcher::Batcher,
    error::{Refused, SubmitError},
    output::FlushOutput,
    settings::Linger,
    slab::Reply,
    stream::{BatchStreamExt, Batched, Emitted, Group, TryBatched},
};
