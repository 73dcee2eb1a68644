//! Loom models: `cargo xtask loom plimsoll-core`. Searched whole.

use crate::{
    Admit, Gate, GateExt, Outcome, Permit, Reason, Rejected,
    sync::{AtomicU64, Ordering},
};
use loom::{sync::Arc, thread};

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

/// A permit sent to another thread and dropped there gives its place back
/// once, while a third thread tries to get it. Turns red when `finish` leaves
/// the ticket in place, so that `drop` reports a second time.
#[test]
fn a_permit_reports_once_wherever_it_ends() {
    loom::model(|| {
        let gate = Arc::new(One { taken: AtomicU64::new(0), heard: AtomicU64::new(0) });
        let ticket = gate.try_enter(&()).expect("the place is free");
        let permit = Permit::new(Handle(Arc::clone(&gate)), ticket);
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
