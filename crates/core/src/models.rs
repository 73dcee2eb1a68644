//! Loom models: `cargo xtask loom plimsoll-core`. Searched whole, in the ways
//! that `modelled` in `sync.rs` tells.

use crate::{
    Admit, Clock, Gate, GateExt, ManualClock, Outcome, Permit, Reason, Rejected, Tick,
    sync::{AtomicU64, Ordering, modelled::search},
};
use loom::{sync::Arc, thread};
use std::time::Duration;

/// One place, taken by compare-and-swap, and a count of what it heard.
struct One {
    taken: AtomicU64,
    heard: AtomicU64,
}

impl Gate for One {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        assert_eq!(self.taken.swap(0, Ordering::Release), 1, "given back twice");
    }
}

impl<C: ?Sized> Admit<C> for One {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        let taken = self.taken.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        taken.then_some(()).ok_or(Rejected::new(Reason::Concurrency, "one"))
    }
}

/// A permit sent to another thread and finished there gives its place back
/// once, while a third thread tries to get it and drops its own. A ticket is not
/// `Copy`, so no code that compiles reports it twice. Turns red when `finish`
/// forgets the permit instead of reporting, and when `drop` reports panics only.
#[test]
fn a_permit_reports_once_wherever_it_ends() {
    search(|| {
        let gate = Arc::new(One { taken: AtomicU64::new(0), heard: AtomicU64::new(0) });
        gate.try_enter(&()).expect("the place is free");
        let permit = Permit::new(Handle(Arc::clone(&gate)), ());
        let finishes = thread::spawn(move || permit.finish(Outcome::Success));
        let tries = {
            let gate = Handle(Arc::clone(&gate));
            thread::spawn(move || gate.try_admit_owned().map(drop).is_ok())
        };
        finishes.join().unwrap();
        let second = tries.join().unwrap();
        assert_eq!(gate.heard.load(Ordering::Relaxed), 1 + u64::from(second));
        assert!(gate.try_enter(&()).is_ok(), "the place was lost");
    });
}

/// Loom's `Arc` is not std's, for which core implements `Gate`.
#[derive(Clone)]
struct Handle(Arc<One>);

impl Gate for Handle {
    type Ticket = ();

    fn leave(&self, (): (), outcome: Outcome) {
        self.0.leave((), outcome);
    }
}

impl<C: ?Sized> Admit<C> for Handle {
    fn try_enter(&self, cx: &C) -> Result<(), Rejected> {
        self.0.try_enter(cx)
    }
}

/// Two threads advance one clock at once. Turns red when `advance` loads and
/// stores instead of comparing and swapping: one of the steps is lost.
#[test]
fn no_step_of_a_manual_clock_is_lost() {
    search(|| {
        let clock = ManualClock::at(Tick::ZERO);
        let other = clock.clone();
        let step = thread::spawn(move || other.advance(Duration::from_nanos(1)));
        clock.advance(Duration::from_nanos(2));
        step.join().unwrap();
        assert_eq!(clock.now(), Tick::from_nanos(3));
    });
}
