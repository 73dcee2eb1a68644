//! Waking others' tasks.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

/// Wakes each. A waker is others' code: if one panics, the panic hook has
/// spoken, and the rest are woken all the same.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}

/// Wakes when it goes out of scope. Made before a lock is taken, it wakes after
/// the lock is released, also by a panic.
#[derive(Default)]
pub(crate) struct WakeLater(pub(crate) Option<Waker>);

impl Drop for WakeLater {
    fn drop(&mut self) {
        wake_all(self.0.take());
    }
}
