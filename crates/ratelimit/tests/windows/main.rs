//! What the two windows promise.

#![cfg(not(plimsoll_loom))]

mod arrivals;
mod model;

use plimsoll_core::{
    Admit, Clock, Gate, GateExt, ManualClock, Outcome, PerKey, PerKeyQuota, Permit, Quota,
    QuotaState, Rejected, Tick, Weigh, testing::Conformance,
};
use plimsoll_ratelimit::{ApproximateWindow, SlidingWindow};
use std::{thread, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const NANO: Duration = Duration::from_nanos(1);

/// What both kinds have in common, so that each claim is written once.
trait Window: Weigh + Admit + Quota {
    fn make(limit: u32, window: Duration, clock: &ManualClock) -> Self;
    fn available(&self) -> u32;
    fn set_limit(&self, limit: u32);
}

type Exact = SlidingWindow<ManualClock>;
type Approximate = ApproximateWindow<ManualClock>;

impl Window for Exact {
    fn make(limit: u32, window: Duration, clock: &ManualClock) -> Self {
        SlidingWindow::new(limit, window).clock(clock.clone())
    }
    fn available(&self) -> u32 {
        self.available()
    }
    fn set_limit(&self, limit: u32) {
        self.set_limit(limit);
    }
}

impl Window for Approximate {
    fn make(limit: u32, window: Duration, clock: &ManualClock) -> Self {
        SlidingWindow::approximate(limit, window).clock(clock.clone())
    }
    fn available(&self) -> u32 {
        self.available()
    }
    fn set_limit(&self, limit: u32) {
        self.set_limit(limit);
    }
}

#[test]
fn the_exact_window_conforms() {
    let of = |limit| move |clock| Exact::make(limit, MINUTE, &clock);
    let conforms =
        |limit: u32| Conformance::new("sliding window", of(limit)).capacity(limit.into());
    [0, 2, 3, 100].into_iter().for_each(|limit| conforms(limit).check());
    conforms(1).refills_every(MINUTE).check();
}

#[test]
fn the_approximate_window_conforms() {
    let of = |limit| move |clock| Approximate::make(limit, MINUTE, &clock);
    let conforms =
        |limit: u32| Conformance::new("approximate window", of(limit)).capacity(limit.into());
    [0, 2, 3, 100].into_iter().for_each(|limit| conforms(limit).check());
    // The suite starts where a window does. What is admitted there weighs less
    // than one only when the next window is over too.
    conforms(1).refills_every(2 * MINUTE).check();
}

#[test]
fn both_windows_conform_when_every_request_weighs_two() {
    let exact = |clock| Exact::make(10, MINUTE, &clock).weighted(|&()| 2);
    Conformance::new("sliding window", exact).capacity(5).check();
    let approximate = |clock| Approximate::make(10, MINUTE, &clock).weighted(|&()| 2);
    Conformance::new("approximate window", approximate).capacity(5).check();
}

/// An approximate window that decides about one key of many.
struct OneKey {
    gate: Approximate,
    key: <Approximate as PerKey>::State,
    other: <Approximate as PerKey>::State,
}

impl OneKey {
    fn new(limit: u32, clock: &ManualClock) -> Self {
        let gate = Approximate::make(limit, MINUTE, clock);
        let (key, other) = (gate.fresh(), gate.fresh());
        Self { gate, key, other }
    }
}

impl Gate for OneKey {
    type Ticket = <Approximate as Gate>::Ticket;
    fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
        self.gate.leave_in(&self.key, ticket, outcome);
    }
}

impl<C: ?Sized> Admit<C> for OneKey {
    fn try_enter(&self, _: &C) -> Result<Self::Ticket, Rejected> {
        // Another key, and the gate's own state, are used all the while.
        let now = self.gate.now();
        let _ = self.gate.try_enter_in(&self.other, now);
        let _ = self.gate.try_acquire();
        self.gate.try_enter_in(&self.key, now)
    }
}

#[test]
fn one_key_of_an_approximate_window_conforms_whatever_the_others_do() {
    let of = |limit| move |clock: ManualClock| OneKey::new(limit, &clock);
    Conformance::new("approximate window", of(3)).capacity(3).check();
    let one = Conformance::new("approximate window", of(1)).capacity(1);
    one.refills_every(2 * MINUTE).check();
}

