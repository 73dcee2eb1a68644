#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod metered;
mod meters;
mod refusals;

pub use crate::metered::{Metered, MeteredTicket};
