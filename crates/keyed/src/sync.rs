//! The one file in this crate that knows loom exists.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

#[cfg(feature = "gates")]
pub(crate) use imp::atomic::AtomicUsize;
pub(crate) use imp::{Mutex, MutexGuard};

#[cfg(plimsoll_loom)]
pub(crate) use self::modelled::{AtomicU64, Ordering};
#[cfg(all(test, plimsoll_loom))]
pub(crate) use self::modelled::{search, search_within};
#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

/// loom tries another order where an access conflicts with the last one of the
/// same atomic. Where a thread reads and then exchanges, its own reading is the
/// last, and hides from loom that another thread has read: orders are missed. A
/// reading that is a change by nothing conflicts with all others, but never reads
/// an old value, as a relaxed one may. So models run both ways. Then a store is an
/// exchange: loom lets a change come after a store that it has not read.
#[cfg(plimsoll_loom)]
mod modelled {
    use loom::sync::atomic::AtomicU64 as Inner;
    pub(crate) use loom::sync::atomic::Ordering;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    static BY_CHANGE: AtomicBool = AtomicBool::new(false);

    /// Searches a model in every order of accesses, and with old values read. A
    /// process runs one model.
    #[cfg(test)]
    pub(crate) fn search(model: impl Fn() + Sync + Send + Copy + 'static) {
        for by_change in [false, true] {
            BY_CHANGE.store(by_change, SeqCst);
            loom::model(model);
        }
    }

    /// The same, with at most so many preemptions where readings are changes.
    #[cfg(test)]
    pub(crate) fn search_within(
        preemptions: usize,
        model: impl Fn() + Sync + Send + Copy + 'static,
    ) {
        loom::model(model);
        BY_CHANGE.store(true, SeqCst);
        let mut search = loom::model::Builder::new();
        search.preemption_bound = Some(preemptions);
        search.check(model);
    }

    #[derive(Debug, Default)]
    pub(crate) struct AtomicU64(Inner);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(Inner::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            if BY_CHANGE.load(SeqCst) { self.0.fetch_add(0, order) } else { self.0.load(order) }
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            if BY_CHANGE.load(SeqCst) {
                self.0.swap(value, order);
            } else {
                self.0.store(value, order);
            }
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_add(value, order)
        }

        pub(crate) fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_sub(value, order)
        }

        #[cfg(test)]
        pub(crate) fn compare_exchange(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.0.compare_exchange(seen, next, success, failure)
        }

        #[cfg(test)]
        pub(crate) fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            mut change: impl FnMut(u64) -> Option<u64>,
        ) -> Result<u64, u64> {
            let mut seen = self.load(failure);
            while let Some(next) = change(seen) {
                match self.0.compare_exchange(seen, next, success, failure) {
                    Ok(seen) => return Ok(seen),
                    Err(now) => seen = now,
                }
            }
            Err(seen)
        }
    }
}
