//! Time as gates see it.

use crate::sync::{AtomicU64, Ordering};
#[cfg(any(feature = "tokio", not(feature = "quanta")))]
use std::time::Instant;
use std::{
    fmt, ops,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// A moment: nanoseconds since the clock's epoch, for 584 years.
///
/// All real clocks of a process share one epoch, so their ticks compare. All
/// arithmetic saturates: no moment is before [`Tick::ZERO`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The epoch.
    pub const ZERO: Self = Self(0);
    /// The end of time: a deadline that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the epoch.
    #[inline]
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    #[inline]
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment, zero if it is not earlier.
    #[inline]
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "compared before")]
const fn saturating_nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

/// Saturates at [`Tick::MAX`].
impl ops::Add<Duration> for Tick {
    type Output = Self;

    #[inline]
    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(later)))
    }
}

/// Saturates at [`Tick::ZERO`].
impl ops::Sub<Duration> for Tick {
    type Output = Self;

    #[inline]
    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(earlier)))
    }
}

/// Where a gate reads the time.
///
/// A clock may stand still and may step back; no gate panics or opens then.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Tick;
}

impl<K: Clock + ?Sized> Clock for &K {
    #[inline]
    fn now(&self) -> Tick {
        (**self).now()
    }
}

impl<K: Clock + ?Sized> Clock for Arc<K> {
    #[inline]
    fn now(&self) -> Tick {
        (**self).now()
    }
}

/// Real clocks start a day after their epoch, so that a paused clock that was
/// set up before the epoch was fixed still has moments to count down from.
const HEAD_START: u64 = 24 * 60 * 60 * 1_000_000_000;

/// What every real clock of the process counts from, fixed at first use.
struct Epoch {
    #[cfg(any(feature = "tokio", not(feature = "quanta")))]
    std: Instant,
    #[cfg(feature = "quanta")]
    quanta: quanta::Clock,
    /// What the counter read, or would have read, at [`Tick::ZERO`]. It wraps.
    #[cfg(feature = "quanta")]
    zero: u64,
    /// Nanoseconds in 2^32 counts: a fixed shift is faster than the calibrated
    /// one, and off by less than a part in 10^9.
    #[cfg(feature = "quanta")]
    scale: u64,
}

fn epoch() -> &'static Epoch {
    static EPOCH: OnceLock<Epoch> = OnceLock::new();
    EPOCH.get_or_init(|| {
        #[cfg(feature = "quanta")]
        let quanta = quanta::Clock::new();
        #[cfg(feature = "quanta")]
        let scale = quanta.delta_as_nanos(0, 1 << 32).max(1);
        Epoch {
            #[cfg(feature = "quanta")]
            zero: quanta
                .raw()
                .wrapping_sub(wrapping((u128::from(HEAD_START) << 32) / u128::from(scale))),
            #[cfg(feature = "quanta")]
            scale,
            #[cfg(feature = "quanta")]
            quanta,
            #[cfg(any(feature = "tokio", not(feature = "quanta")))]
            std: Instant::now(),
        }
    })
}

/// Counts and nanoseconds fit for centuries.
#[cfg(feature = "quanta")]
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "after 584 years")]
const fn wrapping(value: u128) -> u64 {
    value as u64
}

/// The moment of an [`Instant`] on the ticks of all real clocks.
#[cfg(any(feature = "tokio", not(feature = "quanta")))]
fn tick_of(instant: Instant) -> Tick {
    let start = Tick(HEAD_START);
    match instant.checked_duration_since(epoch().std) {
        Some(after) => start + after,
        None => start - epoch().std.duration_since(instant),
    }
}

/// The clock of every gate unless it is given another: monotonic, real, fast.
///
/// With the feature `quanta` (on by default) it reads the time stamp counter,
/// where the processor has an invariant one, at less than half the cost of
/// asking the operating system. The first clock of a process calibrates the
/// counter, which takes milliseconds, 200 at most; gates make theirs when they
/// are built, so no request pays for it. From then on it runs by itself, and
/// leaves the operating system's clock by some millionths of the time that
/// passes: tenths of a second in a day.
#[derive(Clone, Copy)]
pub struct DefaultClock(());

