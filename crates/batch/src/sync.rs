//! What this crate's threads share: std's atomics and locks, or loom's in models.

pub(crate) use plimsoll_core::sync::{Arc, AtomicU64, Mutex, MutexGuard, Ordering};
// Not in any model: they start the task or the thread.
pub(crate) use std::sync::{Mutex as StartMutex, OnceLock, mpsc};
