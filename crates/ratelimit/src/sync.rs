//! The one file in this crate that knows loom exists.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

pub(crate) use imp::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};
