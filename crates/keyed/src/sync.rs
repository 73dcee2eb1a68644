//! What this crate's threads share: std's atomics and locks, or loom's in models.

#[cfg(feature = "gates")]
pub(crate) use plimsoll_core::sync::AtomicUsize;
#[cfg(all(test, plimsoll_loom))]
pub(crate) use plimsoll_core::sync::modelled::{search, search_up_to, search_within};
pub(crate) use plimsoll_core::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
