//! What this crate's threads share: std's atomics and locks, or loom's in models.

pub(crate) use plimsoll_core::sync::{AtomicU64, Mutex, MutexGuard, Ordering, thread_number};
