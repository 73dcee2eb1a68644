//! Retry budgets: alone, against a model, and under retries.

mod support;

use futures::future::join_all;
use plimsoll_core::{Tick, TokioClock};
use plimsoll_retry::{Hedge, Retry, RetryBudget, RetryError, Stop};
use proptest::prelude::*;
use std::{collections::HashSet, time::Duration};
use support::{MS, SECOND, Server, any_error};

const NOW: Tick = Tick::from_nanos(3_600_000_000_000);

fn grants(budget: &RetryBudget, now: Tick) -> usize {
    std::iter::from_fn(|| budget.withdraw(now)).count()
}

fn earn(budget: &RetryBudget, successes: u32) {
    for _ in 0..successes {
        budget.deposit();
    }
}

#[test]
fn a_fifth_of_the_successes_and_ten_a_second_is_the_default() {
    let budget = RetryBudget::default();
    assert_eq!(grants(&budget, NOW), 10);
    earn(&budget, 50);
    assert_eq!(grants(&budget, NOW), 10, "earned");
    assert_eq!(grants(&budget, NOW + 500 * MS), 5, "free since");
}

#[test]
fn a_new_budget_has_earned_nothing() {
    // A client that restarts in an outage has no retries saved for it.
    assert_eq!(grants(&RetryBudget::new(1.0), NOW), 0);
}

#[test]
fn a_good_day_does_not_pay_for_an_outage() {
    let budget = RetryBudget::new(0.2).saving(100).at_least(10);
    earn(&budget, 1_000_000);
    assert_eq!(budget.available(NOW), 110);
    assert_eq!(grants(&budget, NOW + SECOND * 86_400), 110);
}

#[test]
fn the_ratio_is_exact_however_many_successes() {
    for (ratio, successes, granted) in
        [(0.1, 1_000, 100), (0.000_249, 4_017, 1), (1e-6, 1_000_000, 1)]
    {
        let budget = RetryBudget::new(ratio);
        earn(&budget, successes - 1);
        assert_eq!(budget.available(NOW), granted - 1, "{ratio}");
        budget.deposit();
        assert_eq!(budget.available(NOW), granted, "{ratio}");
    }
}

#[test]
fn zero_means_none() {
    let budget = RetryBudget::new(0.0).at_least(0);
    earn(&budget, 1_000);
    assert_eq!(grants(&budget, Tick::MAX), 0);
    let budget = RetryBudget::new(1.0).saving(0);
    earn(&budget, 1_000);
    assert_eq!(grants(&budget, NOW), 0);
}

#[test]
fn time_that_stands_still_or_steps_back_grants_nothing() {
    let budget = RetryBudget::new(0.0).at_least(4);
    assert_eq!(grants(&budget, NOW), 4);
    for earlier in [NOW, NOW - SECOND, Tick::ZERO] {
        assert_eq!(grants(&budget, earlier), 0);
    }
    assert_eq!(grants(&budget, NOW + SECOND), 4);
}

#[test]
fn a_share_of_a_second_is_not_lost_between_two_that_ask() {
    let budget = RetryBudget::new(0.0).at_least(10);
    assert_eq!(grants(&budget, NOW), 10);
    // Every 30 ms for three seconds: 30 in all, though none at most steps.
    let asked = (1..=100).map(|step| grants(&budget, NOW + 30 * MS * step)).sum::<usize>();
    assert_eq!(asked, 30);
}

#[test]
fn other_settings_are_another_budget_and_leave_the_first_alone() {
    let first = RetryBudget::new(1.0);
    earn(&first, 3);
    let other = first.clone().at_least(1).saving(5);
    assert_eq!(other.available(Tick::ZERO), 1, "nothing is earned, one is free");
    assert_eq!(grants(&other, Tick::ZERO), 1);
    assert_eq!(first.available(Tick::ZERO), 3);
}

#[test]
fn what_is_free_is_used_before_what_was_earned() {
    let budget = RetryBudget::new(1.0).at_least(1);
    budget.deposit();
    let _ = budget.withdraw(NOW);
    assert_eq!(budget.available(NOW), 1);
    assert_eq!(budget.available(NOW + SECOND), 2);
}

