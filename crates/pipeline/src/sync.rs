//! What this crate's threads share: std's atomics and locks, or loom's in models.

/// Where somebody decides by what another thread wrote: loom's in models.
pub(crate) use plimsoll_core::sync::{AtomicU8, AtomicUsize, Mutex, MutexGuard, Ordering};
/// For figures that are only ever read to be shown: std's in models too, where
/// each step of loom's would be one more to search.
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
