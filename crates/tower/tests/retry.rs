//! `RetryLayer` and `HedgeLayer`, before services that answer from a list.

#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod support;

use plimsoll_core::{Deadline, Error, Reason, Rejected, TokioClock, testing::Places};
use plimsoll_retry::{EveryError, Hedge, HedgeEvent, Jitter, Refusals, Retry, RetryBudget};
use plimsoll_retry::{RetryIf, Stop, Unobserved, Verdict};
use plimsoll_tower::{GateLayer, HedgeLayer, RetryLayer};
use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::strict;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

/// Pauses of 100, 200, 400 ms …, with neither jitter nor budget.
fn plain() -> Retry<Refusals, Unobserved, TokioClock> {
    Retry::exponential(100 * MS).jitter(Jitter::None).without_budget().clock(TokioClock)
}

/// Answers from a list, and then for ever as the last of it.
#[derive(Clone)]
struct Script<T> {
    answers: Arc<Vec<T>>,
    calls: Arc<Mutex<Vec<u64>>>,
    born: Instant,
}

impl<T: Clone> Script<T> {
    fn of(answers: impl IntoIterator<Item = T>) -> Self {
        let answers = Arc::new(answers.into_iter().collect());
        Self { answers, calls: Arc::default(), born: Instant::now() }
    }

    fn next(&self) -> T {
        let mut calls = self.calls.lock().unwrap();
        calls.push(u64::try_from(self.born.elapsed().as_millis()).unwrap());
        self.answers[(calls.len() - 1).min(self.answers.len() - 1)].clone()
    }

    /// When it was called, in milliseconds.
    fn calls(&self) -> Vec<u64> {
        self.calls.lock().unwrap().clone()
    }
}

type Answer = Result<u32, Error<&'static str>>;

fn down() -> Answer {
    Err(Error::Inner("down"))
}

fn refused(reason: Reason) -> Answer {
    Err(Rejected::new(reason, "gate").into())
}

/// A service of a script: it takes requests of any type.
macro_rules! service {
    ($script:expr) => {{
        let script = $script.clone();
        // Insists on being made ready, clone by clone.
        strict(move |_| std::future::ready(script.next()))
    }};
}

