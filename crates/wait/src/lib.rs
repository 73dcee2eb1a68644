#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod line;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod order;
mod places;
mod sync;

pub use crate::{
    line::{Line, Spot},
    order::{Arrival, Next, Order},
    places::{NoPlace, Places, Take, Waiter},
};
