//! Who of those who wait is served next, and who is not served at all.
//!
//! Each file is one discipline: its decision, told the time, and around it the
//! order that the line asks. The line and its lock are those of `plimsoll-wait`.

mod codel;
mod lifo;
mod ranked;
#[cfg(all(test, not(plimsoll_loom)))]
mod reference;

pub use self::{
    codel::CoDel,
    lifo::Lifo,
    ranked::{ByDeadline, ByPriority},
};

use plimsoll_core::Clock;
use plimsoll_wait::{Arrival, Order};

/// In which order a [`ConcurrencyLimit`](crate::ConcurrencyLimit) serves those
/// who wait. Those of this crate are all there are.
pub trait Discipline: Clone + Send + Sync + sealed::Sealed {
    /// What the line asks.
    #[doc(hidden)]
    type Order<K: Clock>: Order;

    /// A new one, by `clock`.
    #[doc(hidden)]
    fn order<K: Clock>(&self, clock: K) -> Self::Order<K>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Fifo {}
    impl Sealed for super::Lifo {}
    impl Sealed for super::CoDel {}
    impl Sealed for super::ByPriority {}
    impl Sealed for super::ByDeadline {}
}

/// First come, first served. What a [`ConcurrencyLimit`](crate::ConcurrencyLimit)
/// does unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

impl Discipline for Fifo {
    type Order<K: Clock> = Arrival;

    fn order<K: Clock>(&self, _: K) -> Arrival {
        Arrival
    }
}
