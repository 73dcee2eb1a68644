//! A counted number of places, handed out first come first served.

use crate::{
    Line, Spot,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
};
use std::{
    error, fmt,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

/// Set while anybody waits: then places go to the line and to nobody else.
const WAITING: u64 = 1 << 63;
const USED_SHIFT: u32 = 32;

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
pub struct Places {
    /// `[waiting 1 | used 31 | limit 32]`, `limit` at most [`Places::MAX`].
    word: AtomicU64,
    line: Mutex<Line<Waiter>>,
}

struct Waiter {
    n: u32,
    stage: Stage,
}

enum Stage {
    Waits(Option<Waker>),
    /// The places are taken and belong to this waiter.
    Served,
    /// The limit fell below what it needs.
    TooLarge,
}

/// Why no place was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoPlace {
    /// Too few are free, or others wait for them.
    Full,
    /// Too few are free, and nobody else may wait.
    LineFull,
    /// More were asked for than there are.
    TooLarge,
}

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too few places are free",
            Self::LineFull => "too few places are free and the line is full",
            Self::TooLarge => "more places were asked for than there are",
        })
    }
}

impl error::Error for NoPlace {}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is the limit")]
fn limit_of(word: u64) -> u32 {
    word as u32
}

fn used_of(word: u64) -> u32 {
    ((word & !WAITING) >> USED_SHIFT) as u32
}

fn fits(word: u64, n: u32) -> bool {
    // Both at most 2^31 - 1.
    used_of(word) + n <= limit_of(word)
}

fn used(n: u32) -> u64 {
    u64::from(n) << USED_SHIFT
}

impl Places {
    /// The most places there may be.
    pub const MAX: u32 = i32::MAX as u32;

