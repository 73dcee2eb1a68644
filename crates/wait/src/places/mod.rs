//! A counted number of places, handed out first come first served.

mod error;
mod take;
mod waiter;
mod word;

pub use self::{error::NoPlace, take::Take, waiter::Waiter};
use self::{
    waiter::Stage,
    word::{WAITING, fits, is_free, limit_of, refusal, used, used_of},
};

use crate::{
    Arrival, Line, Next, Order, Spot,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
};
use std::{
    fmt, mem,
    sync::PoisonError,
    task::{Poll, Waker},
};

/// A number of places that may be taken and given back, with a fair line for
/// those who find none.
///
/// Free places cost one compare-and-swap to take and one subtraction to give
/// back. Only when somebody waits does anybody take the lock. While somebody
/// waits, a newcomer is refused or joins the line, even if a place is free
/// that is too small for the one in front: who came first is served first, and
/// a small request does not overtake a large one.
///
/// The number may change while places are out. A lower one takes effect as
/// places come back.
///
/// It knows no permits: whoever takes places must give back as many, once.
///
/// Another [`Order`] than that of arrival may say who is next.
///
/// # Example
///
/// ```
/// use plimsoll_wait::Places;
///
/// let places = Places::new(3, 16);
/// places.try_take(2)?;
/// assert!(places.try_take(2).is_err(), "one is left");
/// places.give_back(2);
/// assert_eq!((places.used(), places.limit()), (0, 3));
/// # Ok::<(), plimsoll_wait::NoPlace>(())
/// ```
pub struct Places<O: Order = Arrival> {
    /// See `word.rs`.
    word: AtomicU64,
    desk: Mutex<Desk<O>>,
}

/// What the lock is around: who waits, and who is next.
struct Desk<O: Order> {
    line: Line<Waiter<O::Key>>,
    order: O,
}

impl Places {
    /// The most places there may be.
    pub const MAX: u32 = i32::MAX as u32;

    /// `limit` places, [`MAX`](Self::MAX) at most, and a line of at most
    /// `queue` who wait. No place at all is legal: everybody is refused.
    #[must_use]
    pub fn new(limit: u32, queue: usize) -> Self {
        Self::ordered(limit, queue, Arrival)
    }
}

impl<O: Order> Places<O> {
    /// [`new`](Places::new), with an order of its own.
    #[must_use]
    pub fn ordered(limit: u32, queue: usize, order: O) -> Self {
        let word = u64::from(limit.min(Places::MAX));
        let desk = Mutex::new(Desk { line: Line::new(queue), order });
        Self { word: AtomicU64::new(word), desk }
    }

    /// Takes `n` places if they are free and nobody waits. None are always had.
    ///
    /// # Errors
    ///
    /// [`NoPlace::TooLarge`] when there are fewer than `n`, taken or not,
    /// [`NoPlace::Full`] otherwise.
    #[inline]
    pub fn try_take(&self, n: u32) -> Result<(), NoPlace> {
        if n == 0 {
            return Ok(());
        }
        let word = self.word.load(Ordering::Relaxed);
        if !is_free(word, n) {
            return Err(refusal(word, n));
        }
        self.replace(word, word + used(n)).or_else(|seen| self.try_again(seen, n))
    }

    /// Somebody else was faster. Out of line: the first attempt costs less alone.
    #[cold]
    #[inline(never)]
    fn try_again(&self, mut word: u64, n: u32) -> Result<(), NoPlace> {
        while is_free(word, n) {
            match self.replace(word, word + used(n)) {
                Ok(()) => return Ok(()),
                Err(seen) => word = seen,
            }
        }
        Err(refusal(word, n))
    }

    /// Takes `n` places, waiting for them in line.
    ///
    /// # Errors
    ///
    /// [`NoPlace::LineFull`] when it would have to wait and the line is full;
    /// [`NoPlace::TooLarge`] when there are fewer than `n` places, or get fewer
    /// while it waits.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the line; places that it was given in that moment go
    /// to the next.
    pub fn take(&self, n: u32) -> Take<'_, O>
    where
        O: Order<About = ()>,
    {
        self.take_as(n, ())
    }

