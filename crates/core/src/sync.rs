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
/// last, and hides from loom that another thread has read: orders are missed. So
/// models are searched in three ways:
///
/// * as they are;
/// * where a reading is a change by nothing, which conflicts with all others, but
///   never reads an old value, as a relaxed one may. Then a store is an exchange:
///   with stores, models showed values that no order of accesses explains;
/// * where each access is announced by a change of another atomic, so that orders
///   are tried and old values are read. It takes ten times as many executions, and
///   has few preemptions: a `Release` that was missing in the rate limits' dial
///   was found with two, and by neither of the others.
///
/// The first two are whole but where a model names a bound. Locks need none of
/// this: each use of one conflicts with every other.
#[cfg(plimsoll_loom)]
#[expect(missing_docs, reason = "as in std")]
pub mod modelled {
    use super::Ordering;
    use loom::sync::atomic::AtomicU64 as Inner;
    use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

    /// How atomics that are made from here on are read: a process runs one model.
    static READ: AtomicU8 = AtomicU8::new(PLAINLY);
    const PLAINLY: u8 = 0;
    const BY_CHANGE: u8 = 1;
    const ANNOUNCED: u8 = 2;

    pub fn read_by_change(by_change: bool) {
        READ.store(if by_change { BY_CHANGE } else { PLAINLY }, SeqCst);
    }

    /// Makes what no thread of the model changes. Readings of that are readings in
    /// every search: nothing can be missed, and orders of theirs are no news.
    pub fn unchanged<T>(make: impl FnOnce() -> T) -> T {
        let read = READ.swap(PLAINLY, SeqCst);
        let made = make();
        READ.store(read, SeqCst);
        made
    }

    /// Searches a model in every order of accesses, and with old values read; and
    /// with both at once, with at most two preemptions.
    pub fn search(model: impl Fn() + Sync + Send + Copy + 'static) {
        loom::model(model);
        read_by_change(true);
        loom::model(model);
        search_announced(model);
    }

    /// The same, with at most so many preemptions where readings are changes.
    pub fn search_within(preemptions: usize, model: impl Fn() + Sync + Send + Copy + 'static) {
        loom::model(model);
        read_by_change(true);
        bounded(preemptions, model);
        search_announced(model);
    }

    /// The same, with at most so many where the model is as it is, too.
    pub fn search_up_to(
        preemptions: usize,
        by_change: usize,
        model: impl Fn() + Sync + Send + Copy + 'static,
    ) {
        bounded(preemptions, model);
        read_by_change(true);
        bounded(by_change, model);
        search_announced(model);
    }

    fn search_announced(model: impl Fn() + Sync + Send + 'static) {
        READ.store(ANNOUNCED, SeqCst);
        bounded(2, model);
    }

    fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
        let mut search = loom::model::Builder::new();
        search.preemption_bound = Some(preemptions);
        search.check(model);
    }

    #[derive(Debug)]
    pub struct AtomicU64 {
        inner: Inner,
        by_change: bool,
        announced: Option<Inner>,
    }

    impl AtomicU64 {
        pub fn new(value: u64) -> Self {
            let read = READ.load(SeqCst);
            let announced = (read == ANNOUNCED).then(|| Inner::new(0));
            Self { inner: Inner::new(value), by_change: read == BY_CHANGE, announced }
        }

        fn inner(&self) -> &Inner {
            if let Some(announced) = &self.announced {
                announced.fetch_add(0, Ordering::Relaxed);
            }
            &self.inner
        }

        pub fn load(&self, order: Ordering) -> u64 {
            if self.by_change { self.inner.fetch_add(0, order) } else { self.inner().load(order) }
        }

        pub fn store(&self, value: u64, order: Ordering) {
            if self.by_change {
                self.inner.swap(value, order);
            } else {
                self.inner().store(value, order);
            }
        }

        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.inner().swap(value, order)
        }

        pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.inner().fetch_add(value, order)
        }

        pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.inner().fetch_sub(value, order)
        }

        pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            self.inner().fetch_and(value, order)
        }

        pub fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            self.inner().fetch_max(value, order)
        }

        pub fn compare_exchange(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.inner().compare_exchange(seen, next, success, failure)
        }

        pub fn compare_exchange_weak(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.inner().compare_exchange_weak(seen, next, success, failure)
        }

        pub fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            mut change: impl FnMut(u64) -> Option<u64>,
        ) -> Result<u64, u64> {
            let mut seen = self.load(failure);
            while let Some(next) = change(seen) {
                match self.inner().compare_exchange(seen, next, success, failure) {
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
