#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod caught;
mod error;
mod ext;
mod fan_out;
mod load;
mod outlet;
mod pool;
mod sync;
mod work;

pub use crate::{
    error::{Failure, Panicked},
    ext::FanOutExt,
    fan_out::FanOut,
    load::LoadHandle,
    work::{Blocking, Fallible, Plain, Work},
};

/// One item's result.
type Answer<U, E> = Result<U, Failure<E>>;