    /// [`take`](Self::take) by somebody about whom the order must know.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take), and [`NoPlace::Dropped`] when the order refuses
    /// it.
    ///
    /// # Cancel safety
    ///
    /// As [`take`](Self::take).
    pub fn take_as(&self, n: u32, about: O::About) -> Take<'_, O> {
        Take::new(self, n, about)
    }

    /// Gives `n` places back, which must have been taken. Returns how many were
    /// taken until then, these included.
    #[inline]
    pub fn give_back(&self, n: u32) -> u32 {
        let before = self.word.fetch_sub(used(n), Ordering::Release);
        debug_assert!(used_of(before) >= n, "given back more than was taken");
        if before & WAITING != 0 {
            self.serve_all();
        }
        used_of(before)
    }

    /// Changes the number of places, to [`MAX`](Self::MAX) at most.
    ///
    /// If there are more, those in front of the line get them at once. If there
    /// are fewer, nobody loses a place, and those who wait for more than there
    /// are now get [`NoPlace::TooLarge`].
    pub fn resize(&self, limit: u32) {
        let limit = limit.min(Places::MAX);
        let mut desk = self.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        while let Err(seen) = self.replace(word, word & !u64::from(u32::MAX) | u64::from(limit)) {
            word = seen;
        }
        let of_more = |(spot, waiter): (Spot, &Waiter<_>)| (waiter.n > limit).then_some(spot);
        let too_large: Vec<Spot> = desk.line.iter().filter_map(of_more).collect();
        let wakers: Vec<Waker> = too_large
            .into_iter()
            .filter_map(|spot| desk.conclude(spot, Stage::Refused(NoPlace::TooLarge)))
            .collect();
        self.open_if_empty(&desk);
        drop(desk);
        wakers.into_iter().for_each(Waker::wake);
        self.serve_all();
    }

    /// How many places there are.
    #[must_use]
    pub fn limit(&self) -> u32 {
        limit_of(self.word.load(Ordering::Relaxed))
    }

    /// How many places are taken. After a [`resize`](Self::resize) it may be
    /// more than there are.
    #[must_use]
    pub fn used(&self) -> u32 {
        used_of(self.word.load(Ordering::Relaxed))
    }

    /// How many wait in line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        if self.word.load(Ordering::Relaxed) & WAITING == 0 { 0 } else { self.lock().line.len() }
    }

    fn lock(&self) -> MutexGuard<'_, Desk<O>> {
        // No waker runs under it, and the line is whole between steps.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acquire: what the last holder did comes before what the next one does.
    #[inline]
    fn replace(&self, word: u64, new: u64) -> Result<(), u64> {
        self.word.compare_exchange(word, new, Ordering::Acquire, Ordering::Relaxed).map(drop)
    }

    /// Serves the line until the next does not fit or nobody is left. Each is
    /// woken after the lock is released.
    fn serve_all(&self) {
        loop {
            let mut desk = self.lock();
            let Some(told) = self.serve_next(&mut desk) else { return };
            // Whoever gives back after this looks at the line as well.
            let word = self.word.load(Ordering::Relaxed);
            let more = !desk.line.is_empty() && fits(word, 1);
            drop(desk);
            if let Some(waker) = told {
                waker.wake();
            }
            if !more {
                return;
            }
        }
    }

    /// Takes places for the one who is next, if they fit, or refuses it.
    fn serve_next(&self, desk: &mut Desk<O>) -> Option<Option<Waker>> {
        let mut word = self.word.load(Ordering::Relaxed);
        // It only grows: while anybody waits, nobody else takes places.
        let free = limit_of(word).saturating_sub(used_of(word));
        if free == 0 {
            return None;
        }
        let next = match desk.order.next(&desk.line, free)? {
            Next::Serve(next) => next,
            Next::Refuse(next) => {
                let told = desk.conclude(next, Stage::Refused(NoPlace::Dropped));
                self.open_if_empty(desk);
                return Some(told);
            }
        };
        let n = desk.line.get(next)?.n;
        // The last to be served opens the places to everybody, in the same step.
        let waiting = if desk.line.len() == 1 { 0 } else { WAITING };
        loop {
            if !fits(word, n) {
                return None;
            }
            match self.replace(word, ((word & !WAITING) + used(n)) | waiting) {
                Ok(()) => break,
                Err(seen) => word = seen,
            }
        }
        Some(desk.conclude(next, Stage::Served))
    }

    /// Takes places if nobody waits and they are free, or joins the line.
    fn join(&self, n: u32, about: O::About, waker: &Waker) -> Result<Option<Spot>, NoPlace> {
        // Wakers are others' code: they are cloned and dropped outside the lock.
        let waker = Some(waker.clone());
        let mut desk = self.lock();
        let mut asked = None;
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if n > limit_of(word) {
                return Err(NoPlace::TooLarge);
            }
            let new = if is_free(word, n) {
                word + used(n)
            } else {
                if asked.is_none() {
                    let Desk { line, order } = &mut *desk;
                    let key = order.key(about);
                    let displaced = line.is_full().then(|| order.displaced(line, key));
                    if displaced == Some(None) {
                        return Err(NoPlace::LineFull);
                    }
                    asked = Some((key, displaced.flatten()));
                }
                // Nothing was free in the very word that gets the bit, so
                // whoever gives back after this sees the bit and serves.
                word | WAITING
            };
            match self.replace(word, new) {
                Ok(()) if new & WAITING == 0 => return Ok(None),
                Ok(()) => break,
                Err(seen) => word = seen,
            }
        }
        let Some((key, displaced)) = asked else { return Err(NoPlace::Full) };
        let dropped = Stage::Refused(NoPlace::Dropped);
        let told = displaced.and_then(|spot| desk.conclude(spot, dropped));
        let joined = desk.line.join(Waiter { n, stage: Stage::Waits, key, waker });
        if let Ok(spot) = joined {
            desk.order.joined(key, spot);
        }
        drop(desk);
        if let Some(waker) = told {
            waker.wake();
        }
        if fits(word, 1) {
            // Too few for whoever was first, who may not be first any more.
            self.serve_all();
        }
        joined.map(Some).map_err(|_| NoPlace::LineFull)
    }

    /// What has become of the one at `spot`, who is told of the next change.
    fn look(&self, spot: Spot, waker: &Waker) -> Poll<Result<(), NoPlace>> {
        let mut desk = self.lock();
        if desk.line.is_waiting(spot) {
            // Wakers are others' code: they are cloned and dropped outside the lock.
            drop(desk);
            let mut told = Some(waker.clone());
            desk = self.lock();
            if let Some(waiter) = desk.line.get_mut(spot).filter(|w| w.stage == Stage::Waits) {
                mem::swap(&mut waiter.waker, &mut told);
                drop(desk);
                return Poll::Pending;
            }
        }
        let waiter = self.take_out(&mut desk, spot);
        drop(desk);
        Poll::Ready(match waiter.map(|waiter| waiter.stage) {
            Some(Stage::Served) => Ok(()),
            Some(Stage::Refused(why)) => Err(why),
            Some(Stage::Waits) | None => Err(NoPlace::Dropped),
        })
    }

    /// Leaves the line; what was given in the meantime goes to the next.
    fn leave(&self, spot: Spot) {
        let mut desk = self.lock();
        let left = self.take_out(&mut desk, spot);
        drop(desk);
        match left.map(|waiter| (waiter.stage, waiter.n)) {
            Some((Stage::Served, n)) => _ = self.give_back(n),
            // The one behind may fit where this one did not.
            Some((Stage::Waits, _)) => self.serve_all(),
            Some((Stage::Refused(_), _)) | None => {}
        }
    }

    fn take_out(&self, desk: &mut Desk<O>, spot: Spot) -> Option<Waiter<O::Key>> {
        let waits = desk.line.is_waiting(spot);
        let waiter = desk.line.remove(spot)?;
        if waits {
            desk.order.left(waiter.key);
        }
        self.open_if_empty(desk);
        Some(waiter)
    }

    fn open_if_empty(&self, desk: &Desk<O>) {
        // Only under the lock does anybody set or clear it.
        if desk.line.is_empty() && self.word.load(Ordering::Relaxed) & WAITING != 0 {
            self.word.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }
}

impl<O: Order> Desk<O> {
    /// Ends the wait of the one at `spot` and returns whom to wake.
    fn conclude(&mut self, spot: Spot, stage: Stage) -> Option<Waker> {
        self.line.dismiss(spot);
        let waiter = self.line.get_mut(spot)?;
        self.order.left(waiter.key);
        waiter.stage = stage;
        waiter.waker.take()
    }
}

impl<O: Order> fmt::Debug for Places<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("limit", &self.limit())
            .field("used", &self.used())
            .field("waiting", &self.waiting())
            .finish()
    }
}
