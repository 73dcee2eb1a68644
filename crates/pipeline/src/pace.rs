//! How many items a worker takes at once.

use std::time::Duration;

/// The most items in a chunk. A whole queue costs least, because its memory
/// changes hands as it is.
pub(crate) const CHUNK: usize = 1024;
/// The most bytes in one, and that a worker hands over before it lets others run:
/// more than a processor's cache has room for is slower than two chunks.
pub(crate) const BYTES: usize = 128 * 1024;

/// The most items of this type in a chunk.
pub(crate) const fn most<T>() -> usize {
    match BYTES.checked_div(size_of::<T>()) {
        None => CHUNK,
        Some(0) => 1,
        Some(items) if items < CHUNK => items,
        Some(_) => CHUNK,
    }
}

/// A chunk that takes less may grow.
const QUICK: Duration = Duration::from_micros(20);
/// A chunk that takes longer must shrink.
const SLOW: Duration = Duration::from_micros(40);

/// Grows while items are quick, so that the cost of a hand-over is shared, and
/// falls back to single items where they are slow: none waits long for another.
#[derive(Debug)]
pub(crate) struct Pace {
    size: usize,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { size: 1 }
    }

    /// For one of several workers, a share of what is `queued`: the others want
    /// some too.
    #[inline]
    pub(crate) fn share(&self, workers: usize, queued: impl FnOnce() -> usize) -> usize {
        if workers == 1 { self.size } else { self.size.min(queued() / (2 * workers)).max(1) }
    }

    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A chunk of `items` took so long, and whether one of them had to wait.
    #[inline]
    pub(crate) fn took(&mut self, items: usize, time: Duration, waited: bool) {
        if waited {
            self.size = 1;
        } else if time < QUICK && items >= self.size {
            self.size = (self.size * 2).min(CHUNK);
        } else if time > SLOW {
            // As many of these as would have taken no longer.
            let fit = items as u128 * SLOW.as_nanos() / time.as_nanos();
            self.size = usize::try_from(fit).unwrap_or(1).clamp(1, (self.size / 2).max(1));
        }
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn quick_items_go_together_and_slow_ones_alone() {
        let mut pace = Pace::new();
        for size in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, CHUNK, CHUNK] {
            assert_eq!(pace.size(), size);
            pace.took(size, Duration::from_micros(1), false);
        }
        pace.took(CHUNK, Duration::from_micros(30), false);
        assert_eq!(pace.size(), CHUNK, "neither quick nor slow");
        pace.took(CHUNK, Duration::from_micros(41), false);
        assert_eq!(pace.size(), CHUNK / 2);
        pace.took(CHUNK / 2, Duration::from_micros(400), false);
        assert_eq!(pace.size(), CHUNK / 20, "ten times as slow, so a tenth");
        pace.took(CHUNK / 2, Duration::from_micros(1), true);
        assert_eq!(pace.size(), 1, "one that waits holds up those behind it");
        pace.took(1, Duration::from_secs(1), false);
        assert_eq!(pace.size(), 1);
    }

    #[test]
    fn large_items_go_in_smaller_chunks() {
        assert_eq!((most::<()>(), most::<u64>()), (CHUNK, CHUNK));
        assert_eq!((most::<[u8; 1024]>(), most::<[u8; 1 << 20]>()), (128, 1));
    }

    #[test]
    fn a_chunk_that_was_not_full_says_nothing_about_a_larger_one() {
        let mut pace = Pace { size: 8 };
        pace.took(1, Duration::from_micros(1), false);
        assert_eq!(pace.size(), 8);
    }

    #[test]
    fn workers_leave_something_for_each_other() {
        let pace = Pace { size: 64 };
        assert_eq!(pace.share(1, || unreachable!()), 64);
        assert_eq!(pace.share(4, || 100), 12);
        assert_eq!(pace.share(4, || 3), 1);
        assert_eq!(pace.share(2, || 1_000), 64);
    }
}
