//! What a metered gate counts, under which names, and that it changes nothing.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use metrics::{Key, with_local_recorder};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use plimsoll_core::{
    Admit, Clock, Gate, GateExt, ManualClock, Outcome, Priority, Quota, QuotaState, Reason,
    Rejected, Tick, Weigh,
    testing::{AtLeast, Conformance, Places},
};
use plimsoll_metered::Metered;
use std::{
    fmt::Write,
    future::pending,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

/// Runs `f` under a recorder of its own and returns what was recorded.
fn recorded(f: impl FnOnce()) -> String {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, f);
    lines(&snapshotter)
}

fn series(key: &Key) -> String {
    let labels = key.labels().map(|label| format!("{}={:?}", label.key(), label.value()));
    format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","))
}

fn lines(snapshotter: &Snapshotter) -> String {
    let mut lines: Vec<_> = snapshotter
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, unit, description, value)| {
            let value = match value {
                DebugValue::Counter(n) => format!("counter {n}"),
                DebugValue::Gauge(n) => format!("gauge {n}"),
                DebugValue::Histogram(all) => format!("histogram {all:?}"),
            };
            let unit = unit.map(|unit| unit.as_str().to_owned()).unwrap_or_default();
            let description = description.unwrap_or_default();
            format!("{} = {value} [{unit}: {description}]", series(key.key()))
        })
        .collect();
    lines.sort();
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn the_names_and_what_they_count_are_these() {
    let text = recorded(|| {
        let clock = ManualClock::new();
        let gate = Metered::new("front", (Places::new(5).named("tenant"), Places::new(4)));
        let gate = gate.clock(clock.clone()).wait_time().service_time();

        let permit = gate.try_admit().unwrap();
        clock.advance(Duration::from_millis(250));
        permit.finish(Outcome::Success);
        for outcome in [Outcome::Failure, Outcome::Ignored, Outcome::Ignored, Outcome::Unused] {
            gate.try_admit().unwrap().finish(outcome);
        }
        let held: Vec<_> = (0..4).map(|_| gate.try_admit().unwrap()).collect();
        assert!(gate.try_admit().is_err(), "refused by the second");
        let ticket = gate.get_ref().0.try_enter(&()).unwrap();
        assert!(gate.try_admit().is_err() && gate.try_admit().is_err(), "refused by the first");
        gate.get_ref().0.leave(ticket, Outcome::Unused);

        assert!(poll(pin!(gate.enter(&()))), "refused at once");
        std::mem::forget(held);
    });
    insta::assert_snapshot!(text);
}

#[test]
fn it_conforms_around_gates_that_wait_and_that_do_not() {
    let recorder = DebuggingRecorder::new();
    with_local_recorder(&recorder, || {
        let counted = |_| Metered::new("counted", Places::new(3));
        Conformance::new("places", counted).capacity(3).holds().check();
        let timed = |clock| {
            let gate = Metered::new("timed", Places::new(3).waiting());
            gate.wait_time().service_time().clock::<ManualClock>(clock)
        };
        Conformance::new("places", timed).capacity(3).holds().waits().check();
        let closed = |_| Metered::new("closed", Places::new(0));
        Conformance::new("places", closed).capacity(0).holds().check();
        let tuple = |_| Metered::new("tuple", (Places::new(9), Places::new(2).waiting()));
        Conformance::new("places", tuple).capacity(2).holds().waits().check();
        let nested = |_| (Metered::new("outer", Metered::new("inner", Places::new(2))),);
        Conformance::new("places", nested).capacity(2).holds().check();
        let heavy = |_| Metered::new("heavy", Places::new(7).waiting()).weighted(|n: &u64| *n);
        Conformance::new("places", heavy).capacity(2).holds().waits().check_for(&3);
        let urgent = |_| Metered::new("urgent", Places::new(2).by(|_: &Priority| ()));
        let suite = Conformance::new("places", urgent).capacity(2).holds();
        suite.check_for(&Priority::HIGHEST);
    });
}

#[test]
fn it_decides_about_whatever_the_gate_within_decides_about() {
    let gate = Metered::new("urgent", AtLeast(Priority::HIGHEST));
    assert!(gate.try_admit_for(&Priority::HIGHEST).is_ok());
    let refusal = gate.try_admit_for(&Priority::NORMAL).unwrap_err();
    assert_eq!((refusal.gate(), refusal.reason()), ("at least", Reason::Overload));
}

