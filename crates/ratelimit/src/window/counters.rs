//! What an approximate window decides: handed the time, it reads no clock.

use super::MAX_LIMIT;
use crate::sync::{AtomicU64, Ordering};
use plimsoll_core::Tick;

/// `[number of the current window 24 | count before it 20 | count in it 20]`
///
/// Zero is a fresh state: with no counts, it does not matter of which windows.
pub(super) type Word = AtomicU64;

const COUNT_BITS: u32 = 20;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const NUMBER: u64 = u64::MAX >> (2 * COUNT_BITS);

// A count never passes a limit, so it never runs over into its neighbour.
const _: () = assert!(MAX_LIMIT as u64 <= COUNT);

/// Where a moment lies among the windows that follow each other from the
/// clock's epoch on.
#[derive(Clone, Copy)]
struct Place {
    /// In full; a word keeps the low 24 bits.
    number: u64,
    /// Nanoseconds since that window began.
    elapsed: u64,
}

/// What a word says in a given window.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Counts {
    previous: u64,
    current: u64,
}

/// The settings, shared by any number of words.
pub(super) struct Counters {
    /// Nanoseconds, at least one.
    window: u64,
    limit: AtomicU64,
    /// The newest window in which anything was admitted, for any word: time
    /// before it counts as its beginning. So a word is never of a later window
    /// than a decision about it, and the distance between them, of which 24
    /// bits are known, always points back.
    ///
    /// It is raised before a word of the new window is published, and read
    /// after the word: acquire on the word and release in its exchange see to
    /// it that who sees the word sees this.
    newest: AtomicU64,
}

impl Counters {
    pub(super) fn new(limit: u32, window: u64) -> Self {
        Self { window, limit: AtomicU64::new(limit.into()), newest: AtomicU64::new(0) }
    }

    /// The same settings, and no time passed.
    pub(super) fn emptied(self) -> Self {
        Self { newest: AtomicU64::new(0), ..self }
    }

