//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! Not gated on `test`, so that the models of a dependent crate reach through.

#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(plimsoll_loom)]
pub(crate) use self::modelled::{AtomicU64, Ordering};

/// loom tries another order where an access conflicts with the last one of the
/// same atomic. Where a thread reads and then exchanges, its own reading is the
/// last, and hides from loom that another thread has read: orders are missed, and
/// planted bugs with them. All accesses of this crate are sequentially consistent,
/// so that a reading may be a change by nothing: that conflicts with all others.
#[cfg(plimsoll_loom)]
mod modelled {
    use loom::sync::atomic::AtomicU64 as Inner;
    pub(crate) use loom::sync::atomic::Ordering;

    #[derive(Debug, Default)]
    pub(crate) struct AtomicU64(Inner);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(Inner::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            self.0.fetch_add(0, order)
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_add(value, order)
        }

        pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_max(value, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.0.compare_exchange(seen, next, success, failure)
        }
    }
}

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
