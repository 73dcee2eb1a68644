//! What retries and hedges cost before layers: copies of requests, and budget.

#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::{FutureExt, future::BoxFuture};
use plimsoll_core::{Tick, TokioClock};
use plimsoll_retry::{EveryError, Hedge, HedgeEvent, Jitter, Retry, RetryBudget, RetryIf, Stop};
use plimsoll_retry::{Unobserved, Verdict};
use plimsoll_tower::{HedgeLayer, RetryLayer};
use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

/// A request that counts its copies.
#[derive(Default)]
struct Parcel(Arc<Mutex<usize>>);

impl Clone for Parcel {
    fn clone(&self) -> Self {
        *self.0.lock().unwrap() += 1;
        Self(self.0.clone())
    }
}

impl Parcel {
    fn copies(&self) -> impl Fn() -> usize + use<> {
        let count = self.0.clone();
        move || *count.lock().unwrap()
    }
}

type Any = RetryIf<fn(&&'static str) -> bool>;

/// Pauses of 100, 200, 400 ms …, with neither jitter nor budget.
fn plain() -> Retry<Any, Unobserved, TokioClock> {
    let retry = Retry::exponential(100 * MS).jitter(Jitter::None).without_budget();
    retry.clock(TokioClock).retry_if(|_| true)
}

fn hedge() -> Hedge<EveryError, Unobserved, TokioClock> {
    Hedge::after(50 * MS).without_budget().clock(TokioClock)
}

/// One retry earned, and half a one by each success.
fn one_earned() -> RetryBudget {
    let budget = RetryBudget::new(0.5);
    budget.deposit();
    budget.deposit();
    budget
}

fn left(budget: &RetryBudget) -> u64 {
    budget.available(Tick::ZERO)
}

#[tokio::test(start_paused = true)]
async fn a_request_is_copied_only_while_another_attempt_may_follow() {
    for (attempts, copies) in [(1, 0), (2, 1), (3, 2)] {
        let parcel = Parcel::default();
        let copied = parcel.copies();
        let down = service_fn(async |_: Parcel| Err::<(), _>("down"));
        let answer = RetryLayer::new(plain().attempts(attempts)).layer(down).oneshot(parcel).await;
        assert_eq!((answer, copied()), (Err("down"), copies), "{attempts} attempts");
    }
    let (parcel, up) = (Parcel::default(), service_fn(async |_: Parcel| Ok::<_, &str>(())));
    let copied = parcel.copies();
    assert_eq!(RetryLayer::new(plain()).layer(up).oneshot(parcel).await, Ok(()));
    assert_eq!(copied(), 1, "it might have failed");
}

#[tokio::test(start_paused = true)]
async fn a_last_attempt_that_left_no_copy_is_not_taken_for_one_that_could_not_be_copied() {
    for attempts in 1..=3 {
        for (verdict, why) in
            [(Verdict::Transient, Stop::Attempts), (Verdict::Permanent, Stop::Permanent)]
        {
            let heard = Arc::new(Mutex::new(None));
            let hear = heard.clone();
            let retry =
                plain().attempts(attempts).on_give_up(move |made, _: &Result<u32, &str>, why| {
                    *hear.lock().unwrap() = Some((made, why));
                });
            // Only the last answer ends it for good.
            let said =
                move |made: &u32| Some(if *made < attempts { Verdict::Transient } else { verdict });
            let made = Arc::new(Mutex::new(0));
            let count = service_fn(move |_: Parcel| {
                *made.lock().unwrap() += 1;
                std::future::ready(Ok::<_, &str>(*made.lock().unwrap()))
            });
            let layer = RetryLayer::new(retry).judge_answers(said);
            assert_eq!(layer.layer(count).oneshot(Parcel::default()).await, Ok(attempts));
            assert_eq!(*heard.lock().unwrap(), Some((attempts, why)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_good_is_not_said_to_fail_for_want_of_a_copy() {
    for (transient, why) in [(true, Stop::Unrepeatable), (false, Stop::Permanent)] {
        let heard = Arc::new(Mutex::new(None));
        let hear = heard.clone();
        let retry = plain().retry_if(move |_: &&str| transient);
        let retry = retry.on_give_up(move |_, _: &Result<(), &str>, why| {
            *hear.lock().unwrap() = Some(why);
        });
        let down = service_fn(async |_: u32| Err::<(), _>("down"));
        let layer = RetryLayer::new(retry).copied_by(|_: &u32| None);
        assert_eq!(layer.layer(down).oneshot(1).await, Err("down"));
        assert_eq!(*heard.lock().unwrap(), Some(why));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedged_request_is_copied_once_for_each_call_that_another_may_follow() {
    // The answer comes after so many calls.
    for (calls, at_most, copies) in
        [(1, 1, 0), (1, 2, 1), (2, 2, 1), (3, u32::MAX, 3), (1, u32::MAX, 1)]
    {
        let parcel = Parcel::default();
        let (copied, count) = (parcel.copies(), Arc::new(Mutex::new(0)));
        let counted = count.clone();
        let slow = service_fn(move |_: Parcel| {
            *counted.lock().unwrap() += 1;
            let last = *counted.lock().unwrap() == calls;
            async move {
                sleep(if last { MS } else { 9_000 * MS }).await;
                Ok::<_, &str>(())
            }
        });
        let answer = HedgeLayer::new(hedge().at_most(at_most)).layer(slow).oneshot(parcel).await;
        assert_eq!((answer, *count.lock().unwrap()), (Ok(()), calls));
        assert_eq!(copied(), copies, "{calls} calls of at most {at_most}");
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_end_where_copies_run_out_and_the_budget_is_not_asked_for_more() {
    let left_to_copy = Mutex::new(2);
    let copy = move |_: &u32| {
        let mut left = left_to_copy.lock().unwrap();
        *left -= 1;
        (*left >= 0).then_some(0)
    };
    let (copy, heard) = (Arc::new(copy), Arc::new(Mutex::new(Vec::new())));
    let hear = heard.clone();
    let budget = RetryBudget::new(0.0).at_least(9);
    let hedge = hedge().at_most(9).budget(&budget);
    let layer = HedgeLayer::new(hedge.on_hedge(move |event| hear.lock().unwrap().push(event)));
    let slow = service_fn(async |_: u32| {
        sleep(400 * MS).await;
        Ok::<_, &str>(())
    });
    let layer = layer.copied_by(move |request: &u32| copy(request));
    assert_eq!(layer.layer(slow).oneshot(1).await, Ok(()));
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard, [HedgeEvent::Made(2), HedgeEvent::Made(3), HedgeEvent::Won(1)]);
}

/// Answers after 400 ms. Only the first of its clones is ready; the others are as
/// they are told.
struct Scarce {
    first: bool,
    others: Poll<Result<(), &'static str>>,
    answer: Result<(), &'static str>,
}

impl Clone for Scarce {
    fn clone(&self) -> Self {
        Self { first: false, ..*self }
    }
}

impl Service<Parcel> for Scarce {
    type Response = ();
    type Error = &'static str;
    type Future = BoxFuture<'static, Result<(), &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.first { Poll::Ready(Ok(())) } else { self.others }
    }

    fn call(&mut self, _: Parcel) -> Self::Future {
        let answer = self.answer;
        async move {
            sleep(400 * MS).await;
            answer
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_paid_for_when_it_is_sent_and_given_back_if_it_never_is() {
    for (others, paid) in
        [(Poll::Ready(Ok(())), true), (Poll::Pending, false), (Poll::Ready(Err("lost")), false)]
    {
        let budget = one_earned();
        let layer = HedgeLayer::new(hedge().budget(&budget));
        let mut service = layer.layer(Scarce { first: true, others, answer: Ok(()) });
        let call = service.ready().await.unwrap().call(Parcel::default());
        assert_eq!(call.await, Ok(()));
        // Half a one was earned besides.
        assert_eq!(left(&budget), u64::from(!paid), "others: {others:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_that_wait_for_a_service_hold_their_share_of_the_budget() {
    let budget = one_earned();
    let layer = HedgeLayer::new(hedge().budget(&budget));
    let mut service = layer.layer(Scarce { first: true, others: Poll::Pending, answer: Ok(()) });
    let call = service.ready().await.unwrap().call(Parcel::default());
    assert!(
        timeout(100 * MS, async {
            let held = async {
                sleep(99 * MS).await;
                assert_eq!(left(&budget), 0, "else all who wait would be sent together");
                std::future::pending::<()>().await;
            };
            tokio::join!(call, held)
        })
        .await
        .is_err()
    );
    assert_eq!(left(&budget), 1, "dropped, it was never sent");
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_paid_for_when_it_is_sent_and_given_back_if_it_never_is() {
    for (others, paid) in
        [(Poll::Ready(Ok(())), true), (Poll::Pending, false), (Poll::Ready(Err("lost")), false)]
    {
        let budget = one_earned();
        let layer = RetryLayer::new(plain().attempts(2).budget(&budget));
        let mut service = layer.layer(Scarce { first: true, others, answer: Err("down") });
        let call = service.ready().await.unwrap().call(Parcel::default());
        // Where it waits for the service, its caller is gone before that is ready.
        assert_eq!(timeout(9_000 * MS, call).await.is_err(), others.is_pending());
        assert_eq!(left(&budget), u64::from(!paid), "others: {others:?}");
    }
}
