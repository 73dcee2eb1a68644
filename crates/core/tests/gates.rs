//! What core promises of permits, combinators and `run`.

#![cfg(not(plimsoll_loom))]
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use plimsoll_core::{
    Admit, AnyGate, Error, Gate, GateExt, Outcome, Permit, Priority, Reason, Rejected, Weigh,
    testing::{AtLeast, Conformance, Places},
    verdict,
};
use std::{
    future::pending,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

/// Admits everything and remembers how it ended.
#[derive(Default)]
struct Recorder(Mutex<Vec<Outcome>>);

impl Recorder {
    fn heard(&self) -> Vec<Outcome> {
        self.0.lock().unwrap().clone()
    }
}

impl Gate for Recorder {
    type Ticket = ();
    fn leave(&self, (): (), outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

impl<C: ?Sized> Admit<C> for Recorder {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        Ok(())
    }
}

#[test]
fn places_conform_with_and_without_waiting() {
    Conformance::new("places", |_| Places::new(3)).capacity(3).holds().check();
    Conformance::new("places", |_| Places::new(3).waiting()).capacity(3).holds().waits().check();
    Conformance::new("places", |_| Places::new(0)).capacity(0).holds().check();
}

#[test]
fn gates_over_parts_and_weighted_gates_conform_whatever_handle_is_within() {
    fn handles(places: u64) -> impl Weigh<Ticket = Option<u64>> + Admit<u8> {
        Arc::new(Box::new(Some(&*Box::leak(Box::new(Places::new(places).waiting())))).named("all"))
    }
    let by = |_| handles(3).by(|request: &String| request.as_bytes()[0]);
    Conformance::new("all", by).capacity(3).holds().waits().check_for(&"request".to_owned());
    let by_ref = |_| handles(3).by_ref(|request: &[u8]| &request[0]);
    Conformance::new("all", by_ref).capacity(3).holds().waits().check_for(b"request".as_slice());
    let weighted = |_| handles(7).weighted(|request: &str| request.len() as u64);
    Conformance::new("all", weighted).capacity(2).holds().waits().check_for("two");
}

#[test]
#[should_panic(expected = "admitted at one instant")]
fn the_suite_catches_a_gate_that_admits_too_many() {
    Conformance::new("places", |_| Places::new(4)).capacity(3).holds().check();
}

#[test]
#[should_panic(expected = "names another gate")]
fn the_suite_catches_a_refusal_that_names_another_gate() {
    Conformance::new("doors", |_| Places::new(3)).capacity(3).holds().check();
}

/// Wraps a gate and forgets to forward `enter`.
struct Forgetful(Places);

impl Gate for Forgetful {
    type Ticket = u64;
    fn leave(&self, ticket: u64, outcome: Outcome) {
        self.0.leave(ticket, outcome);
    }
}

impl Admit for Forgetful {
    fn try_enter(&self, cx: &()) -> Result<u64, Rejected> {
        self.0.try_enter(cx)
    }
}

#[test]
#[should_panic(expected = "whether a full gate lets work wait")]
fn the_suite_catches_an_adapter_that_forgets_to_forward_enter() {
    let make = |_| Forgetful(Places::new(2).waiting());
    Conformance::new("places", make).capacity(2).holds().waits().check();
}

/// Takes a place in line and never leaves it.
struct Leaky(Places);

impl Gate for Leaky {
    type Ticket = u64;
    fn leave(&self, _: u64, _: Outcome) {}
}

impl Admit for Leaky {
    fn try_enter(&self, cx: &()) -> Result<u64, Rejected> {
        self.0.try_enter(cx)
    }
}

#[test]
#[should_panic(expected = "places")]
fn the_suite_catches_a_gate_that_keeps_what_it_was_given_back() {
    Conformance::new("places", |_| Leaky(Places::new(2))).capacity(2).holds().check();
}

#[test]
fn a_permit_reports_exactly_once_whichever_way_it_ends() {
    let gate = Recorder::default();
    gate.try_admit().unwrap().finish(Outcome::Success);
    gate.try_admit().unwrap().cancel();
    drop(gate.try_admit().unwrap());
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _permit = gate.try_admit().unwrap();
        std::panic::resume_unwind(Box::new("planned"));
    }));
    assert!(unwound.is_err());
    use Outcome::{Failure, Ignored, Success, Unused};
    assert_eq!(gate.heard(), [Success, Unused, Ignored, Failure]);
}

