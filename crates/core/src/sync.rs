//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! The cfg carries our name: a bare `--cfg loom` would also switch every
//! dependency that listens for it. Not gated on `test`, so that the models of
//! a dependent crate reach through.

#[cfg(all(any(feature = "testing", test), plimsoll_loom))]
pub(crate) use loom::sync::Mutex;
#[cfg(all(feature = "testing", not(plimsoll_loom)))]
pub(crate) use std::sync::Mutex;

#[cfg(plimsoll_loom)]
pub(crate) use self::modelled::{AtomicU64, Ordering};
#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

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
    use loom::sync::atomic::AtomicU64 as Inner;
    pub use loom::sync::atomic::Ordering;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    static BY_CHANGE: AtomicBool = AtomicBool::new(false);

    /// How atomics are read from here on: a process runs one model.
    pub fn read_by_change(by_change: bool) {
        BY_CHANGE.store(by_change, SeqCst);
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

    #[derive(Debug, Default)]
    pub struct AtomicU64(Inner);

    impl AtomicU64 {
        pub fn new(value: u64) -> Self {
            Self(Inner::new(value))
        }

        pub fn load(&self, order: Ordering) -> u64 {
            if BY_CHANGE.load(SeqCst) { self.0.fetch_add(0, order) } else { self.0.load(order) }
        }

        pub fn store(&self, value: u64, order: Ordering) {
            if BY_CHANGE.load(SeqCst) {
                self.0.swap(value, order);
            } else {
                self.0.store(value, order);
            }
        }

        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.0.swap(value, order)
        }

        pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_add(value, order)
        }

        pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_sub(value, order)
        }

        pub fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_and(value, order)
        }

        pub fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_max(value, order)
        }

        pub fn compare_exchange(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.0.compare_exchange(seen, next, success, failure)
        }

        pub fn compare_exchange_weak(
            &self,
            seen: u64,
            next: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.0.compare_exchange_weak(seen, next, success, failure)
        }

        pub fn fetch_update(
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
