//! Loom models: `cargo xtask loom plimsoll-retry`. Searched whole, in all ways.

use crate::{RetryBudget, Withdrawal, quantile::Quantile, sync::search};
use loom::thread;
use plimsoll_core::Tick;
use std::time::Duration;

const NOW: Tick = Tick::from_nanos(3_600_000_000_000);

/// Runs `work` on a thread that shares the budget.
fn on<T: 'static>(
    budget: &RetryBudget,
    work: impl FnOnce(&RetryBudget) -> T + 'static,
) -> thread::JoinHandle<T> {
    let budget = budget.clone();
    thread::spawn(move || work(&budget))
}

fn withdraw(budget: &RetryBudget) -> Option<Withdrawal> {
    budget.withdraw(NOW)
}

/// A budget with nothing free and one earned.
fn one_earned() -> RetryBudget {
    let budget = RetryBudget::new(0.5).saving(2);
    budget.deposit();
    budget.deposit();
    budget
}

/// Two ask for the one that was earned. Turns red when `withdraw` loads, and
/// stores what is left.
#[test]
fn one_earned_retry_goes_to_one() {
    search(|| {
        let budget = one_earned();
        let (a, b) = (on(&budget, withdraw), on(&budget, withdraw));
        let granted = [a.join().unwrap(), b.join().unwrap()];
        assert_eq!(granted.iter().flatten().count(), 1);
        assert_eq!(budget.available(NOW), 0);
    });
}

/// One is taken while two successes earn another: no success is lost, and none
/// counts twice. Turns red when `deposit` or `withdraw` stores what it made of
/// what it read.
#[test]
fn what_is_earned_while_one_is_taken_is_not_lost() {
    search(|| {
        let budget = one_earned();
        let deposit = |budget: &RetryBudget| budget.deposit();
        let (a, b) = (on(&budget, deposit), on(&budget, deposit));
        let taken = withdraw(&budget);
        a.join().unwrap();
        b.join().unwrap();
        assert!(taken.is_some());
        assert_eq!(budget.available(NOW), 1);
    });
}

/// Two ask while a success earns one and one is free: what they get and what is
/// left is what there was. Turns red when `withdraw` takes a free one by a store,
/// and when it takes an earned one besides.
#[test]
fn what_is_granted_and_what_is_left_is_what_there_was() {
    search(|| {
        let budget = RetryBudget::new(1.0).at_least(1);
        let (a, b) = (on(&budget, withdraw), on(&budget, withdraw));
        budget.deposit();
        let granted = [a.join().unwrap(), b.join().unwrap()].iter().flatten().count();
        assert_eq!(granted as u64 + budget.available(NOW), 2);
        assert!(granted > 0, "one was free");
    });
}

/// A success and a refund meet at a full budget: it is full, and not more. Turns
/// red when `earn` adds without the bound.
#[test]
fn a_full_budget_does_not_run_over() {
    search(|| {
        let budget = RetryBudget::new(1.0).saving(1);
        budget.deposit();
        let unused = withdraw(&budget).unwrap();
        let earns = on(&budget, RetryBudget::deposit);
        budget.give_back(unused);
        earns.join().unwrap();
        assert_eq!(budget.available(NOW), 1);
    });
}

/// Two whose clocks are a second apart ask for the one a second that is free:
/// once the later one has it, the earlier one has not, whatever its clock says;
/// the other way round both have. Turns red when the new moment is stored, and
/// when it is counted from `now` alone.
#[test]
fn clocks_that_disagree_get_no_more_than_the_time_between_them_allows() {
    search(|| {
        let budget = RetryBudget::new(0.0).at_least(1);
        let second = Duration::from_secs(1);
        let early = on(&budget, withdraw);
        let late = on(&budget, move |budget| budget.withdraw(NOW + second));
        let granted = [early.join().unwrap(), late.join().unwrap()];
        assert!(granted[1].is_some(), "nobody took what is free then");
        assert_eq!(budget.available(NOW + second), 0);
        assert!(budget.withdraw(NOW + second).is_none());
    });
}

/// Two calls are measured at once: both move the percentile. Turns red when
/// `change` stores what it made of what it read.
#[test]
fn no_measurement_is_lost() {
    const MS: Duration = Duration::from_millis(1);
    search(|| {
        let quantile = loom::sync::Arc::new(Quantile::new(0.9).unwrap());
        quantile.record(MS);
        let slow = |quantile: &loom::sync::Arc<Quantile>| {
            let quantile = loom::sync::Arc::clone(quantile);
            thread::spawn(move || quantile.record_over(100 * MS))
        };
        let (a, b) = (slow(&quantile), slow(&quantile));
        a.join().unwrap();
        b.join().unwrap();

        let alone = Quantile::new(0.9).unwrap();
        alone.record(MS);
        alone.record_over(100 * MS);
        alone.record_over(100 * MS);
        assert_eq!(quantile.word(), alone.word());
    });
}