impl DefaultClock {
    /// The clock, calibrated.
    #[must_use]
    pub fn new() -> Self {
        epoch();
        Self(())
    }
}

impl Default for DefaultClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for DefaultClock {
    #[cfg(feature = "quanta")]
    #[inline]
    fn now(&self) -> Tick {
        let epoch = epoch();
        let counts = epoch.quanta.raw().wrapping_sub(epoch.zero);
        Tick(wrapping((u128::from(counts) * u128::from(epoch.scale)) >> 32))
    }

    #[cfg(not(feature = "quanta"))]
    #[inline]
    fn now(&self) -> Tick {
        tick_of(Instant::now())
    }
}

impl fmt::Debug for DefaultClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DefaultClock")
    }
}

/// A clock that stands still until it is told to move: for tests, simulations
/// and the replay of recorded days. Clones show the same time.
///
/// # Example
///
/// ```
/// use plimsoll_core::{Clock, ManualClock, Tick};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().since(start), Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands an hour after its epoch, so that it can be set back.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Tick(3_600_000_000_000))
    }

    /// A clock that stands at `tick`.
    #[must_use]
    pub fn at(tick: Tick) -> Self {
        Self(Arc::new(AtomicU64::new(tick.0)))
    }

    /// Moves on by `by`, to the end of time at most.
    pub fn advance(&self, by: Duration) {
        // Tests of many threads may advance at once: no step may be lost.
        let mut now = self.0.load(Ordering::Relaxed);
        while let Err(seen) = self.0.compare_exchange_weak(
            now,
            (Tick(now) + by).0,
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            now = seen;
        }
    }

    /// Jumps to `tick`, which may be in the past.
    pub fn set(&self, tick: Tick) {
        self.0.store(tick.0, Ordering::Relaxed);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Tick {
        Tick(self.0.load(Ordering::Relaxed))
    }
}

/// The clock of the tokio runtime: real time, or the paused time of a test.
///
/// Its ticks compare with those of [`DefaultClock`], but for what that one has
/// drifted: give a gate and the deadlines it is to respect the same clock.
///
/// # Example
///
/// ```
/// use plimsoll_core::{Clock, TokioClock};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let start = TokioClock.now();
/// tokio::time::sleep(Duration::from_secs(3600)).await; // passes at once: time is paused
/// assert_eq!(TokioClock.now().since(start), Duration::from_secs(3600));
/// # }
/// ```
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock;

#[cfg(feature = "tokio")]
impl Clock for TokioClock {
    fn now(&self) -> Tick {
        tick_of(tokio::time::Instant::now().into_std())
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn ticks_saturate_at_both_ends() {
        let second = Duration::from_secs(1);
        assert_eq!(Tick::MAX + second, Tick::MAX);
        assert_eq!(Tick::ZERO - second, Tick::ZERO);
        assert_eq!(Tick::ZERO + Duration::MAX, Tick::MAX);
        assert_eq!(Tick::ZERO.since(Tick::MAX), Duration::ZERO);
    }

    #[test]
    fn the_default_clock_never_runs_back() {
        let clock = DefaultClock::new();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[cfg(feature = "tokio")]
    #[tokio::test]
    async fn real_clocks_share_one_epoch() {
        let apart = |a: Tick, b: Tick| a.since(b).max(b.since(a));
        let gap = apart(DefaultClock::new().now(), TokioClock.now());
        assert!(gap < Duration::from_secs(60), "the clocks are {gap:?} apart");
    }

    #[cfg(feature = "tokio")]
    #[tokio::test(start_paused = true)]
    async fn the_tokio_clock_stands_still_while_time_is_paused() {
        let start = TokioClock.now();
        std::hint::black_box((0..10_000).sum::<u64>());
        assert_eq!(TokioClock.now(), start);
        tokio::time::advance(Duration::from_nanos(1)).await;
        assert_eq!(TokioClock.now().since(start), Duration::from_nanos(1));
    }
}
