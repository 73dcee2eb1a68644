//! Deadlines, and the time for all attempts.

mod support;

use plimsoll_core::{ManualClock, TokioClock};
use plimsoll_retry::{Retry, Stop};
use std::time::Duration;
use support::{MS, SECOND, Server, any_error, in_time};
use tokio::time::{Instant, advance, sleep};

#[tokio::test(start_paused = true)]
async fn it_returns_the_last_error_at_once_where_the_pause_would_pass_the_deadline() {
    let server = Server::<(), _>::answering([Err("a"), Err("b"), Err("c")]);
    let retry = any_error().attempts(9);
    let start = Instant::now();
    let error = in_time(600 * MS).scope(retry.run(|| server.get())).await.unwrap_err();
    assert_eq!((error.attempts(), error.why(), error.into_inner()), (3, Stop::Deadline, "c"));
    assert_eq!(start.elapsed(), 300 * MS, "and not at the deadline");
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_a_timer_could_end_at_the_very_deadline_is_not_begun() {
    for (left, attempts) in [(101 * MS, 1), (102 * MS, 2)] {
        let server = Server::<(), _>::answering([Err("down")]);
        let retry = any_error();
        let error = retry.run_by(in_time(left), || server.get()).await.unwrap_err();
        assert_eq!((error.attempts(), error.why()), (attempts, Stop::Deadline));
    }
}

#[tokio::test(start_paused = true)]
async fn the_sooner_of_the_call_s_and_the_task_s_deadline_counts() {
    for (own, around) in [(150 * MS, SECOND), (SECOND, 150 * MS)] {
        let server = Server::<(), _>::answering([Err("down")]);
        let retry = any_error();
        let call = retry.run_by(in_time(own), || server.get());
        let error = in_time(around).scope(call).await.unwrap_err();
        assert_eq!((error.attempts(), error.why()), (2, Stop::Deadline));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_for_is_measured_against_the_deadline_with_its_jitter() {
    let server = Server::<(), _>::answering([Err(400 * MS)]);
    let retry = Retry::exponential(50 * MS).without_budget().clock(TokioClock);
    let retry = retry.retry_if(|_: &Duration| true).retry_after(|asked| Some(*asked));
    for _ in 0..20 {
        let deadline = in_time(425 * MS);
        let _ = retry.run_by(deadline, || server.get()).await;
        assert!(!deadline.expired_on(&TokioClock), "it slept past the deadline");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_made_only_if_there_is_time_for_it() {
    let server = Server::<(), _>::answering([Err("down")]);
    let retry = any_error().leaving(250 * MS);
    let error = retry.run_by(in_time(500 * MS), || server.get()).await.unwrap_err();
    // The second began with 400 ms left; the third would have had 200.
    assert_eq!((error.attempts(), error.why()), (2, Stop::Deadline));
}

#[tokio::test(start_paused = true)]
async fn the_time_for_all_attempts_counts_the_attempts_too() {
    let retry = any_error().attempts(99).within(SECOND);
    let slow = || async {
        sleep(350 * MS).await;
        Err::<(), _>("down")
    };
    let error = retry.run(slow).await.unwrap_err();
    // Begun at 0 and 450 ms; the third would have begun at 1,000.
    assert_eq!((error.attempts(), error.why()), (2, Stop::Time));
}

#[tokio::test(start_paused = true)]
async fn no_time_at_all_still_makes_the_first_attempt() {
    let server = Server::answering([Ok::<_, &str>(7)]);
    assert_eq!(any_error().within(Duration::ZERO).run(|| server.get()).await, Ok(7));
    let deadline = in_time(Duration::ZERO);
    assert_eq!(any_error().run_by(deadline, || server.get()).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn who_wakes_late_does_not_call_after_the_deadline() {
    // The clock of the deadline runs on while the timer sleeps.
    let clock = ManualClock::new();
    let deadline = plimsoll_core::Deadline::after_on(&clock, SECOND);
    let server = Server::<(), _>::answering([Err("down")]);
    let retry = any_error().clock(clock.clone());
    let call = retry.run_by(deadline, || server.get());
    let busy = async {
        advance(50 * MS).await;
        clock.advance(2 * SECOND);
    };
    let (result, ()) = tokio::join!(call, busy);
    let error = result.unwrap_err();
    assert_eq!((error.attempts(), error.why()), (1, Stop::Deadline));
}

#[tokio::test(start_paused = true)]
async fn who_wakes_so_late_that_an_attempt_has_no_time_left_makes_none() {
    let clock = ManualClock::new();
    let deadline = plimsoll_core::Deadline::after_on(&clock, SECOND);
    let server = Server::<(), _>::answering([Err("down")]);
    let retry = any_error().leaving(250 * MS).clock(clock.clone());
    let call = retry.run_by(deadline, || server.get());
    let busy = async {
        advance(50 * MS).await;
        clock.advance(800 * MS);
    };
    let (result, ()) = tokio::join!(call, busy);
    let error = result.unwrap_err();
    assert_eq!((error.attempts(), error.why()), (1, Stop::Deadline));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_back_neither_panics_nor_ends_anything() {
    let clock = ManualClock::new();
    let server = Server::answering([Err("down"), Err("down"), Ok(7)]);
    let retry = any_error().within(SECOND).clock(clock.clone()).on_retry(|_, _: &&str, _| {
        clock.set(plimsoll_core::Tick::ZERO);
    });
    assert_eq!(retry.run(|| server.get()).await, Ok(7));
}
