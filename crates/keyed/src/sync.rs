//! The one file in this crate that knows loom exists.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

#[cfg(feature = "gates")]
pub(crate) use imp::atomic::AtomicUsize;
pub(crate) use imp::{Mutex, MutexGuard};

#[cfg(plimsoll_loom)]
pub(crate) use plimsoll_core::modelled::{AtomicU64, Ordering};
#[cfg(all(test, plimsoll_loom))]
pub(crate) use plimsoll_core::modelled::{search, search_within};
#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
