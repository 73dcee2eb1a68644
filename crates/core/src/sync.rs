//! The file that knows loom exists: each crate's `src/sync.rs` takes from here
//! what its threads share, so that a model runs the code that ships.
//!
//! Hidden, for the crates of this workspace alone. The cfg carries our name: a bare
//! `--cfg loom` would also switch every dependency that listens for it. Not gated on
//! `test`, so that the models of a dependent crate reach through.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

pub use imp::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};

#[cfg(plimsoll_loom)]
pub use self::modelled::AtomicU64;
#[cfg(not(plimsoll_loom))]
pub use std::sync::atomic::AtomicU64;

/// A number for the calling thread: the first one that asks gets 0, the next 1.
#[cfg(not(plimsoll_loom))]
#[inline]
#[must_use]
pub fn thread_number() -> usize {
    use std::cell::Cell;
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
#[must_use]
pub fn thread_number() -> usize {
    0
}

/// What models of this crate and of others share.
///
/// loom tries another order where an access conflicts with the last one of the
/// same atomic. Where a thread reads and then exchanges, its own reading is the
/// last, and hides from loom that another thread has read: orders are missed. A
/// reading that is a change by nothing conflicts with all others, but never reads
/// an old value, as a relaxed one may. So models run both ways. Then a store is an
/// exchange: with stores, models showed values that no order of accesses explains.
#[cfg(plimsoll_loom)]
#[expect(missing_docs, reason = "as in std")]
pub mod modelled {
    use super::Ordering;
    use loom::sync::atomic::AtomicU64 as Inner;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    static BY_CHANGE: AtomicBool = AtomicBool::new(false);

    /// How atomics that are made from here on are read: a process runs one model.
    pub fn read_by_change(by_change: bool) {
        BY_CHANGE.store(by_change, SeqCst);
    }

    /// Makes what no thread of the model changes. Readings of that are readings in
    /// every search: nothing can be missed, and orders of theirs are no news.
    pub fn unchanged<T>(make: impl FnOnce() -> T) -> T {
        let by_change = BY_CHANGE.swap(false, SeqCst);
        let made = make();
        read_by_change(by_change);
        made
    }

    /// Searches a model in every order of accesses, and with old values read.
    pub fn search(model: impl Fn() + Sync + Send + Copy + 'static) {
        for by_change in [false, true] {
            read_by_change(by_change);
            loom::model(model);
        }
    }

    /// The same, with at most so many preemptions where readings are changes.
    pub fn search_within(preemptions: usize, model: impl Fn() + Sync + Send + Copy + 'static) {
        loom::model(model);
        read_by_change(true);
        let mut search = loom::model::Builder::new();
        search.preemption_bound = Some(preemptions);
        search.check(model);
    }

    #[derive(Debug)]
    pub struct AtomicU64 {
        inner: Inner,
        by_change: bool,
    }

    impl AtomicU64 {
        pub fn new(value: u64) -> Self {
            Self { inner: Inner::new(value), by_change: BY_CHANGE.load(SeqCst) }
        }

        pub fn load(&self, order: Ordering) -> u64 {
            if self.by_change { self.inner.fetch_add(0, order) } else { self.inner.load(order) }
        }

        pub fn store(&self, value: u64, order: Ordering) {
            if self.by_change {
                self.inner.swap(value, order);
            } else {
                self.inner.store(value, order);
            }
        }

        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.inner.swap(value, order)
        }

        pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.inner.fetch_add(value, order)
        }

        pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.inner.fetch_sub(value, order)
        }

        pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            self.inner.fetch_and(value, order)
        }

        pub fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            self.inner.fetch_max(value, order)
        }

        pub fn compare_exchange(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.inner.compare_exchange(seen, next, success, failure)
        }

        pub fn compare_exchange_weak(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.inner.compare_exchange_weak(seen, next, success, failure)
        }

        pub fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            mut change: impl FnMut(u64) -> Option<u64>,
        ) -> Result<u64, u64> {
            let mut seen = self.load(failure);
            while let Some(next) = change(seen) {
                match self.inner.compare_exchange(seen, next, success, failure) {
                    Ok(seen) => return Ok(seen),
                    Err(now) => seen = now,
                }
            }
            Err(seen)
        }
    }
    impl Default for AtomicU64 {
        fn default() -> Self {
            Self::new(0)
        }
    }
}