type Any = RetryIf<fn(&Error<&'static str>) -> bool>;

/// The same for an inner error that is no `std::error::Error`.
fn any() -> Retry<Any, Unobserved, TokioClock> {
    plain().retry_if(|_| true)
}

#[tokio::test(start_paused = true)]
async fn each_attempt_waits_for_the_service_to_be_ready_anew() {
    let script = Script::of([down(), down(), Ok(7)]);
    let mut service = RetryLayer::new(any()).layer(service!(script));
    for _ in 0..2 {
        assert_eq!(service.ready().await.unwrap().call(1_u32).await, Ok(7));
    }
    assert_eq!(script.calls(), [0, 100, 300, 300], "and the second call at once");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_for_an_attempt_is_waited_for() {
    // One place, and whoever comes first has it for a second.
    let script = Script::of([down(), Ok(7)]);
    let inner = ServiceBuilder::new().concurrency_limit(1).service({
        let script = script.clone();
        service_fn(move |request: u32| {
            let script = script.clone();
            async move {
                sleep(if request == 0 { Duration::from_secs(1) } else { Duration::ZERO }).await;
                if request == 0 { Ok(0) } else { script.next() }
            }
        })
    });
    let service = RetryLayer::new(any()).layer(inner);
    let (first, other) = (service.clone().oneshot(1), service);
    let slow = async {
        sleep(50 * MS).await; // in the pause of the first
        other.oneshot(0).await
    };
    let (first, slow) = tokio::join!(first, slow);
    assert_eq!((first, slow), (Ok(7), Ok(0)));
    let calls = script.calls();
    assert!(calls[1] >= 1_050, "the second attempt waited for the place: {calls:?}");
}

#[tokio::test(start_paused = true)]
async fn the_last_error_comes_back_as_it_is() {
    let script = Script::of([refused(Reason::Concurrency), down()]);
    let mut service = RetryLayer::new(any()).layer(service!(script));
    assert_eq!(service.ready().await.unwrap().call(()).await, down());
    assert_eq!(script.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_ends_it_and_other_refusals_say_when_to_come_back() {
    let refuse = |refusal| move |(): ()| std::future::ready(Err::<(), Rejected>(refusal));
    let open = Rejected::new(Reason::Open, "breaker").retry_in(5_000 * MS);
    let start = Instant::now();
    let error = RetryLayer::new(plain()).layer(service_fn(refuse(open))).oneshot(()).await;
    assert_eq!((error, start.elapsed()), (Err(open), Duration::ZERO));

    let rate = Rejected::new(Reason::Rate, "bucket").retry_in(700 * MS);
    let once = plain().attempts(2);
    let error = RetryLayer::new(once).layer(service_fn(refuse(rate))).oneshot(()).await;
    assert_eq!(error, Err(rate));
    assert!(start.elapsed() >= 700 * MS && start.elapsed() < 710 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_gate_within_is_asked_at_each_attempt() {
    let inner = service_fn(async |_: u32| Err::<u32, _>(io::Error::other("down")));
    let (gate, heard) = support::Recorder::new(Places::new(1));
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(plain()))
        .layer(GateLayer::of(gate.clone()))
        .service(inner);
    assert!(matches!(service.oneshot(1).await, Err(Error::Inner(_))));
    assert_eq!((heard.take().len(), gate.places.used()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn services_and_clones_of_a_layer_share_one_budget() {
    let budget = RetryBudget::new(0.0).at_least(3);
    let script = Script::of([down()]);
    let layer = RetryLayer::new(any().attempts(2).budget(&budget));
    let inner = service!(script);
    let one = layer.layer(inner.clone());
    let (two, three) = (one.clone(), layer.clone().layer(inner));
    for service in [one.clone(), two.clone(), three.clone(), one, two, three] {
        assert_eq!(service.oneshot(()).await, down());
    }
    assert_eq!(script.calls().len(), 6 + 3);
}

#[tokio::test(start_paused = true)]
async fn successes_earn_retries_at_the_first_attempt_and_at_later_ones() {
    let budget = RetryBudget::new(1.0);
    let script = Script::of([Ok(1), down(), Ok(2)]);
    let service = RetryLayer::new(any().budget(&budget)).layer(service!(script));
    assert_eq!(service.clone().oneshot(()).await, Ok(1));
    assert_eq!(budget.available(plimsoll_core::Tick::ZERO), 1);
    assert_eq!(service.oneshot(()).await, Ok(2));
    assert_eq!(budget.available(plimsoll_core::Tick::ZERO), 1, "one spent, one earned");
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_after_the_deadline() {
    let script = Script::of([down()]);
    let service = RetryLayer::new(any().attempts(9)).layer(service!(script));
    let deadline = Deadline::after_on(&TokioClock, 500 * MS);
    let answer = deadline.scope(service.oneshot(())).await;
    assert_eq!(answer, down());
    assert_eq!(script.calls(), [0, 100, 300]);
}

#[tokio::test(start_paused = true)]
async fn dropped_in_a_pause_it_gives_its_retry_back() {
    let budget = RetryBudget::new(1.0);
    budget.deposit();
    let service = RetryLayer::new(any().budget(&budget)).layer(service!(Script::of([down()])));
    let call = tokio::time::timeout(50 * MS, service.oneshot(()));
    assert!(call.await.is_err());
    assert_eq!(budget.available(plimsoll_core::Tick::ZERO), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_copied_is_sent_once_and_that_can_be_counted() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    let retry = any().on_give_up(move |attempts, result: &Answer, why| {
        hear.lock().unwrap().push((attempts, *result, why));
    });
    let script = Script::of([down()]);
    let layer =
        RetryLayer::new(retry).copied_by(|request: &u32| (*request > 5).then_some(*request));
    for request in [1, 9] {
        assert_eq!(layer.layer(service!(script)).oneshot(request).await, down());
    }
    assert_eq!(script.calls().len(), 1 + 3);
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard, [(1, down(), Stop::Unrepeatable), (3, down(), Stop::Attempts)]);
}

#[tokio::test(start_paused = true)]
async fn copies_that_run_out_end_the_attempts_and_not_the_process() {
    let left = Mutex::new(2);
    let copy = move |request: &u32| {
        let mut left = left.lock().unwrap();
        *left -= 1;
        (*left >= 0).then_some(*request)
    };
    let left = Arc::new(copy);
    let script = Script::of([down()]);
    let layer = RetryLayer::new(any().attempts(9)).copied_by(move |request: &u32| left(request));
    assert_eq!(layer.layer(service!(script)).oneshot(1).await, down());
    assert_eq!(script.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn answers_are_judged_as_well_as_errors() {
    let script = Script::of([Ok(503), Ok(404), Ok(200)]);
    let judge = |answer: &u32| match answer {
        503 => Some(Verdict::NotBefore(2_000 * MS)),
        404 => Some(Verdict::Permanent),
        _ => None,
    };
    let budget = RetryBudget::new(1.0).at_least(10);
    let layer = RetryLayer::new(any().budget(&budget)).judge_answers(judge);
    let service = layer.layer(service!(script));
    assert_eq!(service.clone().oneshot(()).await, Ok(404), "the last answer, as it is");
    assert_eq!(script.calls(), [0, 2_000]);
    assert_eq!(service.oneshot(()).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn observers_hear_of_results() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    let retry = any().on_retry(move |attempt, result: &Answer, pause| {
        hear.lock().unwrap().push((attempt, *result, pause));
    });
    let script = Script::of([Ok(503), down(), Ok(200)]);
    let judge = |answer: &u32| (*answer == 503).then_some(Verdict::Transient);
    let layer = RetryLayer::new(retry).judge_answers(judge);
    assert_eq!(layer.layer(service!(script)).oneshot(()).await, Ok(200));
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard, [(1, Ok(503), 100 * MS), (2, down(), 200 * MS)]);
}

#[tokio::test(start_paused = true)]
async fn the_answer_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let layer = RetryLayer::new(plain());
    let service = layer.layer(service_fn(async |n: u32| Ok::<_, Rejected>(n)));
    assert_eq!(is_send(service.oneshot(1)).await, Ok(1));
}

fn hedge() -> Hedge<EveryError, Unobserved, TokioClock> {
    Hedge::after(50 * MS).without_budget().clock(TokioClock)
}

/// Takes as many milliseconds as its script says.
macro_rules! takes {
    ($script:expr) => {{
        let script = $script.clone();
        strict(move |_| {
            let time = script.next();
            async move {
                sleep(MS * time).await;
                Ok::<_, Error<&'static str>>(time)
            }
        })
    }};
}

#[tokio::test(start_paused = true)]
async fn a_slow_request_is_sent_again_on_a_service_made_ready_for_it() {
    let script = Script::of([1_000, 10]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = heard.clone();
    let layer = HedgeLayer::new(hedge().on_hedge(move |event| hear.lock().unwrap().push(event)));
    let mut service = layer.layer(takes!(script));
    assert_eq!(service.ready().await.unwrap().call(1_u32).await, Ok(10));
    assert_eq!(script.calls(), [0, 50]);
    assert_eq!(*heard.lock().unwrap(), [HedgeEvent::Made(2), HedgeEvent::Won(2)]);
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_hedges_than_copies_and_the_first_is_always_sent() {
    let script = Script::of([1_000]);
    let layer = HedgeLayer::new(hedge().at_most(4));
    let service = layer.clone().copied_by(|_: &u32| None).layer(takes!(script));
    assert_eq!(service.oneshot(1).await, Ok(1_000));
    assert_eq!(script.calls(), [0]);

    let script = Script::of([1_000]);
    assert_eq!(layer.layer(takes!(script)).oneshot(1).await, Ok(1_000));
    assert_eq!(script.calls(), [0, 50, 100, 150]);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_fails_leaves_the_first_request_alone() {
    let script = Script::of([Ok(()), Err(())]);
    let calls = script.clone();
    let inner = strict(move |_: ()| {
        let answer = calls.next();
        async move {
            sleep(if answer.is_ok() { 200 * MS } else { MS }).await;
            answer
        }
    });
    assert_eq!(HedgeLayer::new(hedge()).layer(inner).oneshot(()).await, Ok(()));
    assert_eq!(script.calls(), [0, 50]);
}