#[test]
fn a_state_is_fresh_exactly_when_its_counts_are_out_of_reach() {
    let clock = ManualClock::at(Tick::ZERO + 10 * MINUTE);
    let gate = Approximate::make(5, MINUTE, &clock);
    let (state, start) = (gate.fresh(), clock.now());
    assert!(gate.is_fresh(&state, start));
    let ticket = gate.try_enter_in(&state, start + NANO).unwrap();
    assert!(!gate.is_fresh(&state, start));
    assert!(!gate.is_fresh(&state, start + 2 * MINUTE - NANO));
    assert!(gate.is_fresh(&state, start + 2 * MINUTE));
    assert!(!gate.is_fresh(&state, Tick::ZERO), "time that goes back freshens nothing");
    gate.leave_in(&state, ticket, Outcome::Unused);
    assert!(gate.is_fresh(&state, start), "all was given back");
}

#[test]
fn what_is_given_back_in_the_next_window_no_longer_weighs_there() {
    let clock = ManualClock::at(Tick::ZERO + 10 * MINUTE);
    let gate = Approximate::make(4, MINUTE, &clock);
    let mut held: Vec<_> = (0..4).map(|_| gate.try_admit().unwrap()).collect();
    clock.advance(MINUTE);
    assert_eq!(gate.available(), 0);
    held.drain(..3).for_each(Permit::cancel);
    assert_eq!(gate.available(), 3);
    clock.advance(MINUTE);
    assert!(gate.try_admit().is_ok());
    held.drain(..).for_each(Permit::cancel);
    assert_eq!(gate.available(), 3, "one of long ago takes nothing off the present count");
}

#[test]
fn a_leap_of_the_clock_and_back_lets_nothing_more_through() {
    fn leap<W: Window>() {
        let clock = ManualClock::new();
        let gate = W::make(2, MINUTE, &clock);
        let start = clock.now();
        clock.advance(60 * MINUTE);
        gate.try_enter_n(2).unwrap();
        clock.set(start);
        let refusal = gate.try_enter_n(1).map(drop).unwrap_err();
        clock.advance(2 * MINUTE);
        assert!(gate.try_enter_n(1).is_err());
        clock.set(start + refusal.retry_after().unwrap());
        assert!(gate.try_enter_n(1).is_ok());
    }
    leap::<Exact>();
    leap::<Approximate>();
}

#[test]
fn at_the_end_of_time_the_limit_passes_once_and_there_is_no_hint() {
    fn end<W: Window>() {
        let clock = ManualClock::at(Tick::MAX);
        let gate = W::make(2, MINUTE, &clock);
        gate.try_enter_n(2).unwrap();
        assert_eq!(gate.try_enter_n(1).map(drop).unwrap_err().retry_after(), None);
        assert_eq!(gate.available(), 0);
    }
    end::<Exact>();
    end::<Approximate>();
}

#[test]
fn a_word_left_alone_for_all_its_numbers_refuses_for_two_windows_at_most() {
    let round = 1 << 24; // numbers of windows that a word can tell apart
    let window = Duration::from_secs(1);
    let left_alone_for = |windows: u32| {
        let clock = ManualClock::new();
        let gate = Approximate::make(8, window, &clock);
        gate.try_acquire_many(8).unwrap();
        clock.advance(windows * window);
        gate.available()
    };
    assert_eq!([2, round - 1].map(left_alone_for), [8, 8]);
    assert_eq!([round, round + 1].map(left_alone_for), [0, 0], "taken for recent ones");
    assert_eq!([round + 2, 2 * round + 2].map(left_alone_for), [8, 8]);
}

#[test]
fn a_ticket_held_for_all_the_numbers_takes_nothing_off_the_present_count() {
    let clock = ManualClock::new();
    let gate = Approximate::make(8, Duration::from_secs(1), &clock);
    let ancient = gate.try_admit().unwrap();
    for _ in 0..2 {
        clock.advance(Duration::from_secs(1 << 23));
        gate.try_acquire_many(8).unwrap();
    }
    ancient.cancel();
    assert_eq!(gate.available(), 0);
}

#[test]
fn counts_at_their_highest_do_not_run_over_into_each_other() {
    const MOST: u32 = 1_048_575;
    let clock = ManualClock::at(Tick::ZERO);
    let gate = Approximate::make(MOST, MINUTE, &clock);
    for _ in 0..3 {
        gate.try_acquire_many(MOST).unwrap();
        assert!(gate.try_acquire().is_err());
        clock.advance(2 * MINUTE - NANO);
        gate.try_acquire_many(MOST - 1).unwrap();
        assert!(gate.try_acquire().is_err(), "one nanosecond of the previous count is left");
        clock.advance(NANO + 2 * MINUTE);
    }
    let permit = gate.weighted(|&n: &u64| n);
    assert!(permit.try_admit_for(&u64::MAX).unwrap_err().retry_after().is_none());
    permit.try_admit_for(&u64::from(MOST)).unwrap().cancel();
    assert!(permit.try_admit_for(&u64::from(MOST)).is_ok());
}

