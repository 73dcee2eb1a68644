//! Those who wait: in order, not for ever, and not too many.

use super::MILLI;
use plimsoll_backpressure::ConcurrencyLimit;
use plimsoll_core::{
    Admit, Clock, Deadline, GateExt, ManualClock, Outcome, Reason, Tick, TokioClock,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

fn poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_has_waited_long_enough_is_refused_then_and_not_before() {
    let limit = ConcurrencyLimit::new(1).wait_at_most(MILLI * 100).clock(TokioClock);
    let _held = limit.try_admit().unwrap();
    let start = Instant::now();
    let mut wait = Box::pin(limit.admit());
    tokio::select! {
        biased;
        _ = &mut wait => unreachable!("refused before its time"),
        () = sleep(MILLI * 99) => {}
    }
    let refusal = wait.await.unwrap_err();
    assert_eq!((refusal.reason(), start.elapsed()), (Reason::Concurrency, MILLI * 100));
    assert_eq!(limit.waiting(), 0);
}

/// Whoever gives up leaves the line: no place goes to it, so none is lost.
#[tokio::test(start_paused = true)]
async fn a_waiter_that_times_out_takes_no_place_with_it() {
    let limit = ConcurrencyLimit::new(2).wait_at_most(MILLI * 10).clock(TokioClock);
    for _ in 0..100 {
        let held = [limit.try_admit().unwrap(), limit.try_admit().unwrap()];
        assert!(limit.admit().await.is_err());
        drop(held);
        assert_eq!((limit.in_flight(), limit.waiting()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_as_the_patience_ends_is_had_or_handed_on() {
    let limit = Arc::new(ConcurrencyLimit::new(1).wait_at_most(MILLI * 10).clock(TokioClock));
    for _ in 0..100 {
        let held = limit.try_admit_owned().unwrap();
        let waits = tokio::spawn({
            let limit = Arc::clone(&limit);
            async move { limit.admit().await.is_ok() }
        });
        sleep(MILLI * 10).await;
        drop(held);
        let _ = waits.await.unwrap();
        assert_eq!((limit.in_flight(), limit.waiting()), (0, 0));
    }
}

/// A future that is ready and not yet dropped must not stand in the line.
#[tokio::test(start_paused = true)]
async fn who_was_refused_is_out_of_the_line_though_its_future_is_kept() {
    let limit = ConcurrencyLimit::new(1).wait_at_most(MILLI * 10).clock(TokioClock);
    let held = limit.try_admit().unwrap();
    let mut refused = Box::pin(limit.admit());
    assert!(refused.as_mut().await.is_err());
    assert_eq!(limit.waiting(), 0);
    drop(held);
    assert_eq!(limit.in_flight(), 0, "the place went to nobody");
    drop(refused);
}

#[tokio::test(start_paused = true)]
async fn work_without_a_deadline_waits_as_long_as_it_takes() {
    let limit = ConcurrencyLimit::new(1);
    let held = limit.admit().await.unwrap();
    let mut waits = Box::pin(limit.admit());
    assert!(poll(&mut waits).is_none());
    sleep(Duration::from_secs(86_400)).await;
    assert!(poll(&mut waits).is_none());
    drop(held);
    assert!(waits.await.is_ok());
}

/// Outside any runtime, a timer would panic.
#[test]
fn a_free_place_needs_no_runtime() {
    let limit = ConcurrencyLimit::new(1).wait_at_most(MILLI * 100);
    assert!(poll(&mut Box::pin(limit.admit())).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_served_first_come_first_served_and_try_admit_does_not_overtake() {
    let limit = ConcurrencyLimit::new(1);
    let held = limit.try_admit().unwrap();
    let mut waiting: Vec<_> = (0..5).map(|_| Box::pin(limit.enter(&()))).collect();
    assert!(waiting.iter_mut().all(|wait| poll(wait).is_none()));
    drop(held);
    for first in 0..5 {
        assert!(limit.try_admit().is_err(), "it is promised to {first}");
        assert!(waiting[first + 1..].iter_mut().all(|wait| poll(wait).is_none()));
        let ticket = poll(&mut waiting[first]).unwrap().unwrap();
        plimsoll_core::Gate::leave(&limit, ticket, Outcome::Success);
    }
    assert!(limit.try_admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_million_callers_are_bounded_by_the_line() {
    let limit = ConcurrencyLimit::new(1).queue(1_000);
    let _held = limit.try_admit().unwrap();
    let mut waiting = Vec::new();
    let mut refused = 0_u32;
    for _ in 0..1_000_000 {
        let mut wait = Box::pin(limit.enter(&()));
        match poll(&mut wait) {
            None => waiting.push(wait),
            Some(Err(refusal)) => {
                assert_eq!(refusal.reason(), Reason::Concurrency);
                refused += 1;
            }
            Some(Ok(_)) => unreachable!("the only place is taken"),
        }
    }
    assert_eq!((waiting.len(), limit.waiting(), refused), (1_000, 1_000, 999_000));
    drop(waiting);
    assert_eq!(limit.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn work_whose_deadline_has_passed_is_refused_though_a_place_is_free() {
    let limit = ConcurrencyLimit::new(1).work_takes(Duration::ZERO).clock(TokioClock);
    let passed = Deadline::at(TokioClock.now());
    let refusal = passed.scope(limit.enter(&())).await.unwrap_err();
    assert_eq!((refusal.reason(), limit.in_flight()), (Reason::Deadline, 0));
}

#[test]
fn patience_beyond_what_a_clock_can_count_has_no_end_and_no_timer() {
    let limit = ConcurrencyLimit::new(1).wait_at_most(Duration::MAX);
    let held = limit.try_admit().unwrap();
    let mut wait = Box::pin(limit.admit());
    assert!(poll(&mut wait).is_none(), "it waits, though there is no runtime");
    drop(held);
    assert!(poll(&mut wait).unwrap().is_ok());
}

/// There is nothing that could wake it: it says so, rather than wait for ever, and
/// the line goes on without it.
#[test]
fn a_wait_with_an_end_outside_a_runtime_panics_and_leaves_the_line() {
    let limit = ConcurrencyLimit::new(1).wait_at_most(MILLI);
    let held = limit.try_admit().unwrap();
    let mut wait = Box::pin(limit.admit());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut wait).is_some())).is_err());
    drop(wait);
    assert_eq!((limit.in_flight(), limit.waiting()), (1, 0));
    drop(held);
    assert!(poll(&mut Box::pin(limit.admit())).unwrap().is_ok());
}

#[test]
fn work_is_late_from_its_deadline_on_however_it_asks_and_never_without_one() {
    let clock = ManualClock::new();
    let limit = ConcurrencyLimit::new(1).work_takes(MILLI).clock(clock.clone());
    let deadline = Deadline::at(Tick::ZERO + MILLI * 10);
    let asks = |deadline: Deadline| {
        let awaits = deadline.scope(async { limit.admit().await.is_ok() });
        let tries = deadline.scope(async { limit.try_admit().is_ok() });
        [poll(&mut Box::pin(awaits)).unwrap(), poll(&mut Box::pin(tries)).unwrap()]
    };
    clock.set(Tick::ZERO + MILLI * 9 - Duration::from_nanos(1));
    assert_eq!(asks(deadline), [true; 2], "a nanosecond before it is late");
    clock.set(Tick::ZERO + MILLI * 9);
    assert_eq!(asks(deadline), [false; 2]);
    // There is no later moment, and still no deadline that it could be past.
    clock.set(Tick::MAX);
    assert!(limit.try_admit().is_ok());
    assert!(poll(&mut Box::pin(limit.admit())).unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn work_whose_deadline_has_passed_does_not_join_the_line() {
    let limit = ConcurrencyLimit::new(1).clock(TokioClock);
    let _held = limit.try_admit().unwrap();
    let passed = Deadline::at(TokioClock.now());
    let mut wait = Box::pin(passed.scope(limit.enter(&())));
    assert_eq!(poll(&mut wait).unwrap().unwrap_err().reason(), Reason::Deadline);
}

#[tokio::test(start_paused = true)]
async fn work_waits_until_its_deadline_and_no_longer() {
    let limit = ConcurrencyLimit::new(1).clock(TokioClock);
    let _held = limit.try_admit().unwrap();
    let start = Instant::now();
    let deadline = Deadline::after_on(&TokioClock, MILLI * 30);
    let refusal = deadline.scope(limit.enter(&())).await.unwrap_err();
    assert_eq!((refusal.reason(), start.elapsed()), (Reason::Deadline, MILLI * 30));
}

#[tokio::test(start_paused = true)]
async fn work_that_could_not_be_done_by_its_deadline_is_not_started() {
    let limit = ConcurrencyLimit::new(1).work_takes(MILLI * 20).clock(TokioClock);
    let short = Deadline::after_on(&TokioClock, MILLI * 20);
    assert_eq!(short.scope(limit.enter(&())).await.unwrap_err().reason(), Reason::Deadline);

    let _held = limit.try_admit().unwrap();
    let start = Instant::now();
    let deadline = Deadline::after_on(&TokioClock, MILLI * 50);
    assert!(deadline.scope(limit.enter(&())).await.is_err());
    assert_eq!(start.elapsed(), MILLI * 30, "20 ms before its deadline it is too late");
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_after_the_deadline_is_handed_on() {
    let limit = ConcurrencyLimit::new(1).clock(TokioClock);
    let held = limit.try_admit().unwrap();
    let deadline = Deadline::after_on(&TokioClock, MILLI * 10);
    let mut late = Box::pin(deadline.scope(limit.enter(&())));
    let mut behind = Box::pin(limit.enter(&()));
    assert!(poll(&mut late).is_none() && poll(&mut behind).is_none());
    tokio::time::advance(MILLI * 20).await; // its task was held up meanwhile
    drop(held);
    let refusal = poll(&mut late).unwrap().unwrap_err();
    assert_eq!(refusal.reason(), Reason::Deadline);
    assert!(poll(&mut behind).unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_never_exceed_the_limit_however_they_end() {
    let limit = Arc::new(ConcurrencyLimit::new(3));
    let inside = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..64_u32 {
        let (limit, inside) = (Arc::clone(&limit), Arc::clone(&inside));
        tasks.spawn(async move {
            for round in 0..50 {
                if (task + round) % 5 == 0 {
                    // Gives up, whatever it was given.
                    let mut wait = Box::pin(limit.admit());
                    std::future::poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_ready())).await;
                    continue;
                }
                let permit = limit.admit().await.unwrap();
                let before = inside.fetch_add(1, Ordering::Relaxed);
                assert!(before < 3, "{} of 3 were inside", before + 1);
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::Relaxed);
                if round % 2 == 0 { permit.cancel() } else { permit.finish(Outcome::Failure) }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert_eq!((limit.in_flight(), limit.waiting()), (0, 0));
}

/// The futures of adapters around the limit are as `Send` as its own.
#[tokio::test]
async fn admission_may_be_awaited_in_a_spawned_task_through_any_adapter() {
    let limit = Arc::new(ConcurrencyLimit::new(9));
    let part = Arc::clone(&limit).by(|_: &u64| ()).named("part");
    let gate = Arc::new((part, Some(Arc::clone(&limit).weighted(|&n: &u64| n))));
    tokio::spawn(async move {
        drop(limit.admit().await.unwrap());
        drop(limit.admit_owned().await.unwrap());
        let request = 3;
        let permit = gate.admit_for(&request).await.unwrap();
        assert_eq!(limit.in_flight(), 4);
        permit.finish(Outcome::Success);
        gate.run_for(&request, async { Ok::<_, ()>(()) }).await.unwrap();
        assert_eq!(limit.in_flight(), 0);
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn patience_bounds_the_wait_and_not_the_work() {
    let limit = ConcurrencyLimit::new(1).wait_at_most(MILLI * 100).clock(TokioClock);
    let held = limit.try_admit().unwrap();
    let start = Instant::now();
    let work = limit.run(async {
        sleep(MILLI * 500).await;
        Ok::<_, ()>(start.elapsed())
    });
    let frees = async {
        sleep(MILLI * 50).await;
        drop(held);
    };
    assert_eq!(tokio::join!(work, frees).0.unwrap(), MILLI * 550);
}

#[tokio::test]
async fn a_place_is_free_when_the_work_has_ended_though_its_future_is_kept() {
    let limit = ConcurrencyLimit::new(1);
    let mut work = Box::pin(limit.run(async { Ok::<_, ()>(()) }));
    work.as_mut().await.unwrap();
    assert_eq!(limit.in_flight(), 0);
    drop(work);
    assert_eq!(limit.in_flight(), 0);
}

/// A task that has done much is told to yield by what counts its steps. Whoever
/// took that for a full limit would refuse while places are free.
#[tokio::test]
async fn a_free_place_is_had_at_once_however_much_the_task_has_done() {
    let limit = ConcurrencyLimit::new(1);
    let used_up = tokio::sync::Semaphore::new(1);
    while poll(&mut Box::pin(used_up.acquire())).is_some() {}
    for _ in 0..1_000 {
        assert!(poll(&mut Box::pin(limit.admit())).unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_has_too_little_time_left_is_refused_also_where_it_would_not_wait() {
    let limit = ConcurrencyLimit::new(1).work_takes(MILLI * 20).clock(TokioClock);
    for (left, may_start) in [(MILLI * 20, false), (MILLI * 21, true)] {
        let tried = Deadline::after_on(&TokioClock, left)
            .scope(async { limit.try_admit().map(drop) })
            .await;
        let refused = tried.err().map(|refusal| refusal.reason());
        assert_eq!(refused, (!may_start).then_some(Reason::Deadline));
    }
}
