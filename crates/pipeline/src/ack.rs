//! Telling a source that its item is done with.

use crate::{
    item::{Fate, Mark},
    stats::Tally,
};

/// Says to a source that one of its items is done with, for a source that
/// delivers again what nobody acknowledged: a queue, a log, a table of jobs.
///
/// Given with each item to [`Pipeline::from_acked`](crate::Pipeline::from_acked).
/// Any `FnOnce()` is one.
///
/// It is called once, after everything that came of the item was written by the
/// sink, taken by the dead-letter sink, skipped or filtered. If anything of it
/// failed or was dropped, the ack is dropped and never called: deliver again.
pub trait Ack: Send + 'static {
    /// The item is done with. Called from a task of the pipeline: must not block.
    ///
    /// Nor should it panic: that ends the run as a panic of the stage in which the
    /// item came to its end. The report counts the item as it ended, as written
    /// say, for so it is; that its source does not know of it is told by the
    /// [`Cause::Panicked`](crate::Cause::Panicked) alone.
    fn ack(self);
}

impl<F: FnOnce() + Send + 'static> Ack for F {
    fn ack(self) {
        self();
    }
}

/// The mark of an item that its source wants to hear of.
#[derive(Debug)]
pub struct Acked<A>(pub(crate) A);

impl<A: Ack> Mark for Acked<A> {
    fn end(self, fate: Fate, tally: &mut Tally<'_>) {
        tally.add(fate, 1);
        if fate.is_settled() {
            self.0.ack();
        }
    }
}
