//! What a breaker decides, told the time and a chance when it asks for them.
//!
//! Every transition is here. None takes a lock; each is one compare-exchange of
//! the state's word, and what it needs (when it opened) is written before.
//! Observers are somebody else's: they are told (`tell`) of what is committed by
//! then, and whatever follows reads the word anew.

use crate::{
    change::{Counts, State, StateChange},
    rules::{Rules, Window},
    state::{BreakerState, BreakerTicket},
    tally::Result as Ended,
    word::{Phase, Word},
};
use plimsoll_core::{Outcome, Reason, Rejected, Tick};

/// The name that refusals carry.
pub(crate) const NAME: &str = "breaker";

const REFUSED: Rejected = Rejected::new(Reason::Open, NAME);

impl Rules {
    /// Lets a call pass without knowing the time, where that is possible.
    #[inline]
    pub(crate) fn conducts(&self, state: &BreakerState) -> Option<u64> {
        let word = state.load();
        word.conducts().then(|| word.generation())
    }

    /// Refuses a call while it is open and no probe may go yet.
    #[inline]
    pub(crate) fn refuses(&self, state: &BreakerState, now: Tick) -> Option<Rejected> {
        let word = state.load();
        if word.phase() != Phase::Open {
            return None;
        }
        self.wait(state, word, now).map(|wait| REFUSED.retry_in_nanos(wait))
    }

    /// Lets a call pass, or not.
    #[cold]
    pub(crate) fn enter(
        &self,
        state: &BreakerState,
        now: Tick,
        tell: impl Fn(&StateChange),
    ) -> Result<BreakerTicket, Rejected> {
        let admit = |word: Word| Ok(BreakerTicket { generation: word.generation(), started: now });
        loop {
            let word = state.load();
            match word.phase() {
                Phase::Closed | Phase::ForcedClosed => return admit(word),
                Phase::ForcedOpen => return Err(REFUSED),

                // Open -> Open | HalfOpen. At the very moment, the first probe goes.
                Phase::Open => {
                    if let Some(wait) = self.wait(state, word, now) {
                        return Err(REFUSED.retry_in_nanos(wait));
                    }
                    state.step_from(now);
                    let next = word.probing();
                    if turn(state, word, next, Counts::default(), &tell) {
                        return admit(next);
                    }
                }

                // HalfOpen -> HalfOpen. The number of probes bounds those under
                // way and those of the whole phase.
                Phase::HalfOpen if word.taken() < self.probes => {
                    state.step_from(now);
                    if state.replace(word, word.take()) {
                        return admit(word);
                    }
                }
                Phase::HalfOpen => {
                    if since(now, state.stepped_at()) < self.probe_limit {
                        return Err(REFUSED);
                    }
                    // The probes have not come back: others go, in a generation
                    // of their own.
                    state.step_from(now);
                    let next = word.probing();
                    if turn(state, word, next, account(word), &tell) {
                        return admit(next);
                    }
                }

                // Ramp -> Ramp | Closed. Each hundred arrivals has its share.
                Phase::Ramp => match self.percent(state, now) {
                    Some(percent) => {
                        if state.replace(word, word.next_arrival()) {
                            let passes = word.payload() * percent % 100 < percent;
                            return if passes { admit(word) } else { Err(REFUSED) };
                        }
                    }
                    None => self.settle(state, word, now, &tell),
                },
            }
        }
    }

    /// Hears of a success in the simplest case, which is nearly always: nothing
    /// has changed, and nothing follows. False, and nothing done, in any other.
    #[inline]
    pub(crate) fn succeed(
        &self,
        state: &BreakerState,
        generation: u64,
        started: Tick,
        now: impl FnOnce() -> Tick,
    ) -> bool {
        let word = state.load();
        if !word.conducts() || word.generation() != generation {
            return false;
        }
        let current = || state.load().generation() == generation;
        let Some(slow) = self.slow else {
            return state.tally.succeed(self.layout, generation, now, current);
        };
        let now = now();
        since(now, started) <= slow.nanos
            && state.tally.succeed(self.layout, generation, || now, current)
    }

