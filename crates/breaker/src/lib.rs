#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod breaker;
mod builder;
mod calls;
mod change;
mod gate;
mod ring;
mod rules;
mod settings;
mod state;
mod switch;
mod sync;
mod tally;
mod word;

#[cfg(all(test, plimsoll_loom))]
mod models;

pub use crate::{
    breaker::CircuitBreaker,
    builder::Builder,
    change::{Counts, State, StateChange},
    state::{BreakerState, BreakerTicket},
};