    pub(super) fn limit(&self) -> u32 {
        u32::try_from(self.limit.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    pub(super) fn set_limit(&self, limit: u32) {
        self.limit.store(limit.into(), Ordering::Relaxed);
    }

    /// Counts `n`, at least one, and says in which window; or leaves the word
    /// as it is and says when `n` would fit, `None` where it never will.
    #[inline]
    pub(super) fn admit(&self, word: &Word, n: u32, now: Tick) -> Result<u64, Option<Tick>> {
        let (n, limit) = (u64::from(n), self.limit.load(Ordering::Relaxed));
        if n > limit {
            return Err(None);
        }
        let mut seen = word.load(Ordering::SeqCst);
        loop {
            let place = self.place(now);
            let counts = Counts::seen_in(seen, place.number);
            if !self.fits(counts, n, limit, place.elapsed) {
                return Err(self.free_at(counts, n, limit, place));
            }
            if place.number > self.newest.load(Ordering::Relaxed) {
                self.newest.fetch_max(place.number, Ordering::Relaxed);
            }
            let next = Counts { current: counts.current + n, ..counts }.in_window(place.number);
            match exchange(word, seen, next) {
                Ok(_) => return Ok(place.number),
                Err(changed) => seen = changed,
            }
        }
    }

    /// Takes back `n` that were counted in window `number`, if they still count.
    pub(super) fn give_back(&self, word: &Word, n: u32, number: u64) {
        let n = u64::from(n);
        let mut seen = word.load(Ordering::SeqCst);
        loop {
            // In full numbers: 24 bits could take one long gone for the present.
            if self.newest.load(Ordering::Relaxed).saturating_sub(number) > 1 {
                return;
            }
            let next = match (seen >> (2 * COUNT_BITS)).wrapping_sub(number) & NUMBER {
                0 => seen - n.min(seen & COUNT),
                1 => seen - (n.min(seen >> COUNT_BITS & COUNT) << COUNT_BITS),
                _ => return,
            };
            match exchange(word, seen, next) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }

    /// How much fits now.
    pub(super) fn available(&self, word: &Word, now: Tick) -> u64 {
        let (counts, place) = self.read(word, now);
        let left = u128::from(self.window - place.elapsed);
        let share = (u128::from(counts.previous) * left).div_ceil(u128::from(self.window));
        // At most `previous`, of 20 bits.
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        self.limit.load(Ordering::Relaxed).saturating_sub(counts.current.saturating_add(share))
    }

    /// When nothing counts any more; `None` past the end of time.
    pub(super) fn empty_at(&self, word: &Word, now: Tick) -> Option<Tick> {
        match self.read(word, now) {
            (Counts { previous: 0, current: 0 }, _) => Some(Tick::ZERO),
            (Counts { current: 0, .. }, place) => self.start_of(place.number, 1),
            (_, place) => self.start_of(place.number, 2),
        }
    }

    /// Whether nothing counts from `now` on.
    pub(super) fn is_empty(&self, word: &Word, now: Tick) -> bool {
        self.read(word, now).0 == Counts { previous: 0, current: 0 }
    }

    fn read(&self, word: &Word, now: Tick) -> (Counts, Place) {
        let seen = word.load(Ordering::SeqCst);
        let place = self.place(now);
        (Counts::seen_in(seen, place.number), place)
    }

    /// Where `now` lies. To be asked after the word was read.
    #[inline]
    fn place(&self, now: Tick) -> Place {
        let number = self.newest.load(Ordering::Relaxed);
        let (now, start) = (now.as_nanos(), number * self.window);
        match now.checked_sub(start) {
            None => Place { number, elapsed: 0 },
            Some(elapsed) if elapsed < self.window => Place { number, elapsed },
            // Once per window at most while work is admitted: divisions cost.
            Some(_) => Place { number: now / self.window, elapsed: now % self.window },
        }
    }

    /// current + n + previous · left / window ≤ limit, multiplied out so that
    /// nothing is rounded.
    #[inline]
    fn fits(&self, counts: Counts, n: u64, limit: u64, elapsed: u64) -> bool {
        let Some(room) = limit.checked_sub(counts.current + n) else { return false };
        let left = self.window - elapsed;
        u128::from(counts.previous) * u128::from(left) <= u128::from(room) * u128::from(self.window)
    }

    /// From when on `n` units fit if nothing else is counted. They do not now.
    fn free_at(&self, counts: Counts, n: u64, limit: u64, place: Place) -> Option<Tick> {
        match limit.checked_sub(counts.current + n) {
            // In this window, once enough of the previous one has passed.
            Some(room) => self.share_is(room, counts.previous, place.number),
            // In the next one, where the current counts are the previous ones.
            None => self.share_is(limit - n, counts.current, place.number.checked_add(1)?),
        }
    }

    /// When the share of `previous` in window `number` has fallen to `room`.
    fn share_is(&self, room: u64, previous: u64, number: u64) -> Option<Tick> {
        let start = self.start_of(number, 0)?;
        if previous <= room {
            return Some(start);
        }
        let product = u128::from(room) * u128::from(self.window);
        // Below `window`, as `room` is below `previous`.
        let left = u64::try_from(product / u128::from(previous)).unwrap_or(0);
        start.as_nanos().checked_add(self.window - left).map(Tick::from_nanos)
    }

    /// When the window `later` windows after the window `number` begins.
    fn start_of(&self, number: u64, later: u64) -> Option<Tick> {
        number.checked_add(later)?.checked_mul(self.window).map(Tick::from_nanos)
    }
}

/// See [`Counters::newest`] for the orderings.
#[inline]
fn exchange(word: &Word, seen: u64, next: u64) -> Result<u64, u64> {
    word.compare_exchange_weak(seen, next, Ordering::SeqCst, Ordering::SeqCst)
}

impl Counts {
    /// What `word` says in window `number`, which is not before its own.
    ///
    /// A word left alone for exactly 2^24 windows, or one more, is taken for a
    /// recent one. Its counts then refuse what they should not, for two windows
    /// at most; they never let more through.
    #[inline]
    fn seen_in(word: u64, number: u64) -> Self {
        let (previous, current) = (word >> COUNT_BITS & COUNT, word & COUNT);
        match number.wrapping_sub(word >> (2 * COUNT_BITS)) & NUMBER {
            0 => Self { previous, current },
            1 => Self { previous: current, current: 0 },
            _ => Self { previous: 0, current: 0 },
        }
    }

    #[inline]
    fn in_window(self, number: u64) -> u64 {
        debug_assert!(self.previous <= COUNT && self.current <= COUNT);
        number << (2 * COUNT_BITS) | self.previous << COUNT_BITS | self.current
    }
}
