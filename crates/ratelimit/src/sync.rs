//! What this crate's threads share: std's atomics and locks, or loom's in models.

#[cfg(all(test, plimsoll_loom))]
pub(crate) use plimsoll_core::sync::modelled::{search, search_within, unchanged};
pub(crate) use plimsoll_core::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
