//! The decisions on a bucket's word. No clock is read here and
//! nothing sleeps: callers say what time it is.

use super::{
    dial::{Dial, Version},
    line::{Hall, Joined, Turn},
    scale::{Kind, Rate, Scale, Wait},
    state::{BucketState, BucketTicket, Taken, Word},
};
use crate::sync::{Mutex, MutexGuard};
use plimsoll_core::{QuotaState, Reason, Rejected, Tick};
use plimsoll_wait::Spot;
use std::{sync::PoisonError, task::Waker, time::Duration};

/// The settings of a bucket and the lines of those who wait for it: all but the
/// word, and so shared by all keys of a keyed limit.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Meter {
    dial: Dial,
    name: &'static str,
    settings: Mutex<Settings>,
}

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) rate: Rate,
    pub(super) kind: Kind,
    pub(super) hall: Hall,
}

impl Meter {
    pub(super) fn new(name: &'static str, rate: Rate, kind: Kind, queue: usize) -> Self {
        Self::of(name, Settings { rate, kind, hall: Hall::new(queue) })
    }

    fn of(name: &'static str, settings: Settings) -> Self {
        let dial = Dial::new(&Scale::new(settings.rate, settings.kind, 0));
        Self { dial, name, settings: Mutex::new(settings) }
    }

    /// Another meter with these settings, changed, and nobody in line.
    pub(super) fn with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let now = self.lock();
        let hall = Hall::new(now.hall.bound());
        let mut settings = Settings { rate: now.rate, kind: now.kind, hall };
        change(&mut settings);
        Self::of(self.name, settings)
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        // Nothing under it panics or is others' code, and the lines are whole
        // between any two steps.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `n` tokens, all or none, if nobody waits for them.
    #[inline]
    pub(super) fn try_take(
        &self,
        state: &BucketState,
        now: Tick,
        n: u32,
    ) -> Result<BucketTicket, Rejected> {
        self.try_take_by(state, now, n, |_, _, _| n).map_err(|wait| self.refusal(wait))
    }

    /// Takes `most` tokens, or as many as there are, but at least `least`.
    pub(super) fn try_take_some(
        &self,
        state: &BucketState,
        now: Tick,
        least: u32,
        most: u32,
    ) -> Result<BucketTicket, Rejected> {
        let some = |scale: &Scale, empty, clock| {
            // The division only where it matters: other threads want the word.
            if scale.level(empty, clock) >= scale.cost(most) {
                return most;
            }
            scale.tokens(empty, clock).clamp(least, most)
        };
        self.try_take_by(state, now, least, some).map_err(|wait| self.refusal(wait))
    }

    /// Takes as many as `how_many` says of the bucket as it is, or `least` if
    /// that has to be decided under the lock.
    #[inline(always)]
    fn try_take_by(
        &self,
        state: &BucketState,
        now: Tick,
        least: u32,
        how_many: impl Fn(&Scale, u64, u64) -> u32,
    ) -> Result<BucketTicket, Wait> {
        // A decision is made at the moment at which the word is replaced. The
        // scale was the right one then, because turning the dial changes the
        // word; whoever sleeps through several turns could be fooled only by a
        // mark that has come back to the same 63 bits. A refusal is made at the
        // moment of the second look at the dial.
        let Some((version, scale, mut word)) = self.dial.read_with(|| state.load()) else {
            return self.try_take_locked(state, now, least).into_result();
        };
        let clock = scale.at(now);
        loop {
            if word.somebody_waits() {
                break;
            }
            let n = how_many(&scale, word.empty_mark(), clock);
            let cost = scale.cost(n);
            let empty = match scale.take(word.empty_mark(), clock, cost) {
                Ok(empty) => empty,
                Err(passes) => return Err(scale.wait(cost, passes, now)),
            };
            match state.replace_mark(word, empty) {
                Ok(()) => return Ok(BucketTicket::new(n, version, empty)),
                Err(seen) if self.dial.is_at(version) => word = seen,
                Err(_) => break,
            }
        }
        self.try_take_locked(state, now, least).into_result()
    }

    /// [`try_take`](Self::try_take) when somebody waits or the dial is being
    /// turned.
    #[cold]
    fn try_take_locked(&self, state: &BucketState, now: Tick, n: u32) -> Taken {
        let mut settings = self.lock();
        let version = self.dial.version();
        let scale = self.dial.read();
        let wakers = settings.hall.advance(state, &scale, version, now);
        let taken = self.take_or_pass(&settings.hall, state, &scale, now, n);
        drop(settings);
        wakers.wake();
        match taken {
            Ok(empty) => Taken::ticket(BucketTicket::new(n, version, empty)),
            Err((_, passes)) => Taken::not_before(scale.wait(scale.cost(n), passes, now)),
        }
    }

