#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adaptive;
mod bytes;
mod discipline;
mod entrance;
mod gate;
mod limit;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod sync;
mod taking;

pub use crate::{
    adaptive::{AdaptiveLimit, AdaptiveTicket},
    bytes::{ByteBudget, ByteTicket},
    discipline::{ByDeadline, ByPriority, CoDel, Discipline, Fifo, Lifo},
    gate::LimitTicket,
    limit::ConcurrencyLimit,
};
/// How large, with what was measured: [How large a buffer](crate#how-large-a-buffer).
///
#[doc(inline)]
pub use plimsoll_channel::bounded;
#[doc(no_inline)]
pub use plimsoll_channel::{
    LoadHandle, Receiver, Sender, Stats, bounded_by, try_bounded, try_bounded_by,
};
