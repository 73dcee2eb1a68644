//! Those who wait on one side of the channel, and what they were promised.

use crate::watch::Watch;
use plimsoll_core::Tick;
use plimsoll_wait::{Line, Spot};
use std::{task::Waker, time::Duration};

/// The waiters of one side, first come first served.
///
/// Whoever waits is *told* when it may go on. What it was told stays promised to
/// it, and is nobody else's, until it comes or gives up; so those told are
/// always the first of the line, and nobody can take what they were woken for.
pub(crate) struct Side {
    line: Line<Waiter>,
    /// The weight of those who were told and have not come yet.
    promised: usize,
    blocked: Blocked,
}

struct Waiter {
    /// `None` once told.
    waker: Option<Waker>,
    weight: usize,
}

impl Side {
    pub(crate) const fn new() -> Self {
        let blocked = Blocked { calls: 0, counted_to: Tick::ZERO, nanos: 0 };
        Self { line: Line::new(usize::MAX), promised: 0, blocked }
    }

    /// What may not be given to newcomers.
    pub(crate) fn promised(&self) -> usize {
        self.promised
    }

    /// Whether nobody waits who was not told.
    pub(crate) fn all_told(&self) -> bool {
        self.line.is_empty()
    }

    /// Whether `spot` waits no more, but was told.
    pub(crate) fn is_told(&self, spot: Option<Spot>) -> bool {
        spot.is_some_and(|spot| !self.line.is_waiting(spot))
    }

    /// How many calls wait, told or not.
    pub(crate) fn waiting(&self) -> usize {
        self.blocked.calls
    }

    /// How long calls have waited, all added up, those that still wait included.
    pub(crate) fn blocked(&self, watch: &Watch) -> Duration {
        let mut blocked = self.blocked;
        if blocked.calls > 0 {
            blocked.count_to(watch.now());
        }
        Duration::from_nanos(blocked.nanos)
    }

    /// Joins the line, or keeps the place in it, and is woken through `waker`.
    #[inline]
    pub(crate) fn wait(
        &mut self,
        spot: &mut Option<Spot>,
        weight: usize,
        waker: &Waker,
        watch: &Watch,
        wakes: &mut Wakes,
    ) {
        if let Some(waiter) = spot.and_then(|spot| self.line.get_mut(spot)) {
            if !waiter.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                wakes.retired = waiter.waker.replace(waker.clone());
            }
            return;
        }
        match self.line.join(Waiter { waker: Some(waker.clone()), weight }) {
            Ok(joined) => {
                *spot = Some(joined);
                self.blocked.count_to(watch.now());
                self.blocked.calls += 1;
            }
            // Four thousand million wait: this one has to ask again and again.
            Err(waiter) => wakes.add(waiter.waker),
        }
    }

    /// Leaves the line. What was promised is promised no more: the caller uses
    /// it, or tells the others.
    #[inline]
    pub(crate) fn leave(&mut self, spot: &mut Option<Spot>, watch: &Watch, wakes: &mut Wakes) {
        let Some(spot) = spot.take() else { return };
        let told = !self.line.is_waiting(spot);
        let Some(waiter) = self.line.get_mut(spot) else { return };
        if told {
            self.promised -= waiter.weight;
        }
        wakes.retired = waiter.waker.take();
        self.line.remove(spot);
        self.blocked.count_to(watch.now());
        self.blocked.calls -= 1;
    }

    /// Tells those in front, as long as `may` says yes to what is promised and
    /// the weight of the next.
    #[inline]
    pub(crate) fn tell(&mut self, wakes: &mut Wakes, may: impl Fn(usize, usize) -> bool) {
        while let Some(front) = self.line.front() {
            let Some(waiter) = self.line.get_mut(front) else { return };
            if !may(self.promised, waiter.weight) {
                return;
            }
            self.promised += waiter.weight;
            wakes.add(waiter.waker.take());
            self.line.serve();
        }
    }

    /// Wakes everybody and promises nothing: the channel has closed.
    pub(crate) fn wake_all(&mut self, wakes: &mut Wakes) {
        let mut next = self.line.front();
        while let Some(spot) = next {
            wakes.add(self.line.get_mut(spot).and_then(|waiter| waiter.waker.take()));
            next = self.line.behind(spot);
        }
    }
}

/// The time that calls have waited: the integral of their number.
#[derive(Clone, Copy)]
struct Blocked {
    calls: usize,
    counted_to: Tick,
    nanos: u64,
}

impl Blocked {
    #[inline]
    fn count_to(&mut self, now: Tick) {
        let each = now.as_nanos().saturating_sub(self.counted_to.as_nanos());
        self.nanos = self.nanos.saturating_add(each.saturating_mul(self.calls as u64));
        // A clock that steps back counts nothing twice.
        self.counted_to = self.counted_to.max(now);
    }
}

/// Whom to wake once the lock is released: a waker may run anything.
///
/// Made of words that fit into registers, for the calls that tell one: through
/// memory it took longer than to tell.
#[derive(Default)]
pub(crate) struct Wakes {
    first: Option<Waker>,
    more: Option<Box<More>>,
    /// One that is not needed any more. Dropping it may drop a task, and with it
    /// an end of this very channel; so that, too, waits for the lock.
    retired: Option<Waker>,
}

#[derive(Default)]
struct More(Vec<Waker>);

impl Wakes {
    #[inline]
    fn add(&mut self, waker: Option<Waker>) {
        match (waker, &self.first) {
            (Some(waker), None) => self.first = Some(waker),
            (Some(waker), Some(_)) => self.more.get_or_insert_default().0.push(waker),
            (None, _) => {}
        }
    }

    #[inline]
    pub(crate) fn wake(self) {
        if let Some(waker) = self.first {
            waker.wake();
        }
        if let Some(more) = self.more {
            more.0.into_iter().for_each(Waker::wake);
        }
    }
}
