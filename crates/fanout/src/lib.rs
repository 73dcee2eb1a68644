#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bounded;
mod by_key;
mod caught;
mod error;
mod ext;
mod fan_in;
mod fan_out;
#[cfg(all(test, plimsoll_loom))]
mod fed;
mod group;
mod load;
mod local;
mod map;
mod outlet;
mod pool;
mod race;
mod ready;
mod scatter;
mod sync;
mod work;

pub use crate::{
    bounded::{Bounded, BoundedError},
    by_key::ByKey,
    error::{Failure, Panicked},
    ext::FanOutExt,
    fan_in::{
        FanIn, FanInHandle, Gone, SourceId, WithSource, checked_fan_in_by_priority, fan_in,
        fan_in_by_priority,
    },
    fan_out::FanOut,
    load::LoadHandle,
    local::FanOutLocal,
    map::{checked_map, checked_try_map, map, try_map},
    race::{NoneSucceeded, first_ok, race},
    scatter::{Branch, Ended, NotMet, Report, ScatterGather, Stragglers, Verdict, scatter_gather},
    work::{Blocking, Fallible, Plain, Work},
};

/// One item's result.
type Answer<U, E = std::convert::Infallible> = Result<U, Failure<E>>;

/// And the place of its item in the source.
type Placed<U, E> = (u64, Answer<U, E>);
