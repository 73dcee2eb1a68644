//! Results of several workers, put back into the order of their input.

use crate::sync::{Mutex, MutexGuard};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    mem,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

/// Where workers bring the results of their chunks.
///
/// Chunks are numbered by their first item. The worker whose chunk is the next
/// in order passes its results on, and then those of the chunks behind it that
/// have been left here meanwhile. Any other worker leaves its results here, if
/// there is room for them, and otherwise waits until there is or until it is next.
///
/// No deadlock: every number has been given to a worker or is still in the
/// queue, so the next in order is always somebody's, and that one never waits
/// here.
pub(crate) struct Reorder<T> {
    state: Mutex<State<T>>,
    /// How many results may lie here.
    room: usize,
}

struct State<T> {
    /// The number that is next.
    next: u64,
    /// By their number: how many items a chunk had, and what came of it.
    left: BTreeMap<u64, (u64, Vec<T>)>,
    /// Results in there, one at least for each chunk.
    held: usize,
    /// A worker is gone, and its number will never come.
    broken: bool,
    /// By their number, those who wait for their turn or for room.
    waiting: BTreeMap<u64, Waker>,
}

/// What to do with one's results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// They are next: pass them on, then say so with [`Reorder::passed`].
    Pass,
    /// They were taken in.
    Left,
    /// The order can't be kept any more.
    Broken,
}

impl<T> Reorder<T> {
    pub(crate) fn new(room: usize) -> Self {
        let (left, waiting) = (BTreeMap::new(), BTreeMap::new());
        let state = State { next: 0, left, held: 0, broken: false, waiting };
        Self { state: Mutex::new(state), room }
    }

    /// Whether that is the number that is next.
    pub(crate) fn is_next(&self, at: u64) -> bool {
        self.state().next == at
    }

    /// Brings the results of `items` items from number `at` on. Where there are
    /// none of the items' last results yet (`items` is 0), waits until they are
    /// next.
    pub(crate) async fn turn(&self, at: u64, items: u64, results: &mut Vec<T>) -> Turn {
        poll_fn(|cx| self.poll_turn(cx, at, items, results)).await
    }

    pub(crate) fn poll_turn(
        &self,
        cx: &Context<'_>,
        at: u64,
        items: u64,
        results: &mut Vec<T>,
    ) -> Poll<Turn> {
        let mut state = self.state();
        if state.broken {
            return Poll::Ready(Turn::Broken);
        }
        if state.next == at {
            return Poll::Ready(Turn::Pass);
        }
        let size = results.len().max(1);
        if items > 0 && state.held + size <= self.room {
            state.held += size;
            state.left.insert(at, (items, mem::take(results)));
            return Poll::Ready(Turn::Left);
        }
        state.waiting.insert(at, cx.waker().clone());
        Poll::Pending
    }

    /// `items` items, with all that came of them, have been passed on by the one
    /// whose turn it was. The next results, if they are here: the same worker
    /// passes them on, too.
    pub(crate) fn passed(&self, items: u64) -> Option<(u64, Vec<T>)> {
        let mut state = self.state();
        state.next += items;
        let next = state.next;
        let following = state.left.remove(&next);
        if let Some((_, results)) = &following {
            state.held -= results.len().max(1);
        }
        // Whose turn it is; and where there is more room now, all who want some.
        let turn = state.waiting.remove(&next);
        let room = following.as_ref().map(|_| mem::take(&mut state.waiting));
        drop(state);
        turn.into_iter()
            .chain(room.into_iter().flat_map(BTreeMap::into_values))
            .for_each(Waker::wake);
        following
    }

    /// A number will never come: nobody is to wait for it.
    pub(crate) fn break_off(&self) {
        let mut state = self.state();
        state.broken = true;
        let left = mem::take(&mut state.left);
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        drop(left); // items, which may do anything
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use futures::task::noop_waker_ref;

    fn bring(order: &Reorder<u8>, at: u64) -> Poll<Turn> {
        let cx = Context::from_waker(noop_waker_ref());
        order.poll_turn(&cx, at, 1, &mut vec![0])
    }

    #[test]
    fn who_asks_often_waits_once() {
        let order = Reorder::new(0);
        for _ in 0..1_000 {
            assert!(bring(&order, 7).is_pending());
        }
        assert_eq!(order.state().waiting.len(), 1);
    }

    #[test]
    fn those_whose_turn_it_is_not_sleep_on_unless_there_is_room() {
        let order = Reorder::new(1);
        assert_eq!(bring(&order, 2), Poll::Ready(Turn::Left));
        for at in [1, 3, 4] {
            assert!(bring(&order, at).is_pending());
        }
        assert_eq!(bring(&order, 0), Poll::Ready(Turn::Pass));
        assert!(order.passed(1).is_none());
        assert_eq!(order.state().waiting.keys().copied().collect::<Vec<_>>(), [3, 4]);
        assert_eq!(bring(&order, 1), Poll::Ready(Turn::Pass));
        assert!(order.passed(1).is_some(), "what was left, whose room is free now");
        assert!(order.state().waiting.is_empty());
        assert_eq!(order.state().held, 0);
    }
}
