//! One window after the other: the first release after its end closes it.

use super::{
    sampler::{FULL, Sampler, Totals, UNIT_SHIFT},
    tuner::Tuner,
    window::Window,
};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, thread_number};
use plimsoll_core::Tick;
use std::{sync::TryLockError, time::Duration};

/// Where work reports to when it ends, and what becomes of it.
#[derive(Debug)]
pub(super) struct Windows {
    sampler: Sampler,
    /// When the window is over.
    end: AtomicU64,
    /// Work that started earlier says nothing: while the latency without load is
    /// measured, what was admitted before had load.
    since: AtomicU64,
    /// How many samples of a stripe end the window or ask to be collected.
    enough: AtomicU64,
    closing: Mutex<Closing>,
    length: Duration,
    /// Nanoseconds. A window that ends later than that was begun by a clock that was ahead.
    too_far: u64,
    min_samples: u64,
    percentile: Option<f64>,
}

/// What whoever closes a window works on. Nobody ever waits for it.
#[derive(Debug)]
struct Closing {
    tuner: Tuner,
    totals: Totals,
    /// When somebody last came after the end.
    last: Tick,
}

/// How work ended that counts.
pub(super) struct Ended {
    pub(super) started: Tick,
    pub(super) now: Tick,
    /// How many were under way, itself included.
    pub(super) in_flight: u32,
    pub(super) succeeded: bool,
}

impl Windows {
    pub(super) fn new(
        tuner: Tuner,
        length: Duration,
        min_samples: u32,
        percentile: Option<f64>,
        now: Tick,
    ) -> Self {
        Self {
            sampler: Sampler::new(percentile.is_some()),
            end: AtomicU64::new((now + length).as_nanos()),
            since: AtomicU64::new(0),
            enough: AtomicU64::new(tuner.enough().min(FULL)),
            closing: Mutex::new(Closing { tuner, totals: Totals::default(), last: Tick::ZERO }),
            length,
            too_far: (Tick::ZERO + length + length).as_nanos(),
            min_samples: min_samples.into(),
            percentile,
        }
    }

    /// Counts work that has ended. If that closes the window, `publish` gets the
    /// new limit, one window after the other.
    #[inline]
    pub(super) fn count(&self, ended: &Ended, publish: impl FnOnce(u32)) {
        let (started, now) = (ended.started.as_nanos(), ended.now.as_nanos());
        let end = self.end.load(Ordering::Relaxed);
        if end > now.saturating_add(self.too_far) {
            return self.restart(ended.now);
        }
        // A clock that went back would make it look fast.
        if started > now || started < self.since.load(Ordering::Relaxed) {
            return;
        }
        self.sampler.under_way(ended.in_flight);
        let enough = self.enough.load(Ordering::Relaxed);
        // Where a few are enough, they are counted in one place, to be exact.
        let thread = if enough < FULL { 0 } else { thread_number() };
        let samples = if ended.succeeded {
            self.sampler.succeeded(thread, now - started)
        } else {
            self.sampler.failed(thread);
            0
        };
        if samples >= enough || now >= end {
            self.collect(ended, publish);
        }
    }

    /// A clock that had jumped ahead is back: the window would end after as long.
    #[cold]
    fn restart(&self, now: Tick) {
        let Some(mut closing) = self.try_lock() else { return };
        let Closing { tuner, totals, last } = &mut *closing;
        self.sampler.collect(totals);
        self.discard(totals);
        *last = now;
        self.begin(tuner, now);
    }

    #[cold]
    fn collect(&self, ended: &Ended, publish: impl FnOnce(u32)) {
        // Somebody is at it: what this one counted is collected then or next time.
        let Some(mut closing) = self.try_lock() else { return };
        let Closing { tuner, totals, last } = &mut *closing;
        self.sampler.collect(totals);
        // Somebody may have closed it since this one looked.
        let end = self.end.load(Ordering::Relaxed);
        if ended.now.as_nanos() < end && totals.samples < tuner.enough() {
            return;
        }
        // If nothing happened for as long as a window, what there is may be of
        // yesterday.
        let quiet_since = Tick::from_nanos(end).max(*last);
        *last = ended.now;
        if ended.started >= quiet_since + self.length {
            self.discard(totals);
            self.begin(tuner, ended.now);
            return;
        }
        // Too little to decide on: the window goes on.
        if totals.samples + totals.failures < self.min_samples {
            return;
        }
        let window = self.window(totals);
        self.discard(totals);
        // Enough of a random number to keep instances apart, and none in a replay.
        let draw = (ended.now.as_nanos().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64;
        tuner.learn(&window, ended.now, draw / (1_u64 << 53) as f64);
        // Within the lock, so that no older limit comes after it. It wakes those
        // who wait, and if they end work at once: nobody waits for this lock.
        publish(tuner.limit());
        self.begin(tuner, ended.now);
    }

    fn window(&self, totals: &Totals) -> Window {
        let mean = |totals: &Totals| {
            let samples = totals.samples.max(1) as f64;
            totals.sum as f64 / samples * f64::from(1_u32 << UNIT_SHIFT)
        };
        let latency = self.percentile.and_then(|q| self.sampler.percentile(q));
        Window {
            samples: totals.samples,
            failures: totals.failures,
            latency: latency.unwrap_or_else(|| mean(totals)).max(1.0),
            peak: totals.peak,
        }
    }

    fn discard(&self, totals: &mut Totals) {
        *totals = Totals::default();
        self.sampler.percentile(1.0);
    }

    fn begin(&self, tuner: &Tuner, now: Tick) {
        let since = if tuner.is_probing() { now } else { Tick::ZERO };
        self.since.store(since.as_nanos(), Ordering::Relaxed);
        self.enough.store(tuner.enough().min(FULL), Ordering::Relaxed);
        self.end.store((now + self.length).as_nanos(), Ordering::Relaxed);
    }

    /// The limit that the last window came to.
    #[cfg(all(test, plimsoll_loom))]
    pub(super) fn tuned(&self) -> u32 {
        self.try_lock().map_or(0, |closing| closing.tuner.limit())
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Closing>> {
        match self.closing.try_lock() {
            Ok(closing) => Some(closing),
            // Somebody's waker panicked. The figures are whole.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
