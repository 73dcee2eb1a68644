//! What a breaker is to those who compose gates.

use crate::{
    CircuitBreaker,
    settings::{chance, drawn},
    state::{BreakerState, BreakerTicket},
};
use plimsoll_core::{Admit, Clock, Gate, Outcome, PerKey, Rejected, Tick};

impl<K: Clock> CircuitBreaker<K> {
    #[inline]
    fn ticket(&self, generation: u64, now: impl FnOnce() -> Tick) -> BreakerTicket {
        let started = if self.rules.slow.is_some() { now() } else { Tick::ZERO };
        BreakerTicket { generation, started }
    }

    /// The decision of a breaker that does not simply conduct. Kept out of line,
    /// so that the way through a closed one stays short.
    #[inline(never)]
    fn enter_at(&self, state: &BreakerState, now: Tick) -> Result<BreakerTicket, Rejected> {
        match self.rules.refuses(state, now) {
            Some(refusal) => Err(refusal),
            None => self.enter_changing(state, now),
        }
    }

    #[cold]
    #[inline(never)]
    fn enter_changing(&self, state: &BreakerState, now: Tick) -> Result<BreakerTicket, Rejected> {
        self.rules.enter(state, now, |change| self.tell(change))
    }

    /// Any end that [`Rules::succeed`](crate::rules::Rules) leaves to others.
    #[inline(never)]
    #[expect(clippy::needless_pass_by_value, reason = "a reference would put it into memory")]
    fn leave_telling(&self, state: &BreakerState, ticket: BreakerTicket, outcome: Outcome) {
        let seeded = self.rules.seed.map(|seed| drawn(seed, ticket.generation));
        let draw = || chance(seeded.unwrap_or_else(rand::random));
        let now = || self.clock.now();
        self.rules.leave(state, &ticket, outcome, now, draw, |change| self.tell(change));
    }
}

impl<K: Clock> Gate for CircuitBreaker<K> {
    type Ticket = BreakerTicket;

    /// What a call waits for behind the breaker makes it no slower.
    #[inline]
    fn begin(&self, ticket: &mut BreakerTicket) {
        *ticket = self.ticket(ticket.generation, || self.clock.now());
    }

    #[inline]
    fn leave(&self, ticket: BreakerTicket, outcome: Outcome) {
        self.leave_in(&self.state, ticket, outcome);
    }
}

impl<C: ?Sized, K: Clock> Admit<C> for CircuitBreaker<K> {
    #[inline]
    fn try_enter(&self, _: &C) -> Result<BreakerTicket, Rejected> {
        match self.rules.conducts(&self.state) {
            Some(generation) => Ok(self.ticket(generation, || self.clock.now())),
            None => self.enter_at(&self.state, self.clock.now()),
        }
    }
}

/// One state per key; all keys share the settings, the clock and the observers.
///
/// A state is fresh while it is closed and no failure counts. So a key that is
/// open, half open, recovering or has failed lately is never forgotten; of one
/// that only succeeded, the number of successes may be.
impl<K: Clock> PerKey for CircuitBreaker<K> {
    type State = BreakerState;

    #[inline]
    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn fresh(&self) -> BreakerState {
        BreakerState::new(self.rules.layout, 1)
    }

    fn is_fresh(&self, state: &BreakerState, now: Tick) -> bool {
        self.rules.is_fresh(state, now)
    }

    #[inline]
    fn try_enter_in(&self, state: &BreakerState, now: Tick) -> Result<BreakerTicket, Rejected> {
        match self.rules.conducts(state) {
            Some(generation) => Ok(self.ticket(generation, || now)),
            None => self.enter_at(state, now),
        }
    }

    #[inline]
    fn leave_in(&self, state: &BreakerState, ticket: BreakerTicket, outcome: Outcome) {
        let succeeded = outcome == Outcome::Success;
        if !(succeeded
            && self.rules.succeed(state, ticket.generation, ticket.started, || self.clock.now()))
        {
            self.leave_telling(state, ticket, outcome);
        }
    }
}
