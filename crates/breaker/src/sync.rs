//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! Not gated on `test`, so that the models of a dependent crate reach through.

#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(all(test, plimsoll_loom))]
pub(crate) use plimsoll_core::modelled::read_by_change;
#[cfg(plimsoll_loom)]
pub(crate) use plimsoll_core::modelled::{AtomicU64, Ordering};

/// A number for the calling thread: the first one that asks gets 0, the next 1.
#[cfg(not(plimsoll_loom))]
#[inline]
pub(crate) fn thread_number() -> usize {
    use std::{cell::Cell, sync::atomic::AtomicUsize};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// Models have one stripe.
#[cfg(plimsoll_loom)]
pub(crate) fn thread_number() -> usize {
    0
}
