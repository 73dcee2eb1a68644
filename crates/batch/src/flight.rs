//! One batch on its way through the flush function: in one call, or halved as
//! often as it takes. Decides what to flush next; calls nothing itself.

use crate::{
    SubmitError,
    output::Results,
    settings::{Halve, Settings},
    slab::Answer,
};
use std::{any::Any, iter, sync::Arc};

/// A flush that panicked: its message.
pub(crate) type Panicked = Arc<str>;

pub(crate) struct Flight<T, R, E> {
    /// What is still to be flushed, the first of it last.
    todo: Vec<Vec<T>>,
    /// How many calls of the flush function may follow the first, and how a
    /// batch is copied for them.
    halve: Option<Halve<T>>,
    /// What is being flushed: how many, and a copy if it can be halved.
    under_way: (usize, Option<Vec<T>>),
    answers: Vec<Answer<R, E>>,
}

impl<T, R, E> Flight<T, R, E> {
    pub(crate) fn new(items: Vec<T>, settings: &Settings<T, R, E>) -> Self {
        let halve = settings.halve;
        Self { todo: vec![items], halve, under_way: (0, None), answers: Vec::new() }
    }

    /// What to flush now. To be followed by [`done`](Self::done).
    pub(crate) fn next(&mut self) -> Option<Vec<T>> {
        let items = self.todo.pop()?;
        let copy = match self.halve {
            // A call for each half.
            Some((2.., copy)) if items.len() > 1 => Some(copy(&items)),
            _ => None,
        };
        self.under_way = (items.len(), copy);
        Some(items)
    }

    /// How that went.
    pub(crate) fn done(&mut self, outcome: Result<Results<R, E>, Panicked>) {
        let (sent, copy) = std::mem::take(&mut self.under_way);
        match (outcome, copy) {
            (Ok(Results::Each(results)), _) if results.len() == sent => {
                let results = results.into_iter().map(|it| it.map_err(SubmitError::Failed));
                if self.answers.is_empty() {
                    self.answers = results.collect();
                } else {
                    self.answers.extend(results);
                }
            }
            // What was done and what was not is unknown: not to be done again.
            (Ok(Results::Each(results)), _) => {
                let got = results.len();
                self.all(sent, || SubmitError::WrongCount { sent, got });
            }
            (Ok(Results::Whole(..)) | Err(_), Some(mut left)) => {
                let right = left.split_off(sent / 2);
                self.todo.extend([right, left]);
                self.halve = self.halve.map(|(calls, copy)| (calls.saturating_sub(2), copy));
            }
            (Ok(Results::Whole(error, copy)), None) => {
                self.all(sent, || SubmitError::Failed(copy(&error)));
            }
            (Err(message), None) => self.all(sent, || SubmitError::Panicked(Arc::clone(&message))),
        }
    }

    /// An answer for each item, in order, when there is nothing more to flush.
    pub(crate) fn answers(self) -> Vec<Answer<R, E>> {
        self.answers
    }

    fn all(&mut self, n: usize, error: impl FnMut() -> SubmitError<E>) {
        self.answers.extend(iter::repeat_with(error).take(n).map(Err));
    }
}

pub(crate) fn message(panic: Box<dyn Any + Send>) -> Panicked {
    match panic.downcast::<String>() {
        Ok(text) => text.as_str().into(),
        Err(panic) => (*panic.downcast::<&str>().unwrap_or(Box::new("no message"))).into(),
    }
}
