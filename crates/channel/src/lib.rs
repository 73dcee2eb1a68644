#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod blocking;
mod builder;
mod chunk;
mod error;
mod feeder;
mod load;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod receiver;
mod sender;
mod shared;
mod side;
mod state;
mod sync;
mod watch;

pub use crate::{
    builder::{Builder, bounded, bounded_by, try_bounded, try_bounded_by},
    chunk::{Chunk, Prefetch},
    error::{Closed, SendError, TryRecvError, TrySendError},
    feeder::Feeder,
    load::{LoadHandle, Stats},
    receiver::Receiver,
    sender::Sender,
};
