#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adaptive;
mod bytes;
mod entrance;
mod limit;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod sync;

pub use crate::{
    adaptive::{AdaptiveLimit, AdaptiveTicket},
    bytes::{ByteBudget, ByteTicket},
    limit::{ConcurrencyLimit, Fifo, LimitTicket},
};
#[doc(no_inline)]
pub use plimsoll_channel::{
    LoadHandle, Receiver, Sender, Stats, bounded, bounded_by, try_bounded, try_bounded_by,
};