    /// Under the lock: takes `n` tokens, or says what the word was and when
    /// they could be taken, after those who wait.
    fn take_or_pass(
        &self,
        hall: &Hall,
        state: &BucketState,
        scale: &Scale,
        now: Tick,
        n: u32,
    ) -> Result<u64, (Word, u64)> {
        let (clock, cost) = (scale.at(now), scale.cost(n));
        let mut word = state.load();
        loop {
            if word.somebody_waits() {
                let ahead = scale.cost_of_all(hall.weight(state));
                let empty = word.empty_mark().saturating_add(ahead);
                return Err((word, empty.saturating_add(scale.upfront(cost))));
            }
            let taken = scale.take(word.empty_mark(), clock, cost);
            let empty = taken.map_err(|passes| (word, passes))?;
            match state.replace_mark(word, empty) {
                Ok(()) => return Ok(empty),
                Err(seen) => word = seen,
            }
        }
    }

    #[inline]
    fn refusal(&self, Wait(nanos): Wait) -> Rejected {
        Rejected::new(Reason::Rate, self.name).retry_in_nanos(nanos)
    }

    /// Takes `n` tokens or joins the line for them.
    ///
    /// Refuses what can never pass, what would pass after `deadline`, and what
    /// finds the line full.
    pub(super) fn join(
        &self,
        state: &BucketState,
        now: Tick,
        n: u32,
        deadline: Tick,
    ) -> Result<Joined, Rejected> {
        let mut settings = self.lock();
        let (version, scale) = (self.dial.version(), self.dial.read());
        let wakers = settings.hall.advance(state, &scale, version, now);
        let joined = loop {
            let (word, passes) = match self.take_or_pass(&settings.hall, state, &scale, now, n) {
                Ok(empty) => break Ok(Joined::Granted(BucketTicket::new(n, version, empty))),
                Err(wait) => wait,
            };
            let due = scale.until(passes, now).filter(|_| scale.ever_fits(scale.cost(n)));
            let in_time = due.is_some_and(|nanos| now + Duration::from_nanos(nanos) <= deadline);
            if !in_time || settings.hall.is_full(state) {
                break Err(self.refusal(scale.wait(scale.cost(n), passes, now)));
            }
            // The mark that was too late is in the very word that gets the bit.
            if word.somebody_waits() || state.close(word).is_ok() {
                break settings
                    .hall
                    .join(state, n, deadline)
                    .map(Joined::InLine)
                    .ok_or_else(|| self.refusal(scale.wait(scale.cost(n), passes, now)));
            }
        };
        drop(settings);
        wakers.wake();
        joined
    }

    /// What has become of the one at `spot`, who is woken when that changes.
    pub(super) fn look(&self, state: &BucketState, now: Tick, spot: Spot, waker: &Waker) -> Turn {
        let waker = waker.clone();
        let mut settings = self.lock();
        let (version, scale) = (self.dial.version(), self.dial.read());
        // It is awake, and need not be woken to see what it sees now. A
        // reservation is served as one before it counts as awaited.
        let before = settings.hall.disarm(state, spot);
        let wakers = settings.hall.advance(state, &scale, version, now);
        let unused = settings.hall.attend(state, spot, waker);
        let turn = settings.hall.turn(state, &scale, now, spot, self.name);
        drop(settings);
        drop((before, unused));
        wakers.wake();
        turn
    }

    /// How long until the one at `spot` may go: zero if it may.
    pub(super) fn delay(&self, state: &BucketState, now: Tick, spot: Spot) -> Option<u64> {
        let mut settings = self.lock();
        let (version, scale) = (self.dial.version(), self.dial.read());
        let wakers = settings.hall.advance(state, &scale, version, now);
        let delay = settings.hall.delay(state, &scale, now, spot);
        drop(settings);
        wakers.wake();
        delay
    }

    /// Takes the one at `spot` out of the line, with what it was given.
    pub(super) fn quit(&self, state: &BucketState, now: Tick, spot: Spot) {
        let mut settings = self.lock();
        let scale = self.dial.read();
        let (ticket, waker) = settings.hall.quit(state, spot);
        if let Some(ticket) = ticket {
            self.put_back(state, &scale, now, ticket);
        }
        self.moved_up(settings, state, &scale, now);
        drop(waker);
    }

    /// Gives back what a ticket's tokens are still worth.
    pub(super) fn refund(&self, state: &BucketState, now: Tick, ticket: BucketTicket) {
        if ticket.n == 0 {
            return;
        }
        if let Some((version, scale, mut word)) = self.dial.read_with(|| state.load()) {
            let back = self.worth(&scale, version, now, ticket);
            while !word.somebody_waits() {
                match state.replace_mark(word, word.empty_mark().saturating_sub(back)) {
                    Ok(()) => return,
                    Err(seen) if self.dial.is_at(version) => word = seen,
                    // It is of an earlier setting now, and worth nothing.
                    Err(_) => return,
                }
            }
        }
        let settings = self.lock();
        let scale = self.dial.read();
        self.put_back(state, &scale, now, ticket);
        self.moved_up(settings, state, &scale, now);
    }

