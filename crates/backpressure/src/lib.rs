//! Backpressure.
#![forbid(unsafe_code)]

mod entrance;
mod limit;

pub use crate::limit::{ConcurrencyLimit, Fifo, LimitTicket};
