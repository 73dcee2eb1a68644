//! A gate of one's own: closed during a maintenance window, and proven by the
//! conformance suite.
//!
//! `cargo run -p plimsoll-core --example own_gate`

use plimsoll_core::{
    Admit, Clock, Gate, GateExt, ManualClock, Outcome, Reason, Rejected, Tick,
    testing::{Conformance, Places},
};
use std::{ops::Range, time::Duration};

/// Refuses everything that would start in the window.
struct Maintenance<K> {
    window: Range<Tick>,
    clock: K,
}

impl<K: Clock> Gate for Maintenance<K> {
    type Ticket = ();
    fn leave(&self, (): (), _: Outcome) {}
}

// It needs to know nothing of the work, so it is a gate for every context.
impl<K: Clock, C: ?Sized> Admit<C> for Maintenance<K> {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        let now = self.clock.now();
        if self.window.contains(&now) {
            let over = self.window.end.since(now);
            return Err(Rejected::new(Reason::Closed, "maintenance").retry_in(over));
        }
        Ok(())
    }
}

fn main() {
    let clock = ManualClock::new();
    let start = clock.now() + Duration::from_secs(60);
    let window = start..start + Duration::from_secs(30);

    // Composed with any other gate: the cheapest and most local first.
    let gates = (Maintenance { window, clock: clock.clone() }, Places::new(2));
    for _ in 0..4 {
        match gates.try_admit() {
            Ok(_permit) => println!("admitted"),
            Err(refusal) => println!("{refusal}"),
        }
        clock.advance(Duration::from_secs(25));
    }

    // During its window it is a gate of capacity zero, however it is wrapped.
    let closed = |clock: ManualClock| Maintenance { window: Tick::ZERO..Tick::MAX, clock };
    let at_end = |clock: ManualClock| (closed(clock), Places::new(0).named("maintenance"));
    Conformance::new("maintenance", at_end).capacity(0).holds().check();
    println!("conforms");
}
