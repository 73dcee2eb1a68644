//! The account of source items.

use crate::{
    item::Fate,
    stats::Slot,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// How many source items were read, and how many ended in which way. What was
/// read and has not ended is inside, or, when the run is over, dropped.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    read: AtomicU64,
    ended: [AtomicU64; 6],
}

impl Ledger {
    pub(crate) fn tally(&self) -> Tally<'_> {
        Tally { ledger: self, slot: None, ended: [0; 6], given: 0 }
    }

    pub(crate) fn read(&self, items: u64) {
        self.read.fetch_add(items, Relaxed);
    }

    pub(crate) fn read_so_far(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(crate) fn ended(&self, fate: Fate) -> u64 {
        self.ended[fate as usize].load(Relaxed)
    }
}

/// What one worker adds to the account, together for some items. Written down
/// when it is dropped, so that nothing is lost with a task.
#[derive(Debug)]
pub struct Tally<'a> {
    ledger: &'a Ledger,
    slot: Option<&'a Slot>,
    ended: [u64; 6],
    given: u64,
}

impl<'a> Tally<'a> {
    /// For a worker, which also counts what it gives.
    pub(crate) fn of(ledger: &'a Ledger, slot: &'a Slot) -> Self {
        Self { slot: Some(slot), ..ledger.tally() }
    }
}

impl Tally<'_> {
    #[inline]
    pub(crate) fn add(&mut self, fate: Fate, items: u64) {
        self.ended[fate as usize] += items;
    }

    #[inline]
    pub(crate) fn given(&mut self, items: u64) {
        self.given += items;
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        for (total, here) in self.ledger.ended.iter().zip(self.ended) {
            if here > 0 {
                total.fetch_add(here, Relaxed);
            }
        }
        if let Some(slot) = self.slot.filter(|_| self.given > 0) {
            slot.given.add(self.given);
        }
    }
}
