//! What counts, and when it is decided on.

use super::{MILLI, SECOND, busy};
use plimsoll_backpressure::AdaptiveLimit;
use plimsoll_core::{
    Clock, Gate, GateExt, Load, ManualClock, Outcome, Reason, Tick, Weigh, testing::Places,
};
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

/// A limit of 100 that wants work to take 50 ms.
fn aimd() -> (AdaptiveLimit<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (AdaptiveLimit::aimd(MILLI * 50).start_at(100).clock(clock.clone()), clock)
}

#[test]
fn the_first_release_after_the_end_closes_the_window_and_not_one_before() {
    let (limit, clock) = aimd();
    for _ in 0..49 {
        let permits: Vec<_> = (0..60).map(|_| limit.try_admit().unwrap()).collect();
        clock.advance(MILLI * 20);
        permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    }
    let last = [limit.try_admit().unwrap(), limit.try_admit().unwrap()];
    assert_eq!(limit.limit(), 100, "at 980 ms");
    clock.advance(MILLI * 20);
    assert_eq!(limit.limit(), 100, "nothing runs by itself");
    let [first, second] = last;
    first.finish(Outcome::Success);
    assert_eq!(limit.limit(), 110);
    second.finish(Outcome::Success);
    assert_eq!(limit.limit(), 110, "once a window");
}

#[test]
fn one_slow_window_is_a_tenth_less_and_one_quick_window_a_tenth_more() {
    let (limit, clock) = aimd();
    assert_eq!(busy(&limit, &clock, MILLI * 60, Outcome::Success), 90);
    assert_eq!(busy(&limit, &clock, MILLI * 50, Outcome::Success), 90);
    assert_eq!(busy(&limit, &clock, MILLI * 30, Outcome::Success), 99);
}

#[test]
fn failures_count_as_congestion_however_quick_they_are() {
    let (limit, clock) = aimd();
    assert_eq!(busy(&limit, &clock, MILLI, Outcome::Failure), 90);
}

/// Callers that give up in a hurry are no sign of what is behind the limit.
#[test]
fn callers_that_went_away_do_not_bring_the_limit_down_or_up() {
    for outcome in [Outcome::Ignored, Outcome::Unused] {
        let (limit, clock) = aimd();
        for time in [MILLI, MILLI * 500] {
            assert_eq!(busy(&limit, &clock, time, outcome), 100);
        }
    }
}

#[test]
fn heavy_work_takes_its_weight_and_binds_the_limit_by_it() {
    let (limit, clock) = aimd();
    for _ in 0..=50 {
        let tickets: Vec<_> = std::iter::from_fn(|| limit.try_enter_n(30).ok()).collect();
        assert_eq!(limit.in_flight() as usize, tickets.len() * 30);
        clock.advance(MILLI * 20);
        tickets.into_iter().for_each(|ticket| limit.leave(ticket, Outcome::Success));
    }
    assert_eq!((limit.in_flight(), limit.limit()), (0, 110), "90 of 100 were in use");
    assert!(limit.try_enter_n(111).is_err() && limit.try_enter_n(u64::MAX).is_err());
}

#[test]
fn what_a_range_begins_with_is_never_too_heavy() {
    let clock = ManualClock::new();
    let limit = AdaptiveLimit::aimd(MILLI * 50).range(8..=100).clock(clock.clone());
    for _ in 0..100 {
        busy(&limit, &clock, MILLI * 500, Outcome::Success);
    }
    assert_eq!(limit.limit(), 8);
    assert!(limit.try_enter_n(9).is_err());
    assert!(limit.try_enter_n(8).is_ok());
}

#[test]
fn it_does_not_grow_where_it_holds_nothing_back() {
    let (limit, clock) = aimd();
    for _ in 0..1_000 {
        let permits: Vec<_> = (0..49).map(|_| limit.try_admit().unwrap()).collect();
        clock.advance(MILLI * 10);
        permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    }
    assert_eq!(limit.limit(), 100);
}

/// Ten results are asked for; nine are not enough, and one an hour later does not
/// make the nine worth something.
#[test]
fn a_window_with_few_results_decides_nothing_and_grows_stale() {
    let (limit, clock) = aimd();
    let slow = |n: usize, time| {
        let permits: Vec<_> = (0..n).map(|_| limit.try_admit().unwrap()).collect();
        clock.advance(time);
        permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
        limit.limit()
    };
    assert_eq!(slow(9, SECOND * 2), 100);
    clock.advance(SECOND * 3_600);
    assert_eq!(slow(1, MILLI * 10), 100);
    assert_eq!(slow(9, SECOND * 2), 100, "that one is forgotten too");
    assert_eq!(slow(1, SECOND * 2), 90, "but work that goes on makes ten in the end");
}

#[test]
fn time_that_goes_back_is_not_taken_for_speed() {
    let (limit, clock) = aimd();
    for _ in 0..10 {
        let permits: Vec<_> = std::iter::from_fn(|| limit.try_admit().ok()).collect();
        let now = clock.now();
        clock.set(Tick::ZERO);
        permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
        clock.set(now + SECOND);
    }
    assert_eq!(limit.limit(), 100);
}

