//! The one file in this crate that knows loom exists.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

#[cfg(feature = "gates")]
pub(crate) use imp::atomic::AtomicUsize;
pub(crate) use imp::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
