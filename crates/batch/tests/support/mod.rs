//! A flush that writes down what it was given.

use plimsoll_batch::Batcher;
use std::sync::{Arc, Mutex, PoisonError};

/// The batches that a flush was given, in order.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Vec<Vec<u64>>>>);

impl Ledger {
    pub(crate) fn write(&self, batch: &[u64]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch.to_vec());
    }

    pub(crate) fn batches(&self) -> Vec<Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    #[allow(dead_code, reason = "not every test file asks")]
    pub(crate) fn items(&self) -> Vec<u64> {
        let mut items = self.batches().concat();
        items.sort_unstable();
        items
    }
}

/// Answers each item with itself.
#[allow(dead_code, reason = "not every test file asks")]
pub(crate) fn echo(ledger: &Ledger) -> Batcher<u64, u64, String> {
    let ledger = ledger.clone();
    Batcher::new(move |items: Vec<u64>| {
        ledger.write(&items);
        async move { items.into_iter().map(Ok).collect::<Vec<_>>() }
    })
}
