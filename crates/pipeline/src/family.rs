//! One source item that became several.

use crate::{
    item::{Fate, Mark},
    stats::{Ledger, Tally},
    sync::{AtomicU8, AtomicUsize, Mutex, Ordering},
};
use std::sync::{Arc, PoisonError};

/// The mark of one of several values that came of one item. The item ends with
/// the last of them, as the one that fared worst.
pub struct Child<M: Mark>(Option<Arc<Family<M>>>);

struct Family<M> {
    /// How many children have not ended.
    left: AtomicUsize,
    worst: AtomicU8,
    /// Taken by the last.
    parent: Mutex<Option<M>>,
    ledger: Arc<Ledger>,
}

impl<M: Mark> Child<M> {
    /// The first of a family.
    pub(crate) fn first(parent: M, ledger: &Arc<Ledger>) -> Self {
        Self(Some(Arc::new(Family {
            left: AtomicUsize::new(1),
            worst: AtomicU8::new(Fate::Filtered as u8),
            parent: Mutex::new(Some(parent)),
            ledger: Arc::clone(ledger),
        })))
    }

    /// One more of the same family. This one has not ended, so nor has the family.
    pub(crate) fn sibling(&self) -> Self {
        if let Some(family) = &self.0 {
            family.left.fetch_add(1, Ordering::Relaxed);
        }
        Self(self.0.clone())
    }

    /// Stands for no value: it kept the family together while more were to come.
    pub(crate) fn close(mut self, fate: Fate) {
        if let Some((parent, worst, ledger)) = self.leave(fate) {
            parent.end(worst, &mut ledger.tally());
        }
    }

    /// Ends, and the parent with it if this is the last. Each leaves word of how
    /// it fared before it counts itself out: Release there, and Acquire in the
    /// last one, which therefore reads the worst of all.
    fn leave(&mut self, fate: Fate) -> Option<(M, Fate, Arc<Ledger>)> {
        let family = self.0.take()?;
        family.worst.fetch_max(fate as u8, Ordering::Relaxed);
        if family.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        let worst = Fate::from_number(family.worst.load(Ordering::Relaxed));
        let parent = family.parent.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((parent, worst, Arc::clone(&family.ledger)))
    }
}

impl<M: Mark> Mark for Child<M> {
    fn end(mut self, fate: Fate, tally: &mut Tally<'_>) {
        if let Some((parent, worst, _)) = self.leave(fate) {
            parent.end(worst, tally);
        }
    }
}

impl<M: Mark> Drop for Child<M> {
    fn drop(&mut self) {
        if let Some((parent, worst, ledger)) = self.leave(Fate::Dropped) {
            parent.end(worst, &mut ledger.tally());
        }
    }
}
