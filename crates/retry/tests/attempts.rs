//! Attempts, pauses, and what is retried.

mod support;

use plimsoll_core::{AsRejected, Clock, Error, Reason, Rejected, TokioClock};
use plimsoll_retry::{Jitter, Judge, Refusals, Retry, RetryBudget, RetryError, Stop};
use std::{cell::RefCell, error, io, time::Duration};
use support::{MS, Server, any_error, plain};
use tokio::time::timeout;

#[tokio::test(start_paused = true)]
async fn attempts_count_the_first_one_and_not_one_more_is_made() {
    for attempts in 1..=5 {
        let server = Server::<(), _>::answering([Err("down")]);
        let error = any_error().attempts(attempts).run(|| server.get()).await.unwrap_err();
        assert_eq!(server.calls().len(), attempts as usize);
        assert_eq!((error.attempts(), error.why()), (attempts, Stop::Attempts));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_success_ends_it_after_pauses_that_double() {
    let server = Server::answering([Err("a"), Err("b"), Err("c"), Ok(7)]);
    assert_eq!(any_error().attempts(9).run(|| server.get()).await, Ok(7));
    assert_eq!(server.calls(), [0, 100, 300, 700]);
}

#[tokio::test(start_paused = true)]
async fn the_error_is_that_of_the_last_attempt_and_is_found_in_the_chain() {
    let refusal = Rejected::new(Reason::Overload, "shedder");
    let first = || Error::Inner(io::Error::other("down"));
    let answers = RefCell::new(vec![Error::Rejected(refusal), first()]);
    let retry = plain().attempts(2);
    let result: Result<(), _> =
        retry.run(|| async { Err(answers.borrow_mut().pop().unwrap()) }).await;
    let error: RetryError<Error<io::Error>> = result.unwrap_err();
    assert_eq!(error.as_rejected(), Some(refusal));
    let boxed: Box<dyn error::Error> = Box::new(error);
    assert_eq!(Rejected::find(&*boxed), Some(refusal), "an outer retry sees it");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_and_a_closed_gate_cost_no_further_attempt() {
    for reason in [Reason::Open, Reason::Closed] {
        let refusal = Rejected::new(reason, "gate").retry_in(MS);
        let server = Server::<(), _>::answering([Err(refusal)]);
        let error = plain().attempts(5).run(|| server.get()).await.unwrap_err();
        assert_eq!((error.attempts(), error.why()), (1, Stop::Permanent));
    }
}

#[tokio::test(start_paused = true)]
async fn asked_to_it_sleeps_until_the_breaker_lets_a_probe_through() {
    let open = Rejected::new(Reason::Open, "breaker").retry_in(5_000 * MS);
    let server = Server::answering([Err(open), Ok(7)]);
    assert_eq!(plain().retry_open().run(|| server.get()).await, Ok(7));
    assert_eq!(server.calls(), [0, 5_000], "no attempt was burnt meanwhile");
}

#[tokio::test(start_paused = true)]
async fn other_refusals_are_retried_and_not_before_their_time() {
    let full = Rejected::new(Reason::Rate, "bucket").retry_in(250 * MS);
    let unknown = Rejected::new(Reason::Concurrency, "places");
    let late = Rejected::new(Reason::Deadline, "an attempt's own timeout");
    let server = Server::answering([Err(full), Err(unknown), Err(late), Ok(7)]);
    assert_eq!(plain().attempts(4).run(|| server.get()).await, Ok(7));
    assert_eq!(server.calls(), [0, 250, 450, 850]);
}

#[tokio::test(start_paused = true)]
async fn what_is_permanent_is_not_tried_again() {
    let server = Server::<(), _>::answering([Err(503_u16), Err(404)]);
    let retry = plain().attempts(5).retry_if(|status: &u16| *status >= 500);
    let error = retry.run(|| server.get()).await.unwrap_err();
    assert_eq!((error.attempts(), error.why(), error.into_inner()), (2, Stop::Permanent, 404));
}

#[tokio::test(start_paused = true)]
async fn an_error_may_be_declared_permanent_and_refusals_are_still_seen() {
    let retry = plain().attempts(5).stop_if(|error: &Error<io::Error>| match error {
        Error::Inner(inner) => inner.kind() == io::ErrorKind::NotFound,
        Error::Rejected(_) => false,
    });
    for (error, attempts) in [
        (Error::Inner(io::Error::from(io::ErrorKind::NotFound)), 1),
        (Error::Rejected(Rejected::new(Reason::Open, "breaker")), 1),
    ] {
        let error = RefCell::new(Some(error));
        let result: Result<(), _> =
            retry.run(|| async { Err(error.borrow_mut().take().unwrap()) }).await;
        assert_eq!(result.unwrap_err().attempts(), attempts);
    }
    let result: Result<(), _> =
        retry.run(|| async { Err(Error::Inner(io::Error::other("down"))) }).await;
    assert_eq!(result.unwrap_err().attempts(), 5);
}

#[tokio::test(start_paused = true)]
async fn boxed_errors_are_looked_into() {
    type Boxed = Box<dyn error::Error + Send + Sync>;
    let open = || async { Err::<(), Boxed>(Rejected::new(Reason::Open, "breaker").into()) };
    assert_eq!(plain().run(open).await.unwrap_err().attempts(), 1);
    let down = || async { Err::<(), Boxed>("down".into()) };
    assert_eq!(plain().run(down).await.unwrap_err().attempts(), 3);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_error_is_paused_for() {
    // Also one whose server asks for no pause, or for one in the past.
    for wait in [None, Some(Duration::ZERO)] {
        let server = Server::<(), _>::answering([Err(wait)]);
        let retry = plain().retry_if(|_: &Option<Duration>| true).retry_after(|wait| *wait);
        let _ = retry.run(|| server.get()).await;
        assert_eq!(server.calls(), [0, 100, 300]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_not_asked_before_and_not_by_all_at_once() {
    let retry = Retry::exponential(100 * MS).without_budget().seed(5).clock(TokioClock);
    let retry =
        retry.retry_if(|_: &u64| true).retry_after(|seconds| Some(Duration::from_secs(*seconds)));
    let mut second_calls = Vec::new();
    for _ in 0..100 {
        let server = Server::answering([Err(2), Ok(())]);
        assert!(retry.run(|| server.get()).await.is_ok());
        second_calls.push(server.calls()[1]);
    }
    assert!(second_calls.iter().all(|at| (2_000..=2_101).contains(at)), "{second_calls:?}");
    second_calls.sort_unstable();
    second_calls.dedup();
    assert!(second_calls.len() > 50, "they come back together: {second_calls:?}");
}

#[tokio::test(start_paused = true)]
async fn the_later_of_two_that_say_when_counts() {
    let full = Rejected::new(Reason::Rate, "bucket").retry_in(300 * MS);
    for (asked, second) in [(100 * MS, 300), (900 * MS, 900)] {
        let server = Server::answering([Err(full), Ok(())]);
        let retry = plain().retry_after(move |_: &Rejected| Some(asked));
        assert!(retry.run(|| server.get()).await.is_ok());
        assert_eq!(server.calls()[1], second);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_cannot_make_anybody_wait_for_an_hour() {
    for asked in [61_000 * MS, Duration::MAX] {
        let server = Server::<(), _>::answering([Err(asked)]);
        let retry = plain().retry_if(|_: &Duration| true).retry_after(|asked| Some(*asked));
        let error = retry.run(|| server.get()).await.unwrap_err();
        assert_eq!((error.attempts(), error.why()), (1, Stop::Wait));
        assert_eq!(server.calls(), [0], "nor was it asked earlier than it said");
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_a_call_of_its_own_and_knows_its_number() {
    let numbers = RefCell::new(Vec::new());
    let attempt = |number| {
        numbers.borrow_mut().push(number); // a request is made anew each time
        async { Err::<(), _>("down") }
    };
    let _ = any_error().run_numbered(attempt).await;
    assert_eq!(*numbers.borrow(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn observers_hear_of_each_retry_and_of_nothing_else() {
    let heard = RefCell::new(Vec::new());
    let retry = any_error()
        .on_retry(|attempt, error: &&str, pause| {
            heard.borrow_mut().push((attempt, *error, pause.as_millis()));
        })
        .on_retry(|attempt, _: &&str, _| heard.borrow_mut().push((attempt, "again", 0)));
    let server = Server::<(), _>::answering([Err("a"), Err("b"), Err("c")]);
    let _ = retry.run(|| server.get()).await;
    let expected = [(1, "a", 100), (1, "again", 0), (2, "b", 200), (2, "again", 0)];
    assert_eq!(*heard.borrow(), expected);
}

#[tokio::test(start_paused = true)]
async fn observers_hear_why_a_call_was_given_up_and_of_no_success() {
    let heard = RefCell::new(Vec::new());
    let hear = |attempts, error: &&str, why| {
        heard.borrow_mut().push((attempts, error.to_string(), why));
    };
    let spent = RetryBudget::new(0.0);
    let retry = any_error::<&str>().on_give_up(hear).budget(&spent);
    for answers in [vec![Err("down")], vec![Ok(())]] {
        let _ = retry.run(|| async { answers[0] }).await;
    }
    let retry = any_error::<&str>().on_give_up(hear).on_retry(|_, _: &&str, _| ());
    let _ = retry.run(|| async { Err::<(), _>("slow") }).await;
    let expected = [(1, "down".into(), Stop::Budget), (3, "slow".into(), Stop::Attempts)];
    assert_eq!(*heard.borrow(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_ask_the_budget_that_it_hears_of() {
    let budget = RetryBudget::new(0.0).at_least(2);
    let left = RefCell::new(Vec::new());
    let hear = |_, _: &&str, _| left.borrow_mut().push(budget.available(TokioClock.now()));
    let retry = any_error::<&str>().budget(&budget).on_retry(hear);
    let _ = retry.run(|| async { Err::<(), _>("down") }).await;
    assert_eq!(*left.borrow(), [1, 0], "each retry is paid for when it is heard of");
}

#[test]
fn what_was_refused_never_began_unless_a_deadline_may_have_cut_it_off() {
    let refusals = Refusals::default();
    let began = |error: &Error<io::Error>| {
        let plain = refusals.may_have_begun(error);
        let around = wrapped().may_have_begun(error);
        assert_eq!(plain, around, "judges around another say what it says");
        plain
    };
    for reason in [Reason::Rate, Reason::Concurrency, Reason::Overload, Reason::Open] {
        assert!(!began(&Rejected::new(reason, "gate").into()));
    }
    assert!(began(&Rejected::new(Reason::Deadline, "deadline").into()));
    assert!(began(&Error::Inner(io::ErrorKind::ConnectionReset.into())));
}

/// A judge around another around another.
fn wrapped() -> impl Judge<Error<io::Error>> {
    let retry =
        plain().stop_if(|_: &Error<io::Error>| false).retry_after(|_: &Error<io::Error>| None);
    retry.into_parts().0
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_its_pauses_and_clones_do_not() {
    async fn pauses(retry: Retry) -> Vec<Duration> {
        let seen = RefCell::new(Vec::new());
        let hear = |_, (): &(), pause| seen.borrow_mut().push(pause);
        let retry = retry.attempts(4).retry_if(|_: &()| true).on_retry(hear);
        let _ = retry.run(|| async { Err::<(), _>(()) }).await;
        seen.into_inner()
    }
    let retry = || Retry::exponential(MS).jitter(Jitter::Decorrelated).seed(11);
    let shared = retry();
    let (one, other) = (pauses(shared.clone()).await, pauses(shared).await);
    assert_ne!(one, other);
    assert_eq!(one, pauses(retry()).await);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_stops_pausing_and_gives_its_retry_back() {
    let budget = RetryBudget::new(1.0);
    budget.deposit();
    let server = Server::<(), _>::answering([Err("down")]);
    let retry = any_error().budget(&budget);
    assert!(timeout(50 * MS, retry.run(|| server.get())).await.is_err());
    assert_eq!(budget.available(plimsoll_core::Tick::ZERO), 1);
    tokio::time::sleep(1_000 * MS).await;
    assert_eq!(server.calls(), [0], "it went on without its caller");
}

#[test]
fn the_future_is_send_and_hardly_larger_than_an_attempt() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let retry = Retry::exponential(MS);
    let attempt = || async { Err::<(), _>(Rejected::new(Reason::Rate, "bucket")) };
    let size = size_of_val(&is_send(retry.run(attempt)));
    assert!(size <= 128, "{size} bytes");
}
