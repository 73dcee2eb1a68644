//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! Not gated on `test`, so that the models of a dependent crate reach through.

#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(plimsoll_loom)]
pub(crate) use self::modelled::{AtomicU64, Ordering, read_by_change};

/// loom tries another order where an access conflicts with the last one of the
/// same atomic. Where a thread reads and then exchanges, its own reading is the
/// last, and hides from loom that another thread has read: orders are missed. A
/// reading that is a change by nothing conflicts with all others, but never reads
/// an old value, as a relaxed one may. So models run both ways.
#[cfg(plimsoll_loom)]
mod modelled {
    use loom::sync::atomic::AtomicU64 as Inner;
    pub(crate) use loom::sync::atomic::Ordering;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    static BY_CHANGE: AtomicBool = AtomicBool::new(false);

    /// How atomics are read from here on: a process runs one model.
    pub(crate) fn read_by_change(by_change: bool) {
        BY_CHANGE.store(by_change, SeqCst);
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

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_add(value, order)
        }

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
