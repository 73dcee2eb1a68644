#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod line;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod places;
mod sync;

pub use crate::{
    line::{Line, Spot},
    places::{NoPlace, Places, Take},
};