    /// Hears how a call ended. `now` is asked once at most.
    pub(crate) fn leave(
        &self,
        state: &BreakerState,
        ticket: &BreakerTicket,
        outcome: Outcome,
        now: impl Fn() -> Tick,
        chance: impl FnOnce() -> u64,
        tell: impl Fn(&StateChange),
    ) {
        let word = state.load();
        // A straggler: it speaks for a state that has been judged already.
        if word.generation() != ticket.generation {
            return;
        }
        let told = matches!(outcome, Outcome::Success | Outcome::Failure);
        if word.phase() == Phase::HalfOpen {
            return self.probe_ended(state, ticket, outcome, now, chance, tell);
        }
        if !told {
            return;
        }
        // A window of calls, where no call is slow, needs no clock.
        let read = self.reads_clock_on_leaving().then(&now);
        let ended = self.ended(ticket, outcome, read);
        let current = || state.load().generation() == ticket.generation;
        let at = read.unwrap_or(Tick::ZERO);
        let run = state.tally.record(self.layout, ticket.generation, at, ended, current);
        // A success never opens: the dependency has just answered.
        if ended.failed || ended.slow {
            let now = read.unwrap_or_else(now);
            self.judge(state, ticket.generation, now, run, chance, tell);
        }
    }

    fn reads_clock_on_leaving(&self) -> bool {
        self.slow.is_some() || matches!(self.layout.window, Window::Time { .. })
    }

    #[inline]
    fn ended(&self, ticket: &BreakerTicket, outcome: Outcome, now: Option<Tick>) -> Ended {
        let slow = match (self.slow, now) {
            (Some(slow), Some(now)) => since(now, ticket.started) > slow.nanos,
            _ => false,
        };
        Ended { failed: outcome == Outcome::Failure, slow }
    }

    /// Closed, Ramp -> Open; Ramp -> Closed -> Open where the ramp was over, and
    /// nobody had asked since.
    #[cold]
    fn judge(
        &self,
        state: &BreakerState,
        generation: u64,
        now: Tick,
        run: u64,
        chance: impl FnOnce() -> u64,
        tell: impl Fn(&StateChange),
    ) {
        let counts = state.tally.counts(self.layout, generation, now);
        let counts = Counts { consecutive_failures: run, ..counts };
        if !self.trips(&counts) {
            return;
        }
        let chance = self.draw(chance);
        loop {
            let word = state.load();
            let opens = matches!(word.phase(), Phase::Closed | Phase::Ramp);
            if word.generation() != generation || !opens {
                return;
            }
            if self.recovered(state, word, now) {
                self.settle(state, word, now, &tell);
                continue;
            }
            state.open_from(now);
            if turn(state, word, word.tripped(chance), counts, &tell) {
                return;
            }
        }
    }

    /// HalfOpen -> HalfOpen | Open | Ramp | Closed.
    #[cold]
    fn probe_ended(
        &self,
        state: &BreakerState,
        ticket: &BreakerTicket,
        outcome: Outcome,
        now: impl Fn() -> Tick,
        chance: impl FnOnce() -> u64,
        tell: impl Fn(&StateChange),
    ) {
        let now = now();
        let ended = self.ended(ticket, outcome, Some(now));
        let chance = self.draw(chance);
        loop {
            let word = state.load();
            // The second: a ticket that is not of this breaker, or came twice.
            let under_way = word.taken() > word.succeeded() + word.failed();
            if word.generation() != ticket.generation || !under_way {
                return;
            }
            let counted = match outcome {
                Outcome::Ignored | Outcome::Unused => word.give_back(),
                _ if ended.failed || ended.slow => word.fail(),
                _ => word.succeed(),
            };
            let told = outcome == Outcome::Success || ended.failed;
            let (closes, opens) =
                if told { self.probes_say(&account(counted)) } else { (false, false) };
            let done = if closes {
                state.step_from(now);
                let next = if self.ramp.is_some() { word.ramping() } else { word.closed() };
                turn(state, word, next, account(counted), &tell)
            } else if opens {
                state.open_from(now);
                turn(state, word, word.tripped(chance), account(counted), &tell)
            } else {
                state.replace(word, counted)
            };
            if done {
                return;
            }
        }
    }

    /// Any -> the phase that somebody wants, if `next` is another word.
    pub(crate) fn force(
        &self,
        state: &BreakerState,
        now: Tick,
        next: impl Fn(Word) -> Word,
        tell: impl Fn(&StateChange),
    ) {
        loop {
            let word = state.load();
            if self.recovered(state, word, now) {
                self.settle(state, word, now, &tell);
                continue;
            }
            let (next, counts) = (next(word), self.counts(state, word, now));
            if next == word || turn(state, word, next, counts, &tell) {
                return;
            }
        }
    }