#[test]
fn a_permit_taken_and_dropped_while_unwinding_is_not_blamed_for_the_panic() {
    struct CleansUp<'a>(&'a Recorder);
    impl Drop for CleansUp<'_> {
        fn drop(&mut self) {
            drop(self.0.try_admit().unwrap());
        }
    }
    let gate = Recorder::default();
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _cleanup = CleansUp(&gate);
        std::panic::resume_unwind(Box::new("planned"));
    }));
    assert!(unwound.is_err());
    assert_eq!(gate.heard(), [Outcome::Ignored]);
}

#[test]
fn an_owned_permit_outlives_the_handle_and_may_be_sent() {
    fn sendable<T: Send + 'static>(value: T) -> T {
        value
    }
    let gate = Arc::new(Recorder::default());
    let permit = sendable(gate.try_admit_owned().unwrap());
    std::thread::spawn(move || drop(permit)).join().unwrap();
    assert_eq!(gate.heard(), [Outcome::Ignored]);
}

#[tokio::test]
async fn run_reports_success_failure_and_panic() {
    let gate = Arc::new(Recorder::default());
    gate.run(async { Ok::<_, io::Error>(()) }).await.unwrap();
    gate.run(async { Err::<(), _>(io::Error::other("down")) }).await.unwrap_err();
    let panicking = Arc::clone(&gate);
    let task = tokio::spawn(async move {
        let work = async { std::panic::resume_unwind(Box::new("planned")) };
        panicking.run::<(), io::Error, _>(work).await
    });
    assert!(task.await.is_err());
    assert_eq!(gate.heard(), [Outcome::Success, Outcome::Failure, Outcome::Failure]);
}