    /// The units that a ticket's tokens are still worth: none once the settings
    /// have changed, for then nobody knows what has run over.
    fn worth(&self, scale: &Scale, version: Version, now: Tick, ticket: BucketTicket) -> u64 {
        if !ticket.is_of(version) {
            return 0;
        }
        scale.refund(ticket.empty, scale.at(now), scale.cost(ticket.n))
    }

    /// Under the lock: moves the mark back.
    fn put_back(&self, state: &BucketState, scale: &Scale, now: Tick, ticket: BucketTicket) {
        let back = self.worth(scale, self.dial.version(), now, ticket);
        let mut word = state.load();
        while let Err(seen) = state.replace_mark(word, word.empty_mark().saturating_sub(back)) {
            word = seen;
        }
    }

    /// Those in line may be due earlier than they were told.
    fn moved_up(
        &self,
        mut settings: MutexGuard<'_, Settings>,
        state: &BucketState,
        scale: &Scale,
        now: Tick,
    ) {
        let mut wakers = settings.hall.advance(state, scale, self.dial.version(), now);
        wakers.extend(settings.hall.leader(state));
        drop(settings);
        wakers.wake();
    }

    /// Changes the settings and keeps what is in the bucket of `state`, the
    /// only one there is. Those in line whose deadline is out of reach now are
    /// told.
    pub(super) fn set(&self, state: &BucketState, now: Tick, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.lock();
        let old = self.dial.read();
        change(&mut settings);
        let served = settings.hall.advance(state, &old, self.dial.version(), now);
        let (front, largest) = (settings.hall.front(state), settings.hall.largest(state));
        let scale = Scale::new(settings.rate, settings.kind, largest);
        if scale == old {
            self.moved_up(settings, state, &scale, now);
            return served.wake();
        }
        self.dial.turn(&scale, || {
            let mut word = state.load();
            let converted = |word: Word| {
                let mark = scale.convert(&old, word.empty_mark(), now, front);
                // For whoever decides in the old scale the word must be another.
                let same = mark == word.empty_mark() && !word.somebody_waits();
                if same { mark + 1 } else { mark }
            };
            while let Err(seen) = state.replace_mark(word, converted(word)) {
                word = seen;
            }
        });
        let late = settings.hall.dismiss_late(state, &scale, now);
        self.moved_up(settings, state, &scale, now);
        served.wake();
        late.wake();
    }

    /// Whether the state decides like a fresh one from now on.
    #[inline]
    pub(super) fn is_full(&self, state: &BucketState, now: Tick) -> bool {
        self.dial.read_with(|| state.load()).is_some_and(|(_, scale, word)| {
            let full = scale.at(now).saturating_sub(scale.depth);
            !word.somebody_waits() && word.empty_mark() <= full
        })
    }

    /// How many tokens could be taken now.
    pub(super) fn available(&self, state: &BucketState, now: Tick) -> u32 {
        let (scale, word) = self.read(state, now);
        available(&scale, word, now)
    }

    pub(super) fn quota(&self, state: &BucketState, now: Tick) -> QuotaState {
        let (scale, word) = self.read(state, now);
        let span = |nanos: Option<u64>| nanos.map_or(Duration::MAX, Duration::from_nanos);
        let full = word.empty_mark().saturating_add(scale.depth);
        let start = scale.at(Tick::ZERO);
        QuotaState {
            limit: scale.depth / scale.unit,
            remaining: available(&scale, word, now).into(),
            reset: span(scale.until(full, now)),
            window: span(scale.until(start + scale.depth, Tick::ZERO)),
        }
    }

    /// The scale and the word, after those in line who are due.
    fn read(&self, state: &BucketState, now: Tick) -> (Scale, Word) {
        if let Some((_, scale, word)) = self.dial.read_with(|| state.load()) {
            if !word.somebody_waits() {
                return (scale, word);
            }
        }
        let mut settings = self.lock();
        let scale = self.dial.read();
        let wakers = settings.hall.advance(state, &scale, self.dial.version(), now);
        let word = state.load();
        drop(settings);
        wakers.wake();
        (scale, word)
    }

    /// How many wait for this state's tokens, reservations included.
    pub(super) fn waiting(&self, state: &BucketState, now: Tick) -> usize {
        let (_, word) = self.read(state, now);
        if word.somebody_waits() { self.lock().hall.waiting(state) } else { 0 }
    }

    /// How many may wait for one state.
    pub(super) fn queue(&self) -> usize {
        self.lock().hall.bound()
    }
}

fn available(scale: &Scale, word: Word, now: Tick) -> u32 {
    if word.somebody_waits() { 0 } else { scale.tokens(word.empty_mark(), scale.at(now)) }
}