    /// Whether it is on a ramp that is over: closed, but nobody has said so.
    fn recovered(&self, state: &BreakerState, word: Word, now: Tick) -> bool {
        word.phase() == Phase::Ramp && self.percent(state, now).is_none()
    }

    /// Ramp -> Closed, which time has brought about. Whoever finds it so commits it
    /// before anything that follows.
    fn settle(&self, state: &BreakerState, word: Word, now: Tick, tell: impl Fn(&StateChange)) {
        // Whoever is faster has done as much.
        turn(state, word, word.settled(), self.counts(state, word, now), tell);
    }

    /// Where the breaker stands at `now`, whether or not a call has come since
    /// it could.
    pub(crate) fn state_at(&self, state: &BreakerState, now: Tick) -> State {
        let word = state.load();
        match word.phase() {
            Phase::Open if self.wait(state, word, now).is_none() => State::HalfOpen,
            Phase::Ramp if self.recovered(state, word, now) => State::Closed,
            phase => shown(phase),
        }
    }

    /// How long until the next probe may go, while none may.
    pub(crate) fn retry_after(&self, state: &BreakerState, now: Tick) -> Option<u64> {
        let word = state.load();
        if word.phase() == Phase::Open { self.wait(state, word, now) } else { None }
    }

    pub(crate) fn counts_at(&self, state: &BreakerState, now: Tick) -> Counts {
        self.counts(state, state.load(), now)
    }

    /// Closed, and with nothing counted that could open it.
    pub(crate) fn is_fresh(&self, state: &BreakerState, now: Tick) -> bool {
        let generation = state.load().generation();
        let counts = state.tally.counts(self.layout, generation, now);
        // A run of failures grows no older; it matters where a rule asks for it.
        let run_matters = self.consecutive.is_some() || self.trip_when.is_some();
        let failing =
            counts.failures + counts.slow > 0 || run_matters && counts.consecutive_failures > 0;
        !failing && self.state_at(state, now) == State::Closed
    }

    fn counts(&self, state: &BreakerState, word: Word, now: Tick) -> Counts {
        match word.phase() {
            Phase::HalfOpen => account(word),
            _ => state.tally.counts(self.layout, word.generation(), now),
        }
    }

    /// How long an open breaker still waits; `None` once a probe may go. Opened at
    /// the end of time, it waits for ever.
    #[inline]
    fn wait(&self, state: &BreakerState, word: Word, now: Tick) -> Option<u64> {
        let opened_at = state.opened_at();
        let length = self.openings.length(word.trips(), word.payload());
        if since(now, opened_at) >= length {
            return None;
        }
        // From a clock that stepped back, until the moment that was said before.
        Some(opened_at.as_nanos().saturating_add(length).saturating_sub(now.as_nanos()))
    }

    /// The share that passes; `None` once the ramp is over.
    fn percent(&self, state: &BreakerState, now: Tick) -> Option<u64> {
        self.ramp.as_ref()?.percent(since(now, state.stepped_at()))
    }

    /// Draws only where there is something to decide.
    fn draw(&self, chance: impl FnOnce() -> u64) -> u64 {
        if self.openings.jitter == 0 { 0 } else { chance() }
    }
}

/// Commits a change of phase and tells of it. False if something else has changed
/// since `from` was read.
fn turn(
    state: &BreakerState,
    from: Word,
    to: Word,
    counts: Counts,
    tell: impl Fn(&StateChange),
) -> bool {
    let turned = state.replace(from, to);
    if turned {
        let (before, after) = (shown(from.phase()), shown(to.phase()));
        tell(&StateChange { from: before, to: after, generation: to.generation(), counts });
    }
    turned
}

/// Nanoseconds from `then` to `now`; none if the clock stepped back.
#[inline]
fn since(now: Tick, then: Tick) -> u64 {
    now.as_nanos().saturating_sub(then.as_nanos())
}

/// What the probes told so far.
fn account(word: Word) -> Counts {
    let (succeeded, failed) = (u64::from(word.succeeded()), u64::from(word.failed()));
    Counts { calls: succeeded + failed, failures: failed, ..Counts::default() }
}

fn shown(phase: Phase) -> State {
    match phase {
        Phase::Closed => State::Closed,
        Phase::Open => State::Open,
        Phase::HalfOpen => State::HalfOpen,
        Phase::Ramp => State::Recovering,
        Phase::ForcedOpen => State::ForcedOpen,
        Phase::ForcedClosed => State::ForcedClosed,
    }
}