#[test]
fn a_clock_that_jumps_ahead_and_comes_back_leaves_a_limit_that_learns() {
    for jump in [SECOND * 3_600, Duration::MAX] {
        for limit in [AdaptiveLimit::aimd(MILLI * 50), AdaptiveLimit::probing(SECOND * 10)] {
            let clock = ManualClock::new();
            let limit = limit.start_at(100).clock(clock.clone());
            busy(&limit, &clock, MILLI * 40, Outcome::Success);
            let before = clock.now();
            clock.advance(jump);
            busy(&limit, &clock, MILLI * 40, Outcome::Success);
            clock.set(before);
            let at_first = busy(&limit, &clock, MILLI * 40, Outcome::Success);
            (0..30).for_each(|_| _ = busy(&limit, &clock, SECOND, Outcome::Success));
            let limit = limit.limit();
            assert!(limit < at_first / 2, "{limit} of {at_first}, after {jump:?}");
        }
    }
}

#[test]
fn a_clock_that_jumps_ahead_and_comes_back_puts_no_probe_off() {
    let clock = ManualClock::new();
    let limit = AdaptiveLimit::probing(SECOND * 10).start_at(100).clock(clock.clone());
    let before = clock.now();
    clock.advance(SECOND * 3_600);
    busy(&limit, &clock, MILLI * 40, Outcome::Success);
    clock.set(before);
    let seconds = (0..20).map(|_| busy(&limit, &clock, MILLI * 40, Outcome::Success));
    assert!(seconds.min() < Some(20), "it was to be measured every ten seconds");
}

#[test]
fn what_work_waits_for_behind_the_limit_is_no_latency() {
    let (limit, clock) = aimd();
    let gates = (limit.min_samples(1), Places::new(1).waiting());
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        let held = gates.1.try_admit().unwrap();
        let mut admitting = pin!(gates.admit());
        assert!(admitting.as_mut().poll(&mut cx).is_pending());
        clock.advance(SECOND);
        drop(held);
        let Poll::Ready(Ok(permit)) = admitting.as_mut().poll(&mut cx) else {
            panic!("the place is free");
        };
        clock.advance(MILLI * 45);
        permit.finish(Outcome::Success);
    }
    assert_eq!(gates.0.limit(), 100);
}

#[test]
fn a_mean_is_moved_by_one_that_hangs_and_a_percentile_is_not() {
    let run = |limit: AdaptiveLimit<ManualClock>, clock: &ManualClock| {
        let mut hangs = Some(limit.try_admit().unwrap());
        for round in 0..100 {
            let permits: Vec<_> = std::iter::from_fn(|| limit.try_admit().ok()).collect();
            clock.advance(MILLI * 45);
            permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
            if round == 21 {
                clock.advance(SECOND * 69);
                hangs.take().into_iter().for_each(|permit| permit.finish(Outcome::Success));
                break;
            }
        }
        limit.limit()
    };
    let (limit, clock) = aimd();
    assert_eq!(run(limit, &clock), 90);
    let (limit, clock) = aimd();
    assert_eq!(run(limit.percentile(0.9), &clock), 100);
}

/// No sample is dropped, however many come within a window: a million and a half
/// quick ones cannot hide as many slow ones.
#[test]
fn the_latency_is_the_average_of_every_sample_of_a_large_window() {
    let clock = ManualClock::new();
    let limit = AdaptiveLimit::aimd(MILLI * 50).start_at(10).range(1..=100).clock(clock.clone());
    let one = |time| {
        let start = clock.now();
        let permits: Vec<_> = std::iter::from_fn(|| limit.try_admit().ok()).collect();
        clock.advance(time);
        permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
        clock.set(start);
    };
    // 100 ms and 10 ms by turns: 55 ms on the average, which is 1.1 times 50.
    for _ in 0..10_000 {
        one(MILLI * 100);
        one(MILLI * 10);
    }
    clock.advance(SECOND);
    one(MILLI * 10);
    assert_eq!(limit.limit(), 10);
}

