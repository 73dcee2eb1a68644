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
    thread,
};

/// Those whose items are in one batch. Dropped without an answer, it tells them
/// that they were abandoned.
pub(crate) struct Callers<T, R, E> {
    shared: Arc<Shared<T, R, E>>,
    number: u64,
    slab: sync::Arc<Slab<R, E>>,
    /// How many have no answer yet: all, or none.
    waiting: usize,
    shares: Vec<usize>,
    pushed: Vec<usize>,
}

impl<T, R, E> Callers<T, R, E> {
    /// Takes a batch apart: who is to be told, and the items.
    pub(crate) fn of(batch: Batch<T, R, E>, shared: &Arc<Shared<T, R, E>>) -> (Self, Vec<T>) {
        let Batch { number, items, slab, callers: waiting, shares, pushed, .. } = batch;
        (Self { shared: Arc::clone(shared), number, slab, waiting, shares, pushed }, items)
    }

    /// Tells each caller the answer for its item.
    pub(crate) fn answer(mut self, of_items: Vec<Answer<R, E>>) {
        let answers = match self.shared.settings.copy_answer {
            Some(copy) if !self.shares.is_empty() => {
                self.shares.iter().map(|item| copy(&of_items[*item])).collect()
            }
            _ => of_items,
        };
        self.waiting = 0;
        let unheard = self.tell(answers);
        self.shared.count_unheard(unheard);
    }

    /// How many of those who pushed have failed and have nobody to tell it.
    fn tell(&mut self, mut answers: Vec<Answer<R, E>>) -> usize {
        let mut failed = Vec::new();
        for caller in mem::take(&mut self.pushed) {
            // Nobody will read the one that is left.
            failed.extend(mem::replace(&mut answers[caller], Err(SubmitError::Abandoned)).err());
        }
        let told = answers.len();
        self.slab.answer(answers);
        self.shared.teller.tell(&self.slab, told);
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
        let waiting = mem::take(&mut self.waiting);
        if waiting > 0 {
            let why = || match thread::panicking() {
                true => SubmitError::Panicked("while an item or a result was cloned".into()),
                false => SubmitError::Abandoned,
            };
            self.shared.count_unheard(waiting);
            self.tell(iter::repeat_with(why).take(waiting).map(Err).collect());
        }
        self.shared.finished(self.number);
    }
}
