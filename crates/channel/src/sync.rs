//! What this crate's threads share: std's atomics and locks, or loom's in models.

pub(crate) use plimsoll_core::sync::{Mutex, MutexGuard};
/// For the copy of the load alone, which no decision of this crate reads: std's
/// in models too, where each store of loom's would be one more step to search.
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
