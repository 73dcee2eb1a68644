//! Items that were pulled together, and results that came of them.

use std::{cmp::Ordering, collections::BinaryHeap, collections::VecDeque, vec};

/// Neighbours in the order of the source, from the `first`-th on.
pub(crate) struct Run<T> {
    pub(crate) first: u64,
    pub(crate) items: vec::IntoIter<T>,
}

impl<T> Run<T> {
    pub(crate) fn new(first: u64, items: Vec<T>) -> Self {
        Self { first, items: items.into_iter() }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

// The earliest is the greatest: a `BinaryHeap` has it on top.
impl<T> Ord for Run<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.first.cmp(&self.first)
    }
}

impl<T> PartialOrd for Run<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Eq for Run<T> {}

impl<T> PartialEq for Run<T> {
    fn eq(&self, other: &Self) -> bool {
        self.first == other.first
    }
}

/// Results on their way to the consumer.
pub(super) enum Finished<R> {
    /// As they come.
    Unordered(VecDeque<Run<R>>),
    /// In the order of the source: `next` is the one that must come next. A heap
    /// gets runs that are nearly in order in constant time.
    Ordered { runs: BinaryHeap<Run<R>>, next: u64 },
}

impl<R> Finished<R> {
    pub(super) fn new(ordered: bool) -> Self {
        if ordered {
            Self::Ordered { runs: BinaryHeap::new(), next: 0 }
        } else {
            Self::Unordered(VecDeque::new())
        }
    }

    pub(super) fn put(&mut self, run: Run<R>) {
        match self {
            Self::Unordered(runs) => runs.push_back(run),
            Self::Ordered { runs, .. } => runs.push(run),
        }
    }

    /// Whether there is something to take now.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Unordered(runs) => !runs.is_empty(),
            Self::Ordered { runs, next } => runs.peek().is_some_and(|run| run.first == *next),
        }
    }

    /// Moves all that may come now into `to`, which is empty.
    pub(super) fn take(&mut self, to: &mut VecDeque<Run<R>>) {
        match self {
            Self::Unordered(runs) => std::mem::swap(runs, to),
            Self::Ordered { runs, next } => {
                while runs.peek().is_some_and(|run| run.first == *next) {
                    if let Some(run) = runs.pop() {
                        *next += run.len() as u64;
                        to.push_back(run);
                    }
                }
            }
        }
    }
}
