//! The lock, and what can be read beside it.

use crate::{
    Closed,
    chunk::Hold,
    load::Stats,
    side::Wakes,
    state::State,
    sync::{AtomicUsize, Mutex, MutexGuard, Ordering},
    watch::Watch,
};
use plimsoll_core::Load;
use plimsoll_wait::Spot;
use std::{
    collections::VecDeque,
    hint,
    sync::{PoisonError, TryLockError},
    task::{Poll, Waker},
};

/// Pauses before one asks again for a lock that was taken, and how often one
/// asks before the thread goes to sleep for it. Loom needs no patience.
const SPINS: usize = 128;
const ROUNDS: usize = if cfg!(plimsoll_loom) { 0 } else { 2 };

pub(crate) type Weigh<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;

/// In this order, so that `load` is beside the state's end.
#[repr(C)]
pub(crate) struct Shared<T> {
    state: Mutex<State<T>>,
    /// A copy of the room taken, for those who look without the lock.
    load: AtomicUsize,
    capacity: usize,
    weigh: Option<Weigh<T>>,
}

impl<T> Shared<T> {
    pub(crate) fn new(capacity: usize, weigh: Option<Weigh<T>>, watch: Watch) -> Self {
        let state = Mutex::new(State::new(capacity, weigh.is_some(), watch));
        Self { state, load: AtomicUsize::new(0), capacity, weigh }
    }

    /// Runs `act` under the lock, and wakes whom it told after the lock.
    #[inline]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State<T>, &mut Wakes) -> R) -> R {
        self.go_on(self.lock(), act)
    }

    #[inline(never)]
    fn go_on<R>(
        &self,
        mut state: MutexGuard<'_, State<T>>,
        act: impl FnOnce(&mut State<T>, &mut Wakes) -> R,
    ) -> R {
        let mut wakes = Wakes::default();
        let result = act(&mut state, &mut wakes);
        state.settle();
        self.load.store(state.used(), Ordering::Relaxed);
        drop(state);
        wakes.wake();
        result
    }

    /// One item in: quickly, if it does not wait and there is no more to do.
    #[inline]
    pub(crate) fn poll_send(
        &self,
        item: &mut Option<T>,
        weight: usize,
        spot: &mut Option<Spot>,
        waker: &Waker,
    ) -> Poll<Result<(), Closed>> {
        let mut state = self.lock();
        if spot.is_none() {
            if let Some(load) = state.quick_send(item) {
                self.load.store(load, Ordering::Relaxed);
                return Poll::Ready(Ok(()));
            }
        }
        self.go_on(state, |state, wakes| state.poll_send(item, weight, spot, waker, wakes))
    }

    /// One item out: quickly, if it does not wait and there is no more to do.
    #[inline]
    pub(crate) fn poll_recv(&self, spot: &mut Option<Spot>, waker: &Waker) -> Poll<Option<T>> {
        let mut state = self.lock();
        if spot.is_none() {
            if let Some((item, load)) = state.quick_recv() {
                self.load.store(load, Ordering::Relaxed);
                return Poll::Ready(Some(item));
            }
        }
        self.go_on(state, |state, wakes| {
            state.poll_recv(spot, waker, wakes, |state, _, wakes| state.pop(wakes))
        })
    }

    /// All of a deque in: quickly, if it does not wait and there is no more to do.
    #[inline]
    pub(crate) fn poll_send_all(
        &self,
        items: &mut VecDeque<T>,
        weights: &mut VecDeque<usize>,
        spot: &mut Option<Spot>,
        waker: &Waker,
    ) -> Poll<Result<(), Closed>> {
        if items.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut state = self.lock();
        if spot.is_none() {
            if let Some(load) = state.quick_send_all(items) {
                self.load.store(load, Ordering::Relaxed);
                return Poll::Ready(Ok(()));
            }
        }
        self.go_on(state, |state, wakes| state.poll_send_all(items, weights, spot, waker, wakes))
    }

    /// A chunk out: quickly, if it does not wait and there is no more to do. Whether
    /// there was one; if not, nothing will come.
    #[inline]
    pub(crate) fn poll_take(
        &self,
        max: usize,
        into: &mut VecDeque<T>,
        hold: &mut Hold,
        spot: &mut Option<Spot>,
        waker: &Waker,
    ) -> Poll<bool> {
        let mut state = self.lock();
        if spot.is_none() && state.quick_take(max, into, hold) {
            return Poll::Ready(true);
        }
        self.go_on(state, |state, wakes| {
            let taken = state.poll_recv(spot, waker, wakes, |state, available, _| {
                state.take(available.min(max), into, hold);
                Some(())
            });
            taken.map(|taken| taken.is_some())
        })
    }

    /// Room back: quickly, if nobody waits to be told.
    #[inline]
    pub(crate) fn release(&self, weight: usize) {
        let mut state = self.lock();
        match state.quick_release(weight) {
            Some(load) => self.load.store(load, Ordering::Relaxed),
            None => self.go_on(state, |state, wakes| state.release(weight, wakes)),
        }
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => recovered(poisoned),
            Err(TryLockError::WouldBlock) => self.lock_contended(),
        }
    }

    /// The other end is busy with this channel right now, and is likely to be so
    /// again at once. Left alone for some microseconds it does many operations in
    /// a row, where two who snatch the lock from each other wait for its cache
    /// line each time: a third of the time per item for two threads.
    #[cold]
    fn lock_contended(&self) -> MutexGuard<'_, State<T>> {
        for _ in 0..ROUNDS {
            for _ in 0..SPINS {
                hint::spin_loop();
            }
            if let Ok(state) = self.state.try_lock() {
                return state;
            }
        }
        self.state.lock().unwrap_or_else(recovered)
    }

    pub(crate) fn is_by_weight(&self) -> bool {
        self.weigh.is_some()
    }

    /// What `item` weighs, one at least: weightless items would have no bound.
    #[inline]
    pub(crate) fn weight(&self, item: &T) -> usize {
        self.weigh.as_ref().map_or(1, |weigh| weigh(item).max(1))
    }

    /// What each of `items` weighs; nothing where all weigh 1.
    #[inline]
    pub(crate) fn weights(&self, items: &VecDeque<T>) -> VecDeque<usize> {
        if self.weigh.is_none() {
            return VecDeque::new();
        }
        items.iter().map(|item| self.weight(item)).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_closed()
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = self.lock();
        Stats {
            len: state.len(),
            load: state.used(),
            capacity: self.capacity,
            high_water: state.high_water(),
            sends_waiting: state.sending.waiting(),
            recvs_waiting: state.receiving.waiting(),
            send_blocked: state.sending.blocked(&state.watch),
            recv_blocked: state.receiving.blocked(&state.watch),
        }
    }
}

/// Of the user's, only the clock and the clone of a waker run under the lock. If
/// they panic, all is whole but what the quick paths go by.
fn recovered<T>(poisoned: PoisonError<MutexGuard<'_, State<T>>>) -> MutexGuard<'_, State<T>> {
    let mut state = poisoned.into_inner();
    state.settle();
    state
}

impl<T: Send> Load for Shared<T> {
    #[inline]
    fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    #[inline]
    fn capacity(&self) -> Option<usize> {
        Some(self.capacity)
    }
}
