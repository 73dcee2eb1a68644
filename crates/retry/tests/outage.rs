//! A scripted outage, second by second: what a dependency has to bear.

mod support;

use plimsoll_core::{Clock, TokioClock};
use plimsoll_retry::{Retry, RetryBudget, RetryError, Stop};
use std::{cell::RefCell, fmt::Write, rc::Rc};
use support::{MS, SECOND};
use tokio::{task::LocalSet, time::sleep};

/// Requests a second.
const DEMAND: u32 = 100;
const SECONDS: usize = 20;
/// All calls fail in these seconds, and every tenth in the one before.
const DOWN: std::ops::Range<usize> = 4..14;

#[derive(Clone, Copy, Default)]
struct Second {
    calls: u32,
    failed: u32,
    budget_spent: u32,
}

/// What happens to the dependency when all its callers retry with `retry`.
async fn day(retry: Retry) -> Vec<Second> {
    let start = TokioClock.now();
    let second = move || {
        let passed = usize::try_from(TokioClock.now().since(start).as_secs());
        passed.map_or(SECONDS - 1, |second| second.min(SECONDS - 1))
    };
    let seconds = Rc::new(RefCell::new(vec![Second::default(); SECONDS]));
    let retry = Rc::new(retry.seed(1).clock(TokioClock).retry_if(|(): &()| true));
    let everybody = LocalSet::new();
    for request in 0..DEMAND * 20 {
        let (retry, seconds) = (Rc::clone(&retry), Rc::clone(&seconds));
        everybody.spawn_local(async move {
            sleep(SECOND * request / DEMAND).await;
            let call = || async {
                let (at, mut seconds) = (second(), seconds.borrow_mut());
                seconds[at].calls += 1;
                let flawed = at + 1 == DOWN.start && seconds[at].calls % 10 == 0;
                if DOWN.contains(&at) || flawed { Err(()) } else { Ok(()) }
            };
            if let Err(error) = retry.run(call).await {
                let mut seconds = seconds.borrow_mut();
                seconds[second()].failed += 1;
                seconds[second()].budget_spent += u32::from(error.why() == Stop::Budget);
            }
        });
    }
    everybody.await;
    seconds.take()
}

fn retry() -> Retry {
    Retry::exponential(100 * MS).attempts(5)
}

#[tokio::test(start_paused = true)]
async fn a_budget_keeps_an_outage_from_being_multiplied() {
    let without = day(retry().without_budget()).await;
    let with = day(retry().budget(&RetryBudget::new(0.2).at_least(5).saving(50))).await;

    let mut table = String::from(
        "100 requests a second, up to 5 attempts each; the dependency is down from 4 to 14 s\n\n\
         second | calls, no budget | calls, budget | failed, no budget | failed, budget | by it\n",
    );
    for (second, (without, with)) in without.iter().zip(&with).enumerate() {
        let load = |calls: u32| f64::from(calls) / f64::from(DEMAND);
        writeln!(
            table,
            "{second:6} | {:5} {:8.2} × | {:5} {:5.2} × | {:17} | {:14} | {:5}",
            without.calls,
            load(without.calls),
            with.calls,
            load(with.calls),
            without.failed,
            with.failed,
            with.budget_spent,
        )
        .unwrap();
    }
    insta::assert_snapshot!(table);

    for second in DOWN.skip(2) {
        assert!(with[second].calls <= DEMAND + 6, "second {second}: {} calls", with[second].calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_failure_of_a_few_is_mended_within_the_budget() {
    let with = day(retry().budget(&RetryBudget::new(0.2).at_least(5).saving(50))).await;
    // One call in ten fails in this second; nobody notices.
    assert_eq!(with[DOWN.start - 1].failed, 0);
}

/// What a request that gave up at once says, for whoever reads the logs.
#[tokio::test(start_paused = true)]
async fn who_is_stopped_by_the_budget_has_the_dependency_s_own_error() {
    let retry = retry().budget(&RetryBudget::new(0.2)).retry_if(|_: &&str| true);
    let error: RetryError<_> = retry.run(|| async { Err::<(), _>("down") }).await.unwrap_err();
    assert_eq!(error.to_string(), "gave up after 1 attempt: the retry budget is spent");
    assert_eq!(error.into_inner(), "down");
}
