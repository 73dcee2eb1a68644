//! What this crate's threads share: std's atomics and locks, or loom's in models.

pub(crate) use plimsoll_core::sync::{Mutex, MutexGuard};
/// For hints alone, on which no decision rests: std's in models too, where each
/// store of loom's would be one more step to search.
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};

use std::sync::PoisonError;

/// Locks, also after a panic: what the locks of this crate guard is whole at
/// every moment at which somebody else's code could have panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