#[test]
fn the_limit_changes_while_it_is_used_and_keeps_what_was_admitted() {
    fn changes<W: Window>() {
        let clock = ManualClock::at(Tick::ZERO + 10 * MINUTE);
        let gate = W::make(4, MINUTE, &clock);
        gate.try_enter_n(4).unwrap();
        gate.set_limit(6);
        gate.try_enter_n(2).unwrap();
        assert!(gate.try_enter_n(1).is_err(), "no fresh allowance");
        gate.set_limit(3);
        assert!(gate.try_enter_n(1).is_err());
        assert_eq!(gate.available(), 0);
        clock.advance(2 * MINUTE);
        gate.try_enter_n(3).unwrap();
        assert!(gate.try_enter_n(1).is_err());
        gate.set_limit(0);
        assert!(gate.try_enter_n(1).map(drop).unwrap_err().retry_after().is_none());
        assert!(gate.try_enter_n(0).is_ok());
    }
    changes::<Exact>();
    changes::<Approximate>();
}

#[test]
fn threads_that_give_everything_back_leave_nothing_behind() {
    fn storm<W: Window>() {
        let gate = W::make(3, MINUTE, &ManualClock::new());
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let held: Vec<_> = (0..2).filter_map(|_| gate.try_admit().ok()).collect();
                        held.into_iter().for_each(Permit::cancel);
                    }
                });
            }
        });
        assert_eq!(gate.available(), 3);
        gate.try_enter_n(3).unwrap();
    }
    storm::<Exact>();
    storm::<Approximate>();
}

#[test]
fn the_quota_says_what_is_left_and_when_all_is_free_again() {
    let clock = ManualClock::at(Tick::ZERO + 10 * MINUTE);
    let (exact, approximate) =
        (Exact::make(10, MINUTE, &clock), Approximate::make(10, MINUTE, &clock));
    let unused = QuotaState { limit: 10, remaining: 10, reset: Duration::ZERO, window: MINUTE };
    assert_eq!((exact.quota(&()), approximate.quota(&())), (unused, unused));
    let second = Duration::from_secs(1);
    for _ in 0..4 {
        clock.advance(second);
        exact.try_acquire().unwrap();
        approximate.try_acquire().unwrap();
    }
    clock.advance(second);
    let used = QuotaState { remaining: 6, reset: 59 * second, ..unused };
    assert_eq!(exact.quota(&()), used);
    assert_eq!(approximate.quota(&()), QuotaState { reset: 115 * second, ..used });
    let state = approximate.fresh();
    assert_eq!(approximate.quota_in(&state, clock.now()), unused);
}

#[test]
fn settings_that_mean_nothing_are_errors_that_say_what_is_allowed() {
    let said = |error: plimsoll_core::ConfigError| (error.field(), error.to_string());
    for limit in [1_048_576, u32::MAX] {
        let error = SlidingWindow::try_new(limit, MINUTE).unwrap_err();
        assert_eq!(Some(&error), SlidingWindow::try_approximate(limit, MINUTE).err().as_ref());
        let sentence = "limit must be 0 to 1048575 (a token bucket has no such bound), but is";
        assert_eq!(said(error), ("limit", format!("{sentence} {limit}")));
    }
    for window in [Duration::ZERO, Duration::MAX] {
        let error = SlidingWindow::try_new(1, window).unwrap_err();
        assert_eq!(Some(&error), SlidingWindow::try_approximate(1, window).err().as_ref());
        let sentence = format!("window must be 1 ns to 584 years, but is {window:?}");
        assert_eq!(said(error), ("window", sentence));
    }
    let (exact, approximate) =
        (SlidingWindow::new(1, MINUTE), SlidingWindow::approximate(1, MINUTE));
    assert!(
        exact.try_set_limit(1_048_576).is_err() && approximate.try_set_limit(1_048_576).is_err()
    );
    assert_eq!((exact.limit(), approximate.limit()), (1, 1), "an error changes nothing");
    assert_eq!((exact.window(), approximate.window()), (MINUTE, MINUTE));
}

#[test]
#[should_panic(expected = "window must be 1 ns to 584 years, but is 0ns")]
fn a_window_of_no_length_panics_where_it_is_written() {
    let _ = SlidingWindow::new(1, Duration::ZERO);
}

#[test]
#[should_panic(expected = "limit must be 0 to 1048575")]
fn an_approximate_limit_beyond_its_counters_panics_where_it_is_written() {
    let _ = SlidingWindow::approximate(1_048_576, MINUTE);
}
