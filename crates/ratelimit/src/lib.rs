#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod sync;
mod window;

pub use crate::window::{ApproximateWindow, SlidingWindow};
