//! One suite for every gate.

use super::gates::{Open, SHUT, Shut};
use crate::{
    Admit, AnyGate, Clock, Gate, GateExt, ManualClock, Outcome, Permit, Tick,
    sync::{AtomicU64, Ordering},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

/// Holds a gate to what [`Gate`] and [`Admit`] promise.
///
/// Say what is expected, then [`check`](Self::check). Each claim is checked on
/// fresh gates by a manual clock, and most of them again behind every adapter
/// of this crate that leaves its context as it is (`&`, `Arc`, `Box`, `Option`,
/// tuples, `named`, `by_ref`, `AnyGate`).
///
/// What is checked:
///
/// * at one instant a fresh gate admits exactly its capacity, from one thread
///   or several (plus at most the stated overshoot);
/// * a refusal changes nothing, names the gate, and its hint of when to come
///   back is neither early nor more than a nanosecond late;
/// * [`Outcome::Unused`] gives everything back; whether the other outcomes give
///   back is what [`holds`](Self::holds) says; a permit gives back once,
///   dropped by a panic too, on whatever thread;
/// * time that stands still or goes back, and the end of time, neither panic
///   nor open the gate;
/// * an `enter` dropped at any poll leaves no trace, and where places are held,
///   one dropped when its turn has come wakes the next in line;
/// * adapters forward `enter`.
///
/// A gate that sleeps in `enter` on a runtime's timer must be checked inside
/// that runtime; the suite polls by hand and never waits for the timer.
#[derive(Clone, Debug)]
#[must_use = "nothing is checked before `check`"]
pub struct Conformance<M> {
    name: &'static str,
    make: M,
    capacity: u64,
    overshoot: u64,
    holds: bool,
    waits: bool,
    refill: Option<Duration>,
}

impl<M, G> Conformance<M>
where
    M: Fn(ManualClock) -> G,
    G: Gate + 'static,
{
    /// A suite for the gates that `make` makes on the clock it is given;
    /// `name` is what their refusals must carry.
    pub fn new(name: &'static str, make: M) -> Self {
        Self { name, make, capacity: 1, overshoot: 0, holds: false, waits: false, refill: None }
    }

    /// How many may enter a fresh gate at one instant. By default 1.
    pub fn capacity(self, capacity: u64) -> Self {
        Self { capacity, ..self }
    }

    /// How many more may enter when several threads ask. By default none.
    pub fn overshoot(self, overshoot: u64) -> Self {
        Self { overshoot, ..self }
    }

    /// Work holds its place while it runs: every outcome gives it back. By
    /// default only [`Outcome::Unused`] does.
    pub fn holds(self) -> Self {
        Self { holds: true, ..self }
    }

    /// The gate lets work wait: `enter` is pending where `try_enter` refuses.
    /// By default both refuse.
    pub fn waits(self) -> Self {
        Self { waits: true, ..self }
    }

    /// An empty gate admits one more every `period`, and the whole capacity
    /// after that many periods. By default time gives nothing back.
    pub fn refills_every(self, period: Duration) -> Self {
        Self { refill: Some(period), ..self }
    }

    /// Checks a gate that needs to know nothing of the work.
    ///
    /// # Panics
    ///
    /// When a promise is broken; the message names it.
    pub fn check(&self)
    where
        G: Admit<()>,
    {
        self.check_for(&());
    }

    /// Checks a gate with work of which `cx` is known.
    ///
    /// # Panics
    ///
    /// When a promise is broken; the message names it.
    pub fn check_for<C: ?Sized + Sync + 'static>(&self, cx: &C)
    where
        G: Admit<C>,
    {
        let fresh = || {
            let clock = ManualClock::new();
            ((self.make)(clock.clone()), clock)
        };
        self.basics("bare", cx, fresh);
        self.basics("Arc", cx, || map(fresh(), Arc::new));
        self.basics("Box", cx, || map(fresh(), Box::new));
        self.basics("Some", cx, || map(fresh(), Some));
        self.basics("a tuple of one", cx, || map(fresh(), |gate| (gate,)));
        self.basics("first of two", cx, || map(fresh(), |gate| (gate, Open)));
        self.basics("last of three", cx, || map(fresh(), |gate| (Open, Open, gate)));
        self.basics("named", cx, || map(fresh(), |gate| gate.named(self.name)));
        self.basics("AnyGate", cx, || map(fresh(), AnyGate::<C>::new));
        self.basics("by_ref", cx, || map(fresh(), |gate| gate.by_ref(|cx: &C| cx)));
        self.basics("a reference", cx, || map(fresh(), |gate| &*Box::leak(Box::new(gate))));
        self.admits_its_capacity_from_several_threads(cx);
        self.keeps_its_bound_when_time_misbehaves(cx);
        self.gives_back_once_per_permit(cx);
    }

    fn basics<C: ?Sized + Sync, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        fresh: impl Fn() -> (H, ManualClock),
    ) {
        self.capacity_and_refusal(form, cx, &fresh());
        self.unused_refunds(form, cx, &fresh());
        self.outcomes_give_back_or_not(form, cx, &fresh());
        self.time_refills(form, cx, &fresh());
        self.entering_and_going_leaves_no_trace(form, cx, &fresh());
        self.a_turn_that_is_dropped_passes_on(form, cx, &fresh());
        self.a_tuple_refunds_what_a_later_gate_refuses(form, cx, fresh());
    }

    /// Enters until refused, at most a little past what is allowed.
    fn fill<C: ?Sized, H: Admit<C>>(&self, cx: &C, gate: &H) -> Vec<H::Ticket> {
        let most = self.capacity + self.overshoot + 8;
        (0..most).map_while(|_| gate.try_enter(cx).ok()).collect()
    }

    fn capacity_and_refusal<C: ?Sized, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        (gate, clock): &(H, ManualClock),
    ) {
        let name = self.name;
        let held = self.fill(cx, gate);
        assert_eq!(count(&held), self.capacity, "{name}, {form}: admitted at one instant");
        for _ in 0..100 {
            let refusal = gate.try_enter(cx).err();
            let refusal = refusal.unwrap_or_else(|| panic!("{name}, {form}: a full gate opened"));
            assert_eq!(refusal.gate(), name, "{name}, {form}: the refusal names another gate");
            if self.capacity > 0 && self.refill.is_some() {
                let hint = refusal.retry_after();
                assert!(hint.is_some(), "{name}, {form}: no hint of when to come back");
            }
        }
        let hint = gate.try_enter(cx).err().and_then(|refusal| refusal.retry_after());
        if let Some(hint) = hint {
            let start = clock.now();
            clock.set(start + hint.saturating_sub(Duration::from_nanos(2)));
            if hint > Duration::from_nanos(2) {
                let early = gate.try_enter(cx).is_ok();
                assert!(!early, "{name}, {form}: it would have passed before its hint {hint:?}");
            }
            clock.set(start + hint);
            assert!(gate.try_enter(cx).is_ok(), "{name}, {form}: refused at its own hint {hint:?}");
        }
    }

    fn unused_refunds<C: ?Sized, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        (gate, _clock): &(H, ManualClock),
    ) {
        for round in 0..3 {
            let held = self.fill(cx, gate);
            let name = self.name;
            assert_eq!(count(&held), self.capacity, "{name}, {form}: after {round} refunds");
            for mut ticket in held {
                gate.begin(&mut ticket); // which takes nothing, and gives nothing back
                gate.leave(ticket, Outcome::Unused);
            }
        }
    }

    fn outcomes_give_back_or_not<C: ?Sized, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        (gate, _clock): &(H, ManualClock),
    ) {
        let held = self.fill(cx, gate);
        let outcomes = [Outcome::Success, Outcome::Ignored].into_iter().cycle();
        held.into_iter().zip(outcomes).for_each(|(ticket, outcome)| gate.leave(ticket, outcome));
        let expected = if self.holds { self.capacity } else { 0 };
        let again = count(&self.fill(cx, gate));
        assert_eq!(again, expected, "{}, {form}: admitted after the first ended", self.name);
    }

    fn time_refills<C: ?Sized, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        (gate, clock): &(H, ManualClock),
    ) {
        let Some(period) = self.refill.filter(|_| self.capacity > 0) else { return };
        let name = self.name;
        drop(self.fill(cx, gate));
        for step in 0..20 {
            clock.advance(period);
            let more = count(&self.fill(cx, gate));
            assert_eq!(more, 1, "{name}, {form}: admitted after period {step}");
        }
        let periods = u32::try_from(self.capacity).unwrap_or(u32::MAX).saturating_add(5);
        clock.advance(period.saturating_mul(periods));
        let full = count(&self.fill(cx, gate));
        assert_eq!(full, self.capacity, "{name}, {form}: admitted after a long rest");
    }

    fn entering_and_going_leaves_no_trace<C: ?Sized + Sync, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        (gate, clock): &(H, ManualClock),
    ) {
        let name = self.name;
        let mut held = self.fill(cx, gate);
        for polls in 0..4 {
            let mut waiting = pin!(gate.enter(cx));
            let mut behind = pin!(gate.enter(cx));
            for _ in 0..polls {
                let pending = poll(waiting.as_mut()).is_none();
                let waits = self.waits && self.capacity > 0;
                assert_eq!(pending, waits, "{name}, {form}: whether a full gate lets work wait");
                if !pending || poll(behind.as_mut()).is_some() {
                    break;
                }
            }
        }
        if self.holds {
            if let Some(ticket) = held.pop() {
                gate.leave(ticket, Outcome::Success);
                assert!(gate.try_enter(cx).is_ok(), "{name}, {form}: a dropped wait kept a place");
            }
        } else if let (Some(period), true) = (self.refill, self.capacity > 0) {
            clock.advance(period);
            let more = count(&self.fill(cx, gate));
            assert_eq!(more, 1, "{name}, {form}: admitted after dropped waits and one period");
        }
    }

    fn a_turn_that_is_dropped_passes_on<C: ?Sized + Sync, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        (gate, _clock): &(H, ManualClock),
    ) {
        if !(self.holds && self.waits && self.capacity > 0) {
            return;
        }
        let name = self.name;
        let mut held = self.fill(cx, gate);
        let mut first = Box::pin(gate.enter(cx));
        let mut second = pin!(gate.enter(cx));
        let woken = Arc::new(Woken(AtomicU64::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        assert!(poll(first.as_mut()).is_none(), "{name}, {form}: a full gate opened");
        let waits = second.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
        assert!(waits, "{name}, {form}: a full gate opened");
        held.pop().into_iter().for_each(|ticket| gate.leave(ticket, Outcome::Success));
        drop(first);
        let woken = woken.0.load(Ordering::Relaxed) > 0;
        assert!(woken, "{name}, {form}: a wait dropped in its turn did not wake the next");
        let admitted = poll(second).is_some_and(|decision| decision.is_ok());
        assert!(admitted, "{name}, {form}: a wait dropped in its turn kept the place");
    }

    fn a_tuple_refunds_what_a_later_gate_refuses<C: ?Sized, H: Admit<C>>(
        &self,
        form: &str,
        cx: &C,
        (gate, _clock): (H, ManualClock),
    ) {
        let name = self.name;
        let pair = (gate, Shut);
        for _ in 0..self.capacity.saturating_mul(2).min(1_000) {
            let refusal = pair.try_enter(cx).err().map(|refusal| refusal.gate());
            assert_eq!(refusal, Some(SHUT), "{name}, {form}: the shut gate behind it refuses");
        }
        let held = self.fill(cx, &pair.0);
        assert_eq!(count(&held), self.capacity, "{name}, {form}: after a later gate refused");
    }

    fn admits_its_capacity_from_several_threads<C: ?Sized + Sync>(&self, cx: &C)
    where
        G: Admit<C>,
    {
        let gate = (self.make)(ManualClock::new());
        let tries = self.capacity + self.overshoot + 8;
        let admitted: u64 = thread::scope(|scope| {
            let enter = || {
                let held: Vec<_> = (0..tries).filter_map(|_| gate.try_enter(cx).ok()).collect();
                count(&held)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread panicked")).sum()
        });
        let (least, most) = (self.capacity, self.capacity + self.overshoot);
        let name = self.name;
        assert!((least..=most).contains(&admitted), "{name}: 4 threads were admitted {admitted}");
    }

    fn keeps_its_bound_when_time_misbehaves<C: ?Sized>(&self, cx: &C)
    where
        G: Admit<C>,
    {
        let name = self.name;
        let clock = ManualClock::new();
        let gate = (self.make)(clock.clone());
        let held = self.fill(cx, &gate);
        assert_eq!(count(&held), self.capacity, "{name}: admitted while time stands still");
        let start = clock.now();
        for back in [Duration::from_nanos(1), Duration::from_secs(60), Duration::MAX] {
            clock.set(start - back);
            assert!(gate.try_enter(cx).is_err(), "{name}: opened when time went back {back:?}");
        }
        clock.set(start);
        assert!(gate.try_enter(cx).is_err(), "{name}: opened when time came back");
        clock.set(Tick::MAX);
        let late = count(&self.fill(cx, &gate));
        assert!(late <= self.capacity, "{name}: admitted {late} at the end of time");
    }

    fn gives_back_once_per_permit<C: ?Sized + Sync>(&self, cx: &C)
    where
        G: Admit<C>,
    {
        if self.capacity == 0 {
            return;
        }
        let name = self.name;
        let gate = (self.make)(ManualClock::new());
        for round in 0..self.capacity + 2 {
            let ticket = gate.try_enter(cx);
            let ticket = ticket.unwrap_or_else(|_| panic!("{name}: {round} cancels lost a place"));
            thread::scope(|scope| scope.spawn(|| Permit::new(&gate, ticket).cancel()).join())
                .unwrap_or_else(|_| panic!("{name}: a cancelled permit panicked"));
        }
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _permit = gate.try_admit_for(cx);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        let expected = if self.holds { self.capacity } else { self.capacity - 1 };
        let left = count(&self.fill(cx, &gate));
        assert_eq!(left, expected, "{name}: admitted after a permit was dropped by a panic");
    }
}

fn count<T>(held: &[T]) -> u64 {
    held.len() as u64
}

fn map<G, H>((gate, clock): (G, ManualClock), f: impl FnOnce(G) -> H) -> (H, ManualClock) {
    (f(gate), clock)
}

fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// How often a waker was called.
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