#[test]
fn run_dropped_before_its_first_poll_asks_for_nothing_and_dropped_midway_is_ignored() {
    let gate = Recorder::default();
    drop(gate.run(pending::<Result<(), io::Error>>()));
    assert!(gate.heard().is_empty());
    {
        let mut run = pin!(gate.run(pending::<Result<(), io::Error>>()));
        let _ = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    assert_eq!(gate.heard(), [Outcome::Ignored]);
}

#[tokio::test]
async fn a_refusal_further_in_is_not_a_failure_to_verdict_of() {
    let outer = Recorder::default();
    let inner = Places::new(0);
    let work = inner.run(async { Ok::<(), io::Error>(()) });
    let error = outer.run_with(work, verdict::of).await.unwrap_err();
    assert!(matches!(error, Error::Inner(Error::Rejected(_))));
    assert_eq!(outer.heard(), [Outcome::Ignored]);
}

#[test]
fn a_tuple_refunds_the_gates_before_the_one_that_refuses_and_asks_none_after_it() {
    let gates = (Recorder::default(), Places::new(0), Recorder::default());
    assert_eq!(gates.try_admit().unwrap_err().gate(), "places");
    assert_eq!(gates.0.heard(), [Outcome::Unused]);
    assert!(gates.2.heard().is_empty());
}

#[test]
fn a_tuple_whose_wait_is_dropped_refunds_what_it_held() {
    let gates = (Recorder::default(), Places::new(1).waiting());
    let held = gates.1.try_admit().unwrap();
    {
        let mut waiting = pin!(gates.admit());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(gates.0.heard().is_empty());
    }
    assert_eq!(gates.0.heard(), [Outcome::Unused]);
    drop(held);
    assert!(gates.1.try_admit().is_ok());
}

/// Admits everything and remembers how often the work of each ticket began anew.
#[derive(Default)]
struct Begins(Mutex<Vec<u32>>);

impl Gate for Begins {
    type Ticket = u32;
    fn begin(&self, times: &mut u32) {
        *times += 1;
    }
    fn leave(&self, times: u32, _: Outcome) {
        self.0.lock().unwrap().push(times);
    }
}

impl<C: ?Sized> Admit<C> for Begins {
    fn try_enter(&self, _: &C) -> Result<u32, Rejected> {
        Ok(0)
    }
}

impl Weigh for Begins {
    fn try_enter_n(&self, _: u64) -> Result<u32, Rejected> {
        Ok(0)
    }
}

#[test]
fn work_that_waited_for_a_later_gate_begins_when_all_have_admitted_it() {
    let all: [Arc<Begins>; 8] = Default::default();
    let [a, b, c, d, e, f, g, h] = all.clone();
    let places = Arc::new(Places::new(1).waiting());
    let forms = (
        (a, Some(b), Box::new(c)),
        (d.named("named"), e.by(|(): &()| 7), f.by_ref(|unit: &()| unit)),
        (g.weighted(|(): &()| 7), AnyGate::new(h)),
    );
    let gates = (forms, &places);

    let held = places.try_admit().unwrap();
    let mut admitting = pin!(gates.admit());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(admitting.as_mut().poll(&mut cx).is_pending());
    drop(held);
    let Poll::Ready(Ok(permit)) = admitting.as_mut().poll(&mut cx) else {
        panic!("the place is free");
    };
    drop(permit);
    assert!(
        all.iter().all(|gate| *gate.0.lock().unwrap() == [1]),
        "{:?}",
        all.map(|g| g.0.lock().unwrap().clone())
    );
}

#[tokio::test]
async fn work_that_waited_for_no_later_gate_has_begun_when_it_was_admitted() {
    let places = Places::new(1).waiting();
    let gates = (&places, Begins::default(), Places::new(9).waiting());
    let held = places.try_admit().unwrap();
    let admitting = gates.admit();
    let (permit, ()) = tokio::join!(admitting, async { drop(held) });
    drop(permit.unwrap());
    drop(gates.try_admit().unwrap());
    assert_eq!(*gates.1.0.lock().unwrap(), [0, 0]);
}

#[test]
fn a_tuple_of_eight_gates_admits_and_reports_to_each() {
    let all: [Arc<Recorder>; 8] = Default::default();
    let [a, b, c, d, e, f, g, h] = all.clone();
    (a, b, c, d, e, f, g, h).try_admit().unwrap().finish(Outcome::Success);
    assert!(all.iter().all(|gate| gate.heard() == [Outcome::Success]));
}

#[test]
fn an_absent_gate_admits_everything() {
    let gate: Option<Places> = None;
    let permits: Vec<_> = (0..100).map_while(|_| gate.try_admit().ok()).collect();
    assert_eq!(permits.len(), 100);
}

struct Request {
    priority: Priority,
    tenant: String,
    bytes: u64,
}

#[test]
fn gates_over_parts_compose_into_a_gate_over_the_request() {
    struct NotGuest;
    impl Gate for NotGuest {
        type Ticket = ();
        fn leave(&self, (): (), _: Outcome) {}
    }
    impl Admit<str> for NotGuest {
        fn try_enter(&self, tenant: &str) -> Result<(), Rejected> {
            match tenant {
                "guest" => Err(Rejected::new(Reason::Closed, "guests")),
                _ => Ok(()),
            }
        }
    }
    let gates = (
        AtLeast(Priority::NORMAL).by(|request: &Request| request.priority),
        NotGuest.by_ref(|request: &Request| request.tenant.as_str()),
        Places::new(100).weighted(|request: &Request| request.bytes),
        Places::new(2),
    );
    let request = |level, tenant: &str, bytes| Request {
        priority: Priority::new(level),
        tenant: tenant.into(),
        bytes,
    };
    let admitted = gates.try_admit_for(&request(5, "acme", 60)).unwrap();
    let refused = |r: &Request| gates.try_admit_for(r).unwrap_err().gate();
    assert_eq!(refused(&request(4, "acme", 1)), "at least");
    assert_eq!(refused(&request(5, "guest", 1)), "guests");
    assert_eq!(refused(&request(5, "acme", 60)), "places");
    drop(admitted);
    assert!(gates.try_admit_for(&request(5, "acme", 60)).is_ok());
}

#[test]
fn a_weight_that_overflows_is_refused_and_not_wrapped() {
    let gate = Places::new(10).weighted(|n: &u64| *n);
    let _one = gate.try_admit_for(&1).unwrap();
    assert!(gate.try_admit_for(&u64::MAX).is_err());
}

#[tokio::test]
async fn futures_of_gates_can_be_spawned() {
    let gates = Arc::new((Places::new(1).waiting(), Places::new(1).named("second")));
    let spawned = Arc::clone(&gates);
    let task = tokio::spawn(async move {
        let ran = spawned.run(async { Ok::<_, io::Error>(1) }).await.unwrap();
        let permit = spawned.admit_owned().await.unwrap();
        let any: AnyGate = AnyGate::new(Places::new(0));
        assert!(any.admit().await.is_err(), "no places");
        let _: Permit<Arc<_>> = permit;
        ran
    });
    assert_eq!(task.await.unwrap(), 1);
}

#[test]
fn a_bad_literal_panics_where_it_is_written() {
    let seen = Arc::new(Mutex::new(None));
    let (place, before) = (Arc::clone(&seen), std::panic::take_hook());
    std::panic::set_hook(Box::new(move |info| match info.payload().downcast_ref::<String>() {
        Some(message) if message.starts_with("priority must be") => {
            *place.lock().unwrap() = info.location().map(|place| place.file().to_owned());
        }
        _ => before(info),
    }));
    assert!(catch_unwind(|| Priority::new(11)).is_err());
    assert_eq!(seen.lock().unwrap().as_deref(), Some(file!()));
}
