//! Who waits.

use super::NoPlace;
use std::task::Waker;

/// Somebody in the line of [`Places`](crate::Places).
#[derive(Debug)]
pub struct Waiter<K> {
    pub(super) n: u32,
    pub(super) key: K,
    pub(super) stage: Stage,
}

impl<K: Copy> Waiter<K> {
    /// What the [order](crate::Order) keeps with it.
    pub fn key(&self) -> K {
        self.key
    }
}

#[derive(Debug)]
pub(super) enum Stage {
    Waits(Option<Waker>),
    /// The places are taken and belong to this waiter.
    Served,
    Refused(NoPlace),
}