#[test]
fn weights_pass_through_and_wait_where_the_gate_within_waits() {
    let gate = Metered::new("bytes", Places::new(10).waiting());
    let ticket = gate.try_enter_n(8).unwrap();
    assert_eq!(gate.get_ref().used(), 8);
    assert!(gate.try_enter_n(3).is_err());
    let mut waiting = pin!(gate.enter_n(3));
    assert!(!poll(waiting.as_mut()), "it waits");
    gate.leave(ticket, Outcome::Success);
    assert!(poll(waiting), "its turn has come");
}

#[test]
fn a_wait_is_recorded_once_and_one_that_is_given_up_is_not() {
    let text = recorded(|| {
        let clock = ManualClock::new();
        let gate = Metered::new("g", Places::new(1).waiting()).wait_time().clock(clock.clone());
        let held = gate.try_admit().unwrap();
        {
            let mut given_up = pin!(gate.enter(&()));
            assert!(!poll(given_up.as_mut()));
        }
        let mut waiting = pin!(gate.enter(&()));
        assert!(!poll(waiting.as_mut()));
        clock.advance(Duration::from_millis(1_500));
        held.finish(Outcome::Success);
        assert!(poll(waiting));
    });
    assert!(text.contains("plimsoll_wait_seconds{gate=\"g\"} = histogram [1.5]"), "{text}");
    assert!(!text.contains("plimsoll_refused_total"), "a wait is no refusal: {text}");
}

#[test]
fn work_that_never_started_has_no_service_time() {
    let text = recorded(|| {
        let clock = ManualClock::new();
        let gate = Metered::new("g", Places::new(1)).service_time().clock(clock.clone());
        gate.try_admit().unwrap().cancel();
        let permit = gate.try_admit().unwrap();
        clock.set(Tick::ZERO); // time that goes back is no time
        permit.finish(Outcome::Failure);
    });
    assert!(text.contains("plimsoll_service_seconds{gate=\"g\"} = histogram [0.0]"), "{text}");
}

#[test]
fn work_that_waits_for_a_later_gate_is_not_served_yet() {
    let text = recorded(|| {
        let clock = ManualClock::new();
        let first = Metered::new("g", Places::new(1)).service_time().clock(clock.clone());
        let gates = (first, Places::new(1).waiting());
        let held = gates.1.try_admit().unwrap();
        let mut admitting = pin!(gates.admit());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(admitting.as_mut().poll(&mut cx).is_pending());
        clock.advance(Duration::from_secs(5));
        drop(held);
        let Poll::Ready(Ok(permit)) = admitting.as_mut().poll(&mut cx) else {
            panic!("the place is free");
        };
        clock.advance(Duration::from_secs(1));
        permit.finish(Outcome::Success);
    });
    assert!(text.contains("plimsoll_service_seconds{gate=\"g\"} = histogram [1.0]"), "{text}");
}

/// Counts how often it is read.
struct Counting<'a>(&'a AtomicU64);

impl Clock for Counting<'_> {
    fn now(&self) -> Tick {
        self.0.fetch_add(1, Ordering::Relaxed);
        Tick::ZERO
    }
}

#[test]
fn the_clock_is_read_only_for_histograms_and_once_per_decision() {
    let reads = AtomicU64::new(0);
    let spent = || reads.swap(0, Ordering::Relaxed);
    let plain = Metered::new("g", Places::new(1)).clock(Counting(&reads));
    plain.try_admit().unwrap().finish(Outcome::Success);
    assert!(poll(pin!(plain.admit())), "and left again");
    assert_eq!(spent(), 0);

    let timed = Metered::new("g", Places::new(1)).service_time().clock(Counting(&reads));
    let permit = timed.try_admit().unwrap();
    assert_eq!(spent(), 1, "to decide");
    assert!(timed.try_admit().is_err());
    assert_eq!(spent(), 0, "to refuse");
    permit.finish(Outcome::Success);
    assert_eq!(spent(), 1, "to leave");

    let both = timed.wait_time();
    let mut waits = pin!(both.enter(&()));
    assert!(poll(waits.as_mut()));
    assert_eq!(spent(), 2, "the end of the wait is the start of the work");
}

