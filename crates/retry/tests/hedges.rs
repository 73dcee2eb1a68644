//! Hedged calls.

mod support;

use plimsoll_core::{Clock, Reason, Rejected, TokioClock};
use plimsoll_retry::{Hedge, HedgeEvent, Refusals, RetryBudget};
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};
use support::{InFlight, MS, SECOND};
use tokio::time::{Instant, sleep, timeout};

fn hedge() -> Hedge<plimsoll_retry::EveryError, plimsoll_retry::Unobserved, TokioClock> {
    Hedge::after(50 * MS).without_budget().clock(TokioClock)
}

/// A call: how long it takes, and what then comes of it.
type Script = (u64, Result<u32, &'static str>);

/// Plays a script, call by call; who called when, and what is under way.
struct Calls {
    script: Vec<Script>,
    start: Instant,
    began: RefCell<Vec<u128>>,
    flying: InFlight,
}

impl Calls {
    fn of(script: &[Script]) -> Self {
        let (script, start) = (script.to_vec(), Instant::now());
        Self { script, start, began: RefCell::default(), flying: InFlight::default() }
    }

    async fn play(&self, number: u32) -> Result<u32, &'static str> {
        self.began.borrow_mut().push(self.start.elapsed().as_millis());
        let _guard = self.flying.enter();
        let (millis, result) = self.script[number as usize - 1];
        sleep(Duration::from_millis(millis)).await;
        result
    }

    fn began(&self) -> Vec<u128> {
        self.began.borrow().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_quick_call_is_made_once() {
    let calls = Calls::of(&[(49, Ok(1))]);
    assert_eq!(hedge().run_numbered(|n| calls.play(n)).await, Ok(1));
    assert_eq!(calls.began(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_gets_another_beside_it_and_the_first_answer_wins() {
    for (script, winner, took) in [
        ([(500, Ok(1)), (100, Ok(2))], 2, 150),
        ([(120, Ok(1)), (100, Ok(2))], 1, 120),
        ([(80, Err("down")), (100, Ok(2))], 2, 150),
    ] {
        let calls = Calls::of(&script);
        assert_eq!(hedge().run_numbered(|n| calls.play(n)).await, Ok(winner));
        assert_eq!(calls.began(), [0, 50]);
        assert_eq!(calls.start.elapsed().as_millis(), took);
    }
}

#[tokio::test(start_paused = true)]
async fn losers_are_dropped_before_the_answer_is_there() {
    let calls = Calls::of(&[(500, Ok(1)), (500, Ok(2)), (10, Ok(3))]);
    assert_eq!(hedge().at_most(3).run_numbered(|n| calls.play(n)).await, Ok(3));
    assert_eq!((calls.flying.peak.get(), calls.flying.now.get()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn never_are_more_made_than_allowed() {
    let calls = Calls::of(&[(400, Ok(1)); 4]);
    assert_eq!(hedge().at_most(4).run_numbered(|n| calls.play(n)).await, Ok(1));
    assert_eq!(calls.began(), [0, 50, 100, 150]);
    let calls = Calls::of(&[(400, Ok(1))]);
    assert_eq!(hedge().at_most(1).run_numbered(|n| calls.play(n)).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_delay_starts_the_next_at_once() {
    let calls = Calls::of(&[(10, Err("a")), (500, Ok(2)), (10, Ok(3))]);
    assert_eq!(hedge().at_most(3).run_numbered(|n| calls.play(n)).await, Ok(3));
    assert_eq!(calls.began(), [0, 10, 60], "and the delay begins anew");
}

#[tokio::test(start_paused = true)]
async fn when_all_fail_the_last_error_is_the_answer() {
    let calls = Calls::of(&[(70, Err("first, later")), (10, Err("second, earlier"))]);
    assert_eq!(hedge().run_numbered(|n| calls.play(n)).await, Err("first, later"));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_the_answer_and_ends_the_others() {
    let calls = Calls::of(&[(60, Err("not found")), (500, Ok(2))]);
    let hedge = hedge().stop_if(|error: &&str| *error == "not found");
    assert_eq!(hedge.run_numbered(|n| calls.play(n)).await, Err("not found"));
    assert_eq!((calls.began(), calls.flying.now.get()), (vec![0, 50], 0));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_is_refused_leaves_the_first_call_alone() {
    let busy = Rejected::new(Reason::Rate, "bucket").retry_in(SECOND);
    let call = |number| async move {
        if number > 1 {
            return Err(busy);
        }
        sleep(200 * MS).await;
        Ok(number)
    };
    let made = Cell::new(0);
    let counted = |number| {
        made.set(made.get() + 1);
        call(number)
    };
    let hedge = hedge().at_most(9).judge(Refusals::default());
    assert_eq!(hedge.run_numbered(counted).await, Ok(1));
    // At 50, 100 and 150 ms: nobody is asked again at once.
    assert!(made.get() <= 5, "{} calls", made.get());
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_starts_nothing_and_ends_nothing() {
    let budget = RetryBudget::new(0.0);
    let calls = Calls::of(&[(500, Ok(1))]);
    assert_eq!(hedge().budget(&budget).run_numbered(|n| calls.play(n)).await, Ok(1));
    let calls = Calls::of(&[(10, Err("down"))]);
    let answer = timeout(SECOND, hedge().budget(&budget).run_numbered(|n| calls.play(n))).await;
    assert_eq!(answer, Ok(Err("down")), "it hangs");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_was_spent_is_not_asked_again_at_each_poll() {
    let (budget, calls) = (RetryBudget::new(1.0), Cell::new(0));
    let call = || async {
        calls.set(calls.get() + 1);
        for _ in 0..5 {
            sleep(40 * MS).await;
            budget.deposit(); // others succeed meanwhile
        }
        Ok::<_, ()>(())
    };
    let hedge = Hedge::after(10 * MS).budget(&budget).clock(TokioClock);
    assert_eq!((hedge.run(call).await, calls.get()), (Ok(()), 1));
}

#[tokio::test(start_paused = true)]
async fn successes_earn_and_hedges_cost() {
    let budget = RetryBudget::new(1.0).saving(3);
    let hedge = hedge().budget(&budget);
    let quick = Calls::of(&[(1, Ok(1))]);
    let _ = hedge.run_numbered(|n| quick.play(n)).await;
    let _ = hedge.run_numbered(|n| quick.play(n)).await;
    assert_eq!(budget.available(TokioClock.now()), 2);
    let fails = Calls::of(&[(70, Err("a")), (30, Err("b"))]);
    let _ = hedge.run_numbered(|n| fails.play(n)).await;
    assert_eq!(budget.available(TokioClock.now()), 1);
}

#[tokio::test(start_paused = true)]
async fn observers_hear_of_each_call_of_those_unpaid_and_of_the_winner() {
    use HedgeEvent::{Made, Unpaid, Won};
    let heard = RefCell::new(Vec::new());
    let hear = |event| heard.borrow_mut().push(event);
    let never = std::future::pending::<Result<(), ()>>;
    let answered = |number| async move { if number < 3 { never().await } else { Ok(()) } };
    hedge().at_most(3).on_hedge(hear).run_numbered(answered).await.unwrap();
    assert_eq!(heard.take(), [Made(2), Made(3), Won(3)]);

    hedge().on_hedge(hear).run(|| async { Ok::<_, ()>(()) }).await.unwrap();
    assert_eq!(heard.take(), [Won(1)]);

    let spent = RetryBudget::new(0.0);
    let hedged = hedge().budget(&spent).on_hedge(hear).run(|| async { Err::<(), _>("down") }).await;
    assert_eq!((hedged, heard.take()), (Err("down"), vec![Unpaid]));
}

#[tokio::test(start_paused = true)]
async fn dropped_it_drops_all_calls() {
    let calls = Calls::of(&[(500, Ok(1)); 3]);
    let hedge = hedge().at_most(3);
    assert!(timeout(120 * MS, hedge.run_numbered(|n| calls.play(n))).await.is_err());
    assert_eq!((calls.flying.peak.get(), calls.flying.now.get()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn the_percentile_is_measured_before_anything_is_hedged() {
    let hedge = Hedge::percentile(0.9).without_budget().clock(TokioClock);
    let made = Cell::new(0_u64);
    // Nine in ten take 10 ms, one takes a second.
    let call = |_| {
        made.set(made.get() + 1);
        let slow = made.get() % 10 == 0;
        async move {
            sleep(if slow { SECOND } else { 10 * MS }).await;
            Ok::<_, ()>(())
        }
    };
    for _ in 0..100 {
        assert_eq!(hedge.delay(), None);
        assert!(hedge.run_numbered(call).await.is_ok());
    }
    assert_eq!(made.get(), 100, "it was hedged without a measure");

    let mut requests = 0;
    while requests < 2_000 {
        requests += 1;
        let start = Instant::now();
        assert!(hedge.run_numbered(call).await.is_ok());
        assert!(start.elapsed() < 2 * SECOND);
    }
    let hedges = made.get() - 100 - requests;
    assert!((100..500).contains(&hedges), "{hedges} hedges of {requests}");
}

#[tokio::test(start_paused = true)]
async fn the_delay_follows_latencies_that_rise_although_slow_calls_are_overtaken() {
    let hedge = Hedge::percentile(0.9).without_budget().clock(TokioClock);
    let all_take = async |millis: u64| {
        for _ in 0..400 {
            // The second answers at once, so that the first is never waited for.
            let call = |number| async move {
                sleep(Duration::from_millis(if number == 1 { millis } else { 0 })).await;
                Ok::<_, ()>(())
            };
            assert!(hedge.run_numbered(call).await.is_ok());
        }
        hedge.delay().unwrap()
    };
    let before = all_take(10).await;
    assert!((8 * MS..13 * MS).contains(&before), "{before:?}");
    let after = all_take(100).await;
    assert!((80 * MS..130 * MS).contains(&after), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_measured() {
    let hedge = Hedge::percentile(0.9).at_most(1).clock(TokioClock);
    for _ in 0..200 {
        let _ = hedge.run(|| async { Err::<(), _>("quickly") }).await;
    }
    assert_eq!(hedge.delay(), None);
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_no_shorter_than_was_asked_for() {
    let hedge = Hedge::percentile(0.9).no_sooner_than(20 * MS).clock(TokioClock);
    let hedge = hedge.no_sooner_than(5 * MS); // holds already
    for _ in 0..100 {
        let _ = hedge.run(|| async { Ok::<_, ()>(()) }).await;
    }
    assert_eq!(hedge.delay(), Some(20 * MS));
    assert_eq!(Hedge::after(5 * MS).no_sooner_than(20 * MS).delay(), Some(20 * MS));
}

#[test]
fn the_future_is_send() {
    fn is_send<T: Send>(_: T) {}
    is_send(hedge().run(|| async { Ok::<_, ()>(()) }));
}

#[tokio::test(start_paused = true)]
async fn a_retry_around_a_hedge_judges_the_calls_own_error() {
    let open = Rejected::new(Reason::Open, "breaker");
    let (hedge, retry) = (hedge(), support::plain());
    let error = retry.run(|| hedge.run(|| async { Err::<(), _>(open) })).await.unwrap_err();
    assert_eq!((error.attempts(), error.into_inner()), (1, open));
}

#[test]
fn bad_settings_are_told_with_the_rule() {
    for p in [0.0, 1.0, -0.5, 95.0, f64::NAN] {
        let error = Hedge::try_percentile(p).unwrap_err();
        assert_eq!((error.field(), error.allowed()), ("percentile", "over 0 and under 1"));
    }
    let error = Hedge::after(MS).try_at_most(0).unwrap_err();
    assert_eq!(error.to_string(), "at_most must be at least 1: the first is one, but is 0");
}

#[test]
#[should_panic(expected = "percentile must be over 0 and under 1, but is 95")]
fn a_percentage_written_for_a_share_panics_where_it_is_written() {
    let _ = Hedge::percentile(95.0);
}