    /// `limit` places, [`MAX`](Self::MAX) at most, and a line of at most
    /// `queue` who wait. No place at all is legal: everybody is refused.
    #[must_use]
    pub fn new(limit: u32, queue: usize) -> Self {
        let word = u64::from(limit.min(Self::MAX));
        Self { word: AtomicU64::new(word), line: Mutex::new(Line::new(queue)) }
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
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if n > limit_of(word) {
                return Err(NoPlace::TooLarge);
            }
            if word & WAITING != 0 || !fits(word, n) {
                return Err(NoPlace::Full);
            }
            // Acquire: what the last holder did comes before what this one does.
            match self.replace(word, word + used(n)) {
                Ok(()) => return Ok(()),
                Err(seen) => word = seen,
            }
        }
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
    pub fn take(&self, n: u32) -> Take<'_> {
        Take { places: self, n, stand: Stand::Outside }
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
        let limit = limit.min(Self::MAX);
        let mut line = self.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        while let Err(seen) = self.replace(word, word & !u64::from(u32::MAX) | u64::from(limit)) {
            word = seen;
        }
        let of_more = |(spot, waiter): (Spot, &Waiter)| (waiter.n > limit).then_some(spot);
        let too_large: Vec<Spot> = line.iter().filter_map(of_more).collect();
        let wakers: Vec<Waker> = too_large
            .into_iter()
            .filter_map(|spot| {
                line.dismiss(spot);
                conclude(&mut line, spot, Stage::TooLarge)
            })
            .collect();
        self.open_if_empty(&line);
        drop(line);
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
        if self.word.load(Ordering::Relaxed) & WAITING == 0 { 0 } else { self.lock().len() }
    }

    fn lock(&self) -> MutexGuard<'_, Line<Waiter>> {
        // No one else's code runs under it, and the line is whole between steps.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, word: u64, new: u64) -> Result<(), u64> {
        self.word.compare_exchange(word, new, Ordering::Acquire, Ordering::Relaxed).map(drop)
    }

    /// Serves the line until the front does not fit or nobody is left. Each is
    /// woken after the lock is released.
    fn serve_all(&self) {
        loop {
            let mut line = self.lock();
            let Some(served) = self.serve_front(&mut line) else { return };
            // Whoever gives back after this looks at the line as well.
            let next = line.front().and_then(|front| line.get(front));
            let more = next.is_some_and(|next| fits(self.word.load(Ordering::Relaxed), next.n));
            drop(line);
            if let Some(waker) = served {
                waker.wake();
            }
            if !more {
                return;
            }
        }
    }

    /// Takes places for the one in front, if they fit.
    fn serve_front(&self, line: &mut Line<Waiter>) -> Option<Option<Waker>> {
        let front = line.front()?;
        let n = line.get(front)?.n;
        // The last to be served opens the places to everybody, in the same step.
        let waiting = if line.len() == 1 { 0 } else { WAITING };
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if !fits(word, n) {
                return None;
            }
            match self.replace(word, ((word & !WAITING) + used(n)) | waiting) {
                Ok(()) => break,
                Err(seen) => word = seen,
            }
        }
        line.serve();
        Some(conclude(line, front, Stage::Served))
    }

    /// Takes places if nobody waits and they are free, or joins the line.
    fn join(&self, n: u32, waker: &Waker) -> Result<Option<Spot>, NoPlace> {
        // Wakers are others' code: they are cloned and dropped outside the lock.
        let waiter = Waiter { n, stage: Stage::Waits(Some(waker.clone())) };
        let mut line = self.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if n > limit_of(word) {
                return Err(NoPlace::TooLarge);
            }
            let new = if word & WAITING == 0 && fits(word, n) {
                word + used(n)
            } else if line.is_full() {
                return Err(NoPlace::LineFull);
            } else {
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
        let joined = line.join(waiter);
        drop(line);
        joined.map(Some).map_err(|_| NoPlace::LineFull)
    }

    /// What has become of the one at `spot`, who is told of the next change.
    fn look(&self, spot: Spot, waker: &Waker) -> Poll<Result<(), NoPlace>> {
        let mut line = self.lock();
        if let Some(Waiter { stage: Stage::Waits(_), .. }) = line.get(spot) {
            // Wakers are others' code: they are cloned and dropped outside the lock.
            drop(line);
            let mut told = Some(waker.clone());
            line = self.lock();
            if let Some(Waiter { stage: Stage::Waits(before), .. }) = line.get_mut(spot) {
                std::mem::swap(before, &mut told);
                drop(line);
                return Poll::Pending;
            }
        }
        let waiter = self.take_out(&mut line, spot);
        drop(line);
        Poll::Ready(match waiter.map(|waiter| waiter.stage) {
            Some(Stage::Served) => Ok(()),
            _ => Err(NoPlace::TooLarge),
        })
    }

    /// Leaves the line; what was given in the meantime goes to the next.
    fn leave(&self, spot: Spot) {
        let mut line = self.lock();
        let left = self.take_out(&mut line, spot);
        drop(line);
        match left {
            Some(Waiter { n, stage: Stage::Served }) => _ = self.give_back(n),
            // The one behind may fit where this one did not.
            _ => self.serve_all(),
        }
    }

    fn take_out(&self, line: &mut Line<Waiter>, spot: Spot) -> Option<Waiter> {
        line.remove(spot).inspect(|_| self.open_if_empty(line))
    }

    fn open_if_empty(&self, line: &Line<Waiter>) {
        if line.is_empty() {
            self.word.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }
}

/// Ends the wait of the one at `spot` and returns whom to wake.
fn conclude(line: &mut Line<Waiter>, spot: Spot, stage: Stage) -> Option<Waker> {
    match std::mem::replace(&mut line.get_mut(spot)?.stage, stage) {
        Stage::Waits(waker) => waker,
        Stage::Served | Stage::TooLarge => None,
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("limit", &self.limit())
            .field("used", &self.used())
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// The future of [`Places::take`].
#[must_use = "nothing is taken before it is awaited"]
#[derive(Debug)]
pub struct Take<'a> {
    places: &'a Places,
    n: u32,
    stand: Stand,
}

#[derive(Debug)]
enum Stand {
    Outside,
    InLine(Spot),
    Done,
}

impl Future for Take<'_> {
    type Output = Result<(), NoPlace>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match self.stand {
            Stand::Outside => match self.places.try_take(self.n) {
                Err(NoPlace::Full) => match self.places.join(self.n, cx.waker()) {
                    Ok(Some(spot)) => {
                        self.stand = Stand::InLine(spot);
                        return Poll::Pending;
                    }
                    joined => joined.map(drop),
                },
                taken => taken,
            },
            Stand::InLine(spot) => match self.places.look(spot, cx.waker()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => result,
            },
            // Polled after it was ready: a mistake of the caller's, who gets
            // no second place for it.
            Stand::Done => return Poll::Pending,
        };
        self.stand = Stand::Done;
        Poll::Ready(result)
    }
}

impl Drop for Take<'_> {
    fn drop(&mut self) {
        if let Stand::InLine(spot) = self.stand {
            self.places.leave(spot);
        }
    }
}