#[test]
fn an_earned_retry_comes_back_unused_and_a_free_one_does_not_run_over() {
    let budget = RetryBudget::new(1.0).at_least(1).saving(1);
    budget.deposit();
    let [Some(free), Some(earned)] = [(); 2].map(|()| budget.withdraw(NOW)) else {
        panic!("there were two")
    };
    budget.give_back(free);
    assert_eq!(budget.available(NOW), 0);
    budget.give_back(earned);
    budget.deposit();
    assert_eq!(budget.available(NOW), 1, "no more than is saved");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Succeed(u8),
    Ask(u8),
    GiveBack,
    Pass(u32),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u8>().prop_map(Step::Succeed),
        (0..20_u8).prop_map(Step::Ask),
        Just(Step::GiveBack),
        (0..2_000_000_000_u32).prop_map(Step::Pass),
    ]
}

proptest! {
    /// Against exact arithmetic in millionths and nanoseconds.
    #[test]
    fn it_never_grants_more_than_was_earned_and_is_free(
        millionths in 1..=1_000_000_u32, at_least in 0..50_u32, saving in 0..20_u32,
        steps in prop::collection::vec(any_step(), 0..60),
    ) {
        let ratio = f64::from(millionths) / 1e6;
        let budget = RetryBudget::new(ratio).at_least(at_least).saving(saving);
        let (mut now, mut held) = (NOW, Vec::new());
        // What may be: the earned part with its bound, and the free part that fills
        // at the exact rate.
        let (mut earned, most) = (0_u64, u64::from(saving) * 1_000_000);
        let (mut free, full) = (u128::from(at_least) * 1_000_000_000, u128::from(at_least) * 1_000_000_000);
        for step in steps {
            match step {
                Step::Succeed(times) => for _ in 0..times {
                    budget.deposit();
                    earned = (earned + u64::from(millionths)).min(most);
                },
                Step::Ask(times) => for _ in 0..times {
                    let before = budget.available(now);
                    let granted = budget.withdraw(now);
                    prop_assert_eq!(granted.is_some(), before > 0);
                    let Some(withdrawal) = granted else { continue };
                    prop_assert_eq!(budget.available(now), before - 1);
                    held.push(withdrawal);
                    if free >= 1_000_000_000 {
                        free -= 1_000_000_000;
                    } else {
                        prop_assert!(earned >= 1_000_000, "granted what nobody earned");
                        earned -= 1_000_000;
                    }
                },
                Step::GiveBack => if let Some(withdrawal) = held.pop() {
                    let before = budget.available(now);
                    budget.give_back(withdrawal);
                    earned = (earned + 1_000_000 * (budget.available(now) - before)).min(most);
                },
                Step::Pass(nanos) => {
                    now = now + Duration::from_nanos(nanos.into());
                    free = full.min(free + u128::from(nanos) * u128::from(at_least));
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_ends_in_the_last_real_error_and_says_so() {
    let budget = RetryBudget::new(0.0).at_least(1);
    let server = Server::<(), _>::answering([Err("a"), Err("b")]);
    let retry = any_error().attempts(5).budget(&budget);
    let error = retry.run(|| server.get()).await.unwrap_err();
    assert_eq!((error.attempts(), error.why(), error.into_inner()), (2, Stop::Budget, "b"));
}

#[tokio::test(start_paused = true)]
async fn retries_are_paid_for_when_scheduled_so_that_sleepers_do_not_all_fire() {
    let budget = RetryBudget::new(0.0).at_least(3);
    let server = Server::<(), _>::answering([Err("down")]);
    let retry = Retry::constant(SECOND * 20).attempts(2).budget(&budget).clock(TokioClock);
    let retry = retry.retry_if(|_: &&str| true);
    let results = join_all((0..100).map(|_| retry.run(|| server.get()))).await;
    let why = |result: &Result<(), RetryError<_>>| result.as_ref().unwrap_err().why();
    let stopped = results.iter().filter(|result| why(result) == Stop::Budget).count();
    assert_eq!((server.calls().len(), stopped), (103, 97));
}

#[tokio::test(start_paused = true)]
async fn retries_do_not_shrink_what_they_are_a_share_of() {
    // A success earns the same whether its call was retried or not, and failures
    // earn nothing.
    let budget = RetryBudget::new(0.5).at_least(1);
    let server = Server::answering([Err("down"), Ok(())]);
    assert!(any_error().budget(&budget).run(|| server.get()).await.is_ok());
    let direct = Server::answering([Ok::<_, &str>(())]);
    assert!(any_error().budget(&budget).run(|| direct.get()).await.is_ok());
    assert_eq!(grants(&budget, Tick::ZERO), 1, "the free one is used, one is earned");
}

#[tokio::test(start_paused = true)]
async fn clones_retries_and_hedges_of_one_budget_share_it() {
    let budget = RetryBudget::new(0.0).at_least(2);
    let retry = any_error().attempts(2).budget(&budget);
    let hedge = Hedge::after(MS).budget(&budget).clock(TokioClock);
    let server = Server::<(), _>::answering([Err("down")]);
    let _ = retry.clone().run(|| server.get()).await;
    let _ = hedge.run(|| server.get()).await;
    assert_eq!(server.calls().len(), 4);
    let _ = retry.run(|| server.get()).await;
    // A tenth of a second in pauses freed none of two a second.
    assert_eq!(server.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn retries_around_retries_do_not_multiply_where_they_share_a_budget() {
    let outer = any_error().attempts(3);
    let down = Server::<(), _>::answering([Err("down")]);
    let around_four = async |budget: Option<&RetryBudget>| {
        let layer = |retry: &Retry<_, _, _>| match budget {
            Some(budget) => retry.clone().budget(budget),
            None => retry.clone(),
        };
        let (a, b, c, d) = (layer(&outer), layer(&outer), layer(&outer), layer(&outer));
        let before = down.calls().len();
        let inner = || async { d.run(|| down.get()).await.map_err(RetryError::into_inner) };
        let middle = || async { c.run(inner).await.map_err(RetryError::into_inner) };
        let upper = || async { b.run(middle).await.map_err(RetryError::into_inner) };
        assert!(a.run(upper).await.is_err());
        down.calls().len() - before
    };
    assert_eq!(around_four(None).await, 81);
    let budget = RetryBudget::new(1.0);
    earn(&budget, 4);
    assert_eq!(around_four(Some(&budget)).await, 1 + 4);
}

#[tokio::test(start_paused = true)]
async fn a_few_a_second_are_granted_where_nothing_succeeds() {
    let budget = RetryBudget::new(0.2).at_least(3);
    let server = Server::<(), _>::answering([Err("down")]);
    let retry = any_error().attempts(2).budget(&budget);
    let start = tokio::time::Instant::now();
    for second in 1..=4 {
        for _ in 0..10 {
            let _ = retry.run(|| server.get()).await;
        }
        assert_eq!(server.calls().len(), second * (10 + 3), "second {second}");
        tokio::time::sleep_until(start + SECOND * u32::try_from(second).unwrap()).await;
    }
}

#[test]
fn bad_settings_are_told_with_the_rule() {
    let texts: HashSet<_> = [f64::NAN, -0.1, 1.1, 1e-7, f64::INFINITY]
        .map(|ratio| RetryBudget::try_new(ratio).unwrap_err().allowed())
        .into();
    assert_eq!(texts, HashSet::from(["0, or 0.000001 to 1"]));
    assert!(RetryBudget::new(0.2).try_at_least(1_000_000).is_ok());
    assert!(RetryBudget::new(0.2).try_at_least(1_000_001).is_err());
}

#[test]
#[should_panic(expected = "ratio must be 0, or 0.000001 to 1, but is 20")]
fn a_percentage_written_for_a_ratio_panics_where_it_is_written() {
    let _ = RetryBudget::new(20.0);
}
