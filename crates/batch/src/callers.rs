//! Who is told how a batch ended.

use crate::{
    SubmitError,
    intake::Batch,
    shared::Shared,
    slab::{Answer, Slab},
    sync,
};
use std::{
    iter, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// Those whose items are in one batch. Dropped without an answer, it tells them
/// that they were abandoned.
pub(crate) struct Callers<T, R, E> {
    shared: Arc<Shared<T, R, E>>,
    slab: sync::Arc<Slab<R, E>>,
    /// How many have no answer yet: all, or none.
    waiting: usize,
    shares: Vec<usize>,
    pushed: Vec<usize>,
}

impl<T, R, E> Callers<T, R, E> {
    /// Takes a batch apart: who is to be told, and the items.
    pub(crate) fn of(batch: Batch<T, R, E>, shared: &Arc<Shared<T, R, E>>) -> (Self, Vec<T>) {
        let Batch { items, slab, callers, shares, pushed, .. } = batch;
        (Self { shared: Arc::clone(shared), slab, waiting: callers, shares, pushed }, items)
    }

    /// Tells each caller the answer for its item.
    pub(crate) fn answer(mut self, of_items: Vec<Answer<R, E>>) {
        let answers = match self.shared.settings.copy_answer {
            Some(copy) if !self.shares.is_empty() => {
                self.shares.iter().map(|item| copy(&of_items[*item])).collect()
            }
            _ => of_items,
        };
        let unheard = self.tell(answers);
        self.shared.count_unheard(unheard);
    }

    /// How many of those who pushed have failed and have nobody to tell it.
    fn tell(&mut self, mut answers: Vec<Answer<R, E>>) -> usize {
        self.waiting = 0;
        let mut failed = Vec::new();
        for caller in mem::take(&mut self.pushed) {
            // Nobody will read the one that is left.
            failed.extend(mem::replace(&mut answers[caller], Err(SubmitError::Abandoned)).err());
        }
        self.slab.answer(answers.into_iter());
        match &self.shared.settings.on_push_error {
            Some(handler) => {
                // The panic hook has spoken; there is nobody else to tell.
                let _ = catch_unwind(AssertUnwindSafe(|| failed.into_iter().for_each(handler)));
                0
            }
            None => failed.len(),
        }
    }
}

impl<T, R, E> Drop for Callers<T, R, E> {
    fn drop(&mut self) {
        let waiting = self.waiting;
        if waiting > 0 {
            self.shared.count_unheard(waiting);
            self.tell(iter::repeat_with(|| Err(SubmitError::Abandoned)).take(waiting).collect());
        }
    }
}