#[test]
fn work_under_way_shows_in_the_gauge_and_a_panic_is_a_failure() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let gate = with_local_recorder(&recorder, || Metered::new("g", Places::new(2)));
    let held = gate.try_admit().unwrap();
    let panicked = thread::scope(|scope| {
        let work = scope.spawn(|| {
            let _permit = gate.try_admit().unwrap();
            std::panic::resume_unwind(Box::new(()));
        });
        work.join().is_err()
    });
    assert!(panicked);
    let text = lines(&snapshotter);
    assert!(text.contains("plimsoll_in_flight{gate=\"g\"} = gauge 1 "), "{text}");
    assert!(text.contains("outcome=\"failure\"} = counter 1 "), "{text}");
    drop(held);
}

/// Refuses for whatever reason and under whatever name it is asked about.
struct Refuses;

impl Gate for Refuses {
    type Ticket = ();
    fn leave(&self, (): (), _: Outcome) {}
}

impl Admit<Rejected> for Refuses {
    fn try_enter(&self, refusal: &Rejected) -> Result<(), Rejected> {
        Err(*refusal)
    }
}

#[test]
fn every_refusal_is_counted_under_its_gate_and_reason_however_many_kinds_there_are() {
    const GATES: [&str; 5] = ["a", "b", "c", "d", "e"];
    let text = recorded(|| {
        let gate = Metered::new("many", Refuses);
        for _ in 0..3 {
            for by in GATES {
                for reason in Reason::all() {
                    assert!(gate.try_admit_for(&Rejected::new(*reason, by)).is_err());
                }
            }
        }
    });
    let kinds = GATES.len() * Reason::all().len();
    assert!(kinds > 16, "more than are remembered");
    assert_eq!(text.matches("= counter 3 ").count(), kinds, "{text}");
}

#[test]
fn threads_that_meet_a_new_kind_of_refusal_at_once_lose_no_count() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let gate = with_local_recorder(&recorder, || Metered::new("g", Refuses));
    let reasons = Reason::all();
    thread::scope(|scope| {
        for start in 0..4 {
            let (gate, recorder) = (&gate, &recorder);
            scope.spawn(move || {
                with_local_recorder(recorder, || {
                    for reason in reasons.iter().cycle().skip(start).take(reasons.len() * 100) {
                        let refusal = Rejected::new(*reason, "inner");
                        assert!(gate.try_admit_for(&refusal).is_err());
                    }
                });
            });
        }
    });
    let text = lines(&snapshotter);
    assert_eq!(text.matches("= counter 400 ").count(), reasons.len(), "{text}");
}

#[test]
fn built_before_there_is_a_recorder_it_counts_nothing_for_ever() {
    let early = Metered::new("early", Places::new(1));
    let text = recorded(|| early.try_admit().unwrap().finish(Outcome::Success));
    assert_eq!(text, "");
}

#[test]
fn two_of_one_name_share_their_metrics() {
    let text = recorded(|| {
        for _ in 0..2 {
            let owned = String::from("g");
            Metered::new(owned, Places::new(1)).try_admit().unwrap().finish(Outcome::Success);
        }
    });
    assert!(text.contains("outcome=\"success\"} = counter 2 "), "{text}");
}

/// Something with a quota.
struct Left(AtomicU64);

impl Quota<str> for Left {
    fn quota(&self, who: &str) -> QuotaState {
        let remaining = self.0.load(Ordering::Relaxed) + who.len() as u64;
        QuotaState { limit: 9, remaining, reset: Duration::ZERO, window: Duration::ZERO }
    }
}

#[test]
fn a_quota_shows_through() {
    let gate = Metered::new("g", Left(AtomicU64::new(4)));
    assert_eq!(gate.quota("abc").remaining, 7);
}

#[tokio::test]
async fn work_dropped_while_it_runs_is_ignored() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let gate = with_local_recorder(&recorder, || Metered::new("g", Places::new(1)));
    {
        let mut run = pin!(gate.run(pending::<Result<(), std::io::Error>>()));
        assert!(!poll(run.as_mut()));
    }
    let text = lines(&snapshotter);
    assert!(text.contains("outcome=\"ignored\"} = counter 1 "), "{text}");
    assert!(text.contains("plimsoll_in_flight{gate=\"g\"} = gauge 0 "), "{text}");
}
