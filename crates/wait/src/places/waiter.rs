//! Who waits.

use super::NoPlace;
use std::task::Waker;

/// Somebody in the line of [`Places`](crate::Places).
#[derive(Debug)]
pub struct Waiter<K> {
    pub(super) n: u32,
    pub(super) stage: Stage,
    pub(super) key: K,
    /// Whom to tell; nobody once they were told.
    pub(super) waker: Option<Waker>,
}

impl<K: Copy> Waiter<K> {
    /// How many places it waits for.
    pub fn n(&self) -> u32 {
        self.n
    }

    /// What the [order](crate::Order) keeps with it.
    pub fn key(&self) -> K {
        self.key
    }
}

/// The waker is not in it: one that shares its memory with a reason would have
/// to be moved in odd pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waits,
    /// The places are taken and belong to this waiter.
    Served,
    Refused(NoPlace),
}
