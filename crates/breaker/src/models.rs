//! Loom models: `cargo xtask loom plimsoll-breaker`. Searched whole, but for the
//! eight that go through [`bounded`]. Those of the ring alone are beside it.

use crate::{Builder, CircuitBreaker, State, sync::read_by_change};
use loom::{sync::Arc, thread};
use plimsoll_core::{Admit, Clock, Gate, Outcome, PerKey, Tick};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const OPEN: Duration = Duration::from_nanos(1_000);

/// A window of time has one full bucket here, and the one that is being filled.
const BUCKET: Duration = Duration::from_nanos(100);

/// A clock that stands until the model moves it, and is no part of the search.
#[derive(Clone)]
struct At(std::sync::Arc<AtomicU64>);

impl At {
    fn start() -> Self {
        Self(std::sync::Arc::new(AtomicU64::new(10_000)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_nanos()).expect("short"), Ordering::Relaxed);
    }
}

impl Clock for At {
    fn now(&self) -> Tick {
        Tick::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

type Breaker = CircuitBreaker<At>;

/// Opens at the first failure; by calls, so that the clock is no matter.
fn builder() -> (Builder<At>, At) {
    let clock = At::start();
    let builder = CircuitBreaker::builder().clock(clock.clone()).open_for(OPEN);
    (builder.consecutive_failures(1).window_calls(10), clock)
}

fn shared(builder: Builder<At>) -> Arc<Breaker> {
    Arc::new(builder.build().expect("within bounds"))
}

fn ticket(breaker: &Breaker) -> crate::BreakerTicket {
    breaker.try_enter(&()).expect("it conducts")
}

fn call(breaker: &Breaker, outcome: Outcome) {
    breaker.leave(ticket(breaker), outcome);
}

/// All accesses of this crate are sequentially consistent, so that a reading may
/// always be a change by nothing: see `read_by_change`.
pub(crate) fn whole(model: impl Fn() + Send + Sync + 'static) {
    read_by_change(true);
    loom::model(model);
}

/// At most four preemptions. Where three threads are at the word and the ring, or
/// two count in all ways there are, a whole search takes more than half a million
/// executions, and minutes.
fn bounded(model: impl Fn() + Send + Sync + 'static) {
    read_by_change(true);
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(4);
    search.check(model);
}

/// Does `work` with the breaker on a thread of its own.
fn on_thread<T: Send + 'static>(
    breaker: &Arc<Breaker>,
    work: impl FnOnce(&Breaker) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let breaker = Arc::clone(breaker);
    thread::spawn(move || work(&breaker))
}

/// Two calls fail at once and one succeeds: it opens once, and the late ones
/// neither close it nor are told. Turns red when `replace` stores in place of the
/// exchange (it opens twice), and when `judge` reads the run of failures anew (a
/// success right behind the failure hides it).
#[test]
fn it_trips_once_whoever_else_fails_or_succeeds() {
    bounded(|| {
        let trips = std::sync::Arc::new(Mutex::new(0));
        let (builder, _clock) = builder();
        let told = std::sync::Arc::clone(&trips);
        let breaker = shared(builder.on_change(move |change| {
            assert_eq!((change.from, change.to), (State::Closed, State::Open));
            *told.lock().unwrap() += 1;
        }));
        let (one, other, good) = (ticket(&breaker), ticket(&breaker), ticket(&breaker));
        let fails = on_thread(&breaker, |breaker| breaker.leave(one, Outcome::Failure));
        let fails_too = on_thread(&breaker, |breaker| breaker.leave(other, Outcome::Failure));
        breaker.leave(good, Outcome::Success);
        fails.join().unwrap();
        fails_too.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(breaker.retry_after(), Some(OPEN));
        assert_eq!(*trips.lock().unwrap(), 1);
    });
}

/// A success that left before the trip comes back while a probe fails. It must
/// not pass for the probe's. Turns red when neither `leave` nor `probe_ended`
/// compares generations.
#[test]
fn a_late_success_does_not_pass_for_the_probes() {
    whole(|| {
        let (builder, clock) = builder();
        let breaker = shared(builder.probes(1));
        let late = ticket(&breaker);
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        let comes_back = on_thread(&breaker, |breaker| breaker.leave(late, Outcome::Success));
        let probes = on_thread(&breaker, |breaker| call(breaker, Outcome::Failure));
        comes_back.join().unwrap();
        probes.join().unwrap();
        assert_eq!(breaker.state(), State::Open);
        assert_eq!(breaker.retry_after(), Some(OPEN));
    });
}

/// Whoever sees that it is open sees since when: nobody passes before the end of
/// the opening. Turns red when `judge` writes `open_from` after the exchange.
#[test]
fn nobody_passes_between_the_trip_and_the_end_of_the_opening() {
    whole(|| {
        let (builder, _clock) = builder();
        let breaker = shared(builder);
        let bad = ticket(&breaker);
        let fails = on_thread(&breaker, |breaker| breaker.leave(bad, Outcome::Failure));
        let asks =
            on_thread(&breaker, |breaker| breaker.try_enter(&()).map(|ticket| ticket.generation));
        match asks.join().unwrap() {
            Ok(generation) => assert_eq!(generation, 0, "it passed an open breaker"),
            Err(refusal) => assert_eq!(refusal.retry_after(), Some(OPEN)),
        }
        fails.join().unwrap();
    });
}

/// Three ask at the moment at which two probes may go: two go, whoever comes
/// first. Turns red when `enter` reads the word anew for the exchange (three go),
/// and when it refuses whoever loses the exchange that ends the opening (one goes).
#[test]
fn exactly_as_many_probe_as_may() {
    bounded(|| {
        let (builder, clock) = builder();
        let breaker = shared(builder.probes(2));
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        let ask = |breaker: &Breaker| breaker.try_enter(&()).is_ok();
        let (one, other) = (on_thread(&breaker, ask), on_thread(&breaker, ask));
        let asked = [ask(&breaker), one.join().unwrap(), other.join().unwrap()];
        assert_eq!(asked.iter().filter(|&&passed| passed).count(), 2);
    });
}

/// A probe is dropped while another succeeds and a third asks: the place that the
/// first gives back is there for one, and the success is not lost. Turns red when
/// `probe_ended` stores in place of the exchange.
#[test]
fn a_dropped_probe_gives_its_place_back_and_takes_nothing_with_it() {
    bounded(|| {
        let (builder, clock) = builder();
        let breaker = shared(builder.probes(2));
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        let (dropped, good) = (ticket(&breaker), ticket(&breaker));
        let drops = on_thread(&breaker, |breaker| breaker.leave(dropped, Outcome::Ignored));
        let succeeds = on_thread(&breaker, |breaker| breaker.leave(good, Outcome::Success));
        let third = breaker.try_enter(&()).ok();
        drops.join().unwrap();
        succeeds.join().unwrap();
        let third = third.unwrap_or_else(|| ticket(&breaker));
        assert!(breaker.try_enter(&()).is_err(), "three in two places");
        breaker.leave(third, Outcome::Success);
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// A reset, a failed probe, and one who asks: the reset is not undone by the
/// probe's result, whichever comes first. Turns red when `probe_ended` asks only
/// once for the generation and whether a probe is under way, and not again after a
/// lost exchange; and when `replace` stores in place of the exchange.
#[test]
fn a_reset_is_not_undone_by_a_probe() {
    whole(|| {
        let (builder, clock) = builder();
        let breaker = shared(builder.probes(1));
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        let probe = ticket(&breaker);
        let resets = on_thread(&breaker, |breaker| breaker.reset());
        let fails = on_thread(&breaker, |breaker| breaker.leave(probe, Outcome::Failure));
        let _ = breaker.try_enter(&());
        resets.join().unwrap();
        fails.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
        call(&breaker, Outcome::Success);
    });
}

/// A probe succeeds while another fails, and the next opening ends: in the account of
/// the probes after it nothing is the first one's. Turns red when `probe_ended` does
/// not compare generations.
#[test]
fn a_late_probe_is_not_in_the_account_of_later_ones() {
    whole(|| {
        let (builder, clock) = builder();
        let breaker = shared(builder.probes(2));
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        let (late, bad) = (ticket(&breaker), ticket(&breaker));
        let succeeds = on_thread(&breaker, |breaker| breaker.leave(late, Outcome::Success));
        breaker.leave(bad, Outcome::Failure);
        clock.advance(OPEN);
        let _probe = ticket(&breaker);
        succeeds.join().unwrap();
        assert_eq!((breaker.state(), breaker.counts().calls), (State::HalfOpen, 0));
    });
}

/// A failure that opens it comes back while it is reset: it opens before the reset, or
/// not at all. Turns red when `judge` does not compare generations.
#[test]
fn a_reset_is_not_undone_by_a_failure_that_left_before_it() {
    whole(|| {
        let (builder, _clock) = builder();
        let breaker = shared(builder);
        let bad = ticket(&breaker);
        let fails = on_thread(&breaker, |breaker| breaker.leave(bad, Outcome::Failure));
        breaker.reset();
        fails.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
    });
}

/// A recovery has run its time, and a call that left in it fails while another asks:
/// that it has ended is told once, by whoever finds it, and before that it opened; the
/// opening is a first one. Turns red when `judge` does not settle first, and when
/// `replace` stores in place of the exchange (the end undoes the trip).
#[test]
fn the_end_of_a_recovery_is_told_once_and_the_trip_after_it_is_a_first_one() {
    bounded(|| {
        let told = std::sync::Arc::new(Mutex::new(Vec::new()));
        let hears = std::sync::Arc::clone(&told);
        let (builder, clock) = builder();
        let builder = builder.probes(1).ramp(&[50], OPEN).backoff(2.0, OPEN * 2);
        let breaker = shared(builder.on_change(move |change| {
            hears.lock().unwrap().push((change.generation, change.to));
        }));
        call(&breaker, Outcome::Failure);
        clock.advance(OPEN);
        call(&breaker, Outcome::Success);
        let bad = ticket(&breaker);
        clock.advance(OPEN);
        told.lock().unwrap().clear();
        let fails = on_thread(&breaker, |breaker| breaker.leave(bad, Outcome::Failure));
        let _ = breaker.try_enter(&());
        fails.join().unwrap();
        assert_eq!(breaker.retry_after(), Some(OPEN));
        // Told at once by two threads, they may be heard in another order.
        told.lock().unwrap().sort_unstable_by_key(|change| change.0);
        assert_eq!(*told.lock().unwrap(), [(3, State::Closed), (4, State::Open)]);
    });
}

/// A failure and a success come back while the breaker is reset and a new call
/// fails: of what was under way nothing counts afterwards unless it was there
/// before the reset, so the new failure stands alone. Turns red when `claim_anew`
/// does not ask whether the generation is current, when it does not make the
/// position void that it took in another one, and when `change_run` does not ask.
#[test]
fn after_a_reset_nothing_counts_that_left_before_it() {
    bounded(|| {
        let (builder, _clock) = builder();
        let breaker = shared(builder.consecutive_failures(9));
        call(&breaker, Outcome::Success);
        let (bad, good) = (ticket(&breaker), ticket(&breaker));
        let fails = on_thread(&breaker, |breaker| breaker.leave(bad, Outcome::Failure));
        breaker.reset();
        call(&breaker, Outcome::Failure);
        fails.join().unwrap();
        breaker.leave(good, Outcome::Success);
        let counts = breaker.counts();
        assert_eq!((counts.calls, counts.failures, counts.consecutive_failures), (1, 1, 1));
    });
}

/// Two results and a reader, in a window of calls that the two begin and fill: none
/// is lost, and the reader sees no more than there are. Turns red when `claim_anew`
/// stores in place of the exchange.
#[test]
fn no_result_is_lost_where_a_window_of_calls_begins_and_fills() {
    bounded(|| {
        let (builder, _clock) = builder();
        let builder = builder.consecutive_failures(9).window_calls(2).min_requests(1);
        let breaker = shared(builder);
        breaker.reset(); // so that the head is another generation's
        let (one, other) = (ticket(&breaker), ticket(&breaker));
        let succeeds = on_thread(&breaker, |breaker| breaker.leave(one, Outcome::Success));
        let fails = on_thread(&breaker, |breaker| breaker.leave(other, Outcome::Failure));
        assert!(breaker.counts().calls <= 2);
        succeeds.join().unwrap();
        fails.join().unwrap();
        assert_eq!((breaker.counts().calls, breaker.counts().failures), (2, 1));
    });
}

/// One failure is noted while so many others end that its slot goes to them: the
/// last two failed, and those count, whichever of the three is noted first. Turns
/// red when `note` does not ask whether the window still holds the position, when
/// `tend` does not, and when `begin` stores in place of the exchange.
#[test]
fn a_failure_that_is_noted_late_takes_nothing_from_those_noted_since() {
    bounded(|| {
        let (builder, _clock) = builder();
        let builder = builder.consecutive_failures(99).window_calls(2).min_requests(2);
        let breaker = shared(builder.trip_when(|_| false));
        let late = ticket(&breaker);
        let fails = on_thread(&breaker, |breaker| breaker.leave(late, Outcome::Failure));
        for outcome in [Outcome::Success; 7] {
            call(&breaker, outcome);
        }
        call(&breaker, Outcome::Failure);
        call(&breaker, Outcome::Failure);
        fails.join().unwrap();
        assert_eq!((breaker.counts().calls, breaker.counts().failures), (2, 2));
    });
}

/// A success and a failure come back just after the time of a bucket, and are both in
/// the next one: when the first bucket has left the window, they have not. Turns
/// red when `add_to_begun` does not ask whether it is in time, and when `begin`
/// stores in place of the exchange.
#[test]
fn what_comes_after_the_time_of_a_bucket_is_not_counted_in_it() {
    bounded(|| {
        let (builder, clock) = builder();
        let breaker = shared(builder.consecutive_failures(9).window(BUCKET));
        call(&breaker, Outcome::Success);
        clock.advance(BUCKET);
        let (good, bad) = (ticket(&breaker), ticket(&breaker));
        let succeeds = on_thread(&breaker, |breaker| breaker.leave(good, Outcome::Success));
        let fails = on_thread(&breaker, |breaker| breaker.leave(bad, Outcome::Failure));
        succeeds.join().unwrap();
        fails.join().unwrap();
        assert_eq!((breaker.counts().calls, breaker.counts().failures), (3, 1));
        clock.advance(BUCKET);
        assert_eq!((breaker.counts().calls, breaker.counts().failures), (2, 1));
    });
}

/// A key's state is about to be given away while a call on it fails: if it was
/// fresh, the failure had not been counted. Turns red when `is_fresh` reads
/// nothing but the phase.
#[test]
fn a_state_that_counts_a_failure_is_not_fresh() {
    whole(|| {
        let (builder, clock) = builder();
        let breaker = shared(builder.consecutive_failures(2));
        let state = Arc::new(breaker.fresh());
        let ticket = breaker.try_enter_in(&state, clock.now()).expect("fresh");
        let fails = {
            let state = Arc::clone(&state);
            on_thread(&breaker, move |breaker| breaker.leave_in(&state, ticket, Outcome::Failure))
        };
        let before = breaker.is_fresh(&state, clock.now());
        fails.join().unwrap();
        assert!(!breaker.is_fresh(&state, clock.now()), "before it was {before}");
    });
}
