//! The suite for all gates, on the states that have a capacity.

use crate::{Breaker, OPEN, builder, call};
use plimsoll_breaker::{BreakerState, BreakerTicket};
use plimsoll_core::{Admit, Gate, ManualClock, Outcome, PerKey, Rejected, testing::Conformance};

/// Work behind the gate that never tells anything: what the suite does to find
/// out about places must not close the breaker or open it.
struct Silent<G>(G);

impl<G: Gate> Gate for Silent<G> {
    type Ticket = G::Ticket;

    fn leave(&self, ticket: G::Ticket, outcome: Outcome) {
        let told = matches!(outcome, Outcome::Success | Outcome::Failure);
        self.0.leave(ticket, if told { Outcome::Ignored } else { outcome });
    }
}

impl<C: ?Sized, G: Admit<C>> Admit<C> for Silent<G> {
    fn try_enter(&self, cx: &C) -> Result<G::Ticket, Rejected> {
        self.0.try_enter(cx)
    }
}

fn half_open(probes: u32, clock: &ManualClock) -> Breaker {
    let builder = builder().0.consecutive_failures(1).probes(probes).clock(clock.clone());
    let breaker = builder.build().unwrap();
    call(&breaker, Outcome::Failure);
    clock.advance(OPEN);
    breaker
}

#[test]
fn a_half_open_breaker_conforms_as_a_gate_with_a_place_for_each_probe() {
    for probes in [1, 3, 100] {
        Conformance::new("breaker", |clock| Silent(half_open(probes, &clock)))
            .capacity(probes.into())
            .holds()
            .check();
    }
}

#[test]
fn a_breaker_that_is_forced_open_conforms_as_a_gate_that_is_shut() {
    Conformance::new("breaker", |clock| {
        let breaker = builder().0.clock(clock).build().unwrap();
        breaker.force_open();
        breaker
    })
    .capacity(0)
    .check();
}

/// One key's state of a breaker shared by many, as a gate of its own.
struct OneKey(Breaker, [BreakerState; 2]);

impl Gate for OneKey {
    type Ticket = BreakerTicket;

    fn leave(&self, ticket: BreakerTicket, outcome: Outcome) {
        self.0.leave_in(&self.1[0], ticket, outcome);
    }
}

impl<C: ?Sized> Admit<C> for OneKey {
    fn try_enter(&self, _: &C) -> Result<BreakerTicket, Rejected> {
        let now = self.0.now();
        // What the other does is nothing to this one.
        if let Ok(ticket) = self.0.try_enter_in(&self.1[1], now) {
            self.0.leave_in(&self.1[1], ticket, Outcome::Failure);
        }
        self.0.try_enter_in(&self.1[0], now)
    }
}

#[test]
fn one_key_of_a_breaker_conforms_whatever_the_others_do() {
    Conformance::new("breaker", |clock: ManualClock| {
        let breaker = builder().0.consecutive_failures(1).clock(clock.clone()).build().unwrap();
        let states = [breaker.fresh(), breaker.fresh()];
        let ticket = breaker.try_enter_in(&states[0], breaker.now()).unwrap();
        breaker.leave_in(&states[0], ticket, Outcome::Failure);
        clock.advance(OPEN);
        Silent(OneKey(breaker, states))
    })
    .capacity(3)
    .holds()
    .check();
}