#[test]
fn work_that_is_under_way_when_the_limit_falls_goes_on_and_nobody_else_starts() {
    let (limit, clock) = aimd();
    let held: Vec<_> = (0..95).map(|_| limit.try_admit().unwrap()).collect();
    clock.advance(SECOND);
    let mut held = held.into_iter();
    held.by_ref().take(10).for_each(|permit| permit.finish(Outcome::Failure));
    assert_eq!(limit.limit(), 90);
    assert_eq!((limit.load(), limit.capacity()), (85, Some(90)));
    for _ in 0..4 {
        busy(&limit, &clock, MILLI * 500, Outcome::Failure);
    }
    assert!(limit.limit() < 85);
    assert_eq!(limit.load(), 85, "a load above its capacity wraps nothing");
    assert_eq!(limit.try_admit().unwrap_err().reason(), Reason::Concurrency);
    drop(held);
    assert!(limit.try_admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_let_in_when_the_limit_rises_and_its_wait_is_no_latency() {
    let clock = ManualClock::new();
    let limit =
        AdaptiveLimit::aimd(MILLI * 50).start_at(10).wait_at_most(SECOND * 10).clock(clock.clone());
    let limit = Arc::new(limit);
    let held: Vec<_> = (0..10).map(|_| limit.try_admit().unwrap()).collect();
    let waits = tokio::spawn({
        let limit = Arc::clone(&limit);
        async move { limit.admit_owned().await }
    });
    tokio::task::yield_now().await;
    assert_eq!(limit.waiting(), 1);
    clock.advance(SECOND);
    held.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    let permit = waits.await.unwrap().unwrap();
    clock.advance(MILLI * 10);
    permit.finish(Outcome::Success);
    assert_eq!((limit.in_flight(), limit.limit()), (0, 9), "ten took a second");
}

/// The new limit is published by whoever closes the window, who wakes who waits.
#[test]
fn a_waiter_that_a_new_limit_wakes_may_ask_and_end_work_at_once() {
    struct EndsWork(Arc<AdaptiveLimit<ManualClock>>);
    impl Wake for EndsWork {
        fn wake(self: Arc<Self>) {
            let waits = self.0.waiting();
            if let Ok(permit) = self.0.try_admit() {
                permit.finish(Outcome::Success);
            }
            assert!(self.0.waiting() <= waits);
        }
    }
    let clock = ManualClock::new();
    let limit = AdaptiveLimit::aimd(MILLI * 50).start_at(10).wait_at_most(SECOND);
    let limit = Arc::new(limit.clock(clock.clone()));
    let held: Vec<_> = (0..10).map(|_| limit.try_admit().unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let waker = Waker::from(Arc::new(EndsWork(Arc::clone(&limit))));
    let mut waits: Vec<_> = (0..20).map(|_| Box::pin(limit.admit())).collect();
    for wait in &mut waits {
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    clock.advance(SECOND);
    held.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    drop(waits);
    assert_eq!((limit.in_flight(), limit.waiting(), limit.limit()), (0, 0, 9));
}

#[test]
fn the_most_that_was_under_way_counts_and_not_what_is_as_the_window_ends() {
    let (limit, clock) = aimd();
    let burst: Vec<_> = std::iter::from_fn(|| limit.try_admit().ok()).collect();
    clock.advance(MILLI * 20);
    burst.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    clock.advance(SECOND);
    let last = limit.try_admit().unwrap();
    clock.advance(MILLI);
    last.finish(Outcome::Success);
    assert_eq!(limit.limit(), 110);
}

#[test]
fn the_limit_that_is_told_is_the_one_that_admits() {
    let (limit, clock) = aimd();
    for time in [20, 200, 200, 30, 60] {
        let told = busy(&limit, &clock, MILLI * time, Outcome::Success);
        let admitted: Vec<_> = std::iter::from_fn(|| limit.try_admit().ok()).collect();
        assert_eq!((admitted.len(), limit.capacity()), (told as usize, Some(told as usize)));
        admitted.into_iter().for_each(plimsoll_core::Permit::cancel);
    }
}

#[test]
fn nothing_runs_by_default_where_it_would_have_to_wait() {
    let (limit, _clock) = aimd();
    let _held: Vec<_> = (0..100).map(|_| limit.try_admit().unwrap()).collect();
    assert_eq!(limit.try_admit().unwrap_err().gate(), "adaptive limit");
}

#[test]
fn threads_that_end_work_together_close_each_window_once() {
    for _ in 0..20 {
        let (limit, clock) = aimd();
        let all: Vec<_> = (0..100).map(|_| limit.try_admit().unwrap()).collect();
        clock.advance(SECOND);
        let mut all = all.into_iter();
        let halves: [Vec<_>; 2] = [all.by_ref().take(50).collect(), all.collect()];
        thread::scope(|scope| {
            for half in halves {
                scope.spawn(|| half.into_iter().for_each(|permit| permit.finish(Outcome::Success)));
            }
        });
        assert_eq!((limit.limit(), limit.in_flight()), (90, 0));
    }
}

/// Work that was admitted under load says nothing of the latency without.
#[test]
fn what_was_admitted_before_a_probe_is_not_in_what_it_measures() {
    let clock = ManualClock::new();
    let limit = AdaptiveLimit::probing(SECOND * 5).start_at(50).clock(clock.clone());
    assert_eq!(limit.limit(), 3, "it measures first");
    busy(&limit, &clock, MILLI * 10, Outcome::Success);
    // Under load work takes 12 ms; until it measures again.
    let mut held = Vec::new();
    while limit.limit() != 3 {
        held = std::iter::from_fn(|| limit.try_admit().ok()).collect();
        clock.advance(MILLI * 12);
        let ends = held.split_off(1.min(held.len()));
        ends.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    }
    // What is left of before takes ten seconds.
    clock.advance(SECOND * 10);
    held.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    assert_eq!(limit.limit(), 3, "it is still measuring");
    let before = busy(&limit, &clock, MILLI * 10, Outcome::Success);
    assert!(before > 3);
    // Five times as slow as what it measured: it shrinks.
    let before = busy(&limit, &clock, MILLI * 50, Outcome::Success);
    assert!(busy(&limit, &clock, MILLI * 50, Outcome::Success) < before);
}
