//! The concurrency limit, through its public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod conformance;
mod disciplines;
mod http;
mod model;
mod overload;
mod waiting;

use plimsoll_backpressure::ConcurrencyLimit;
use plimsoll_core::{GateExt, Load, Outcome, Reason, Weigh};
use std::{sync::Arc, time::Duration};

const MILLI: Duration = Duration::from_millis(1);

#[test]
fn a_limit_beyond_what_can_be_counted_is_an_error_that_says_what_is_allowed() {
    let error = ConcurrencyLimit::try_new(u32::MAX).unwrap_err().to_string();
    assert_eq!(error, "limit must be at most 2147483647, but is 4294967295");
    let limit = ConcurrencyLimit::new(ConcurrencyLimit::MAX);
    assert!(limit.resize(ConcurrencyLimit::MAX + 1).is_err());
    assert_eq!(limit.limit(), ConcurrencyLimit::MAX);
}

#[test]
#[should_panic(expected = "limit must be at most 2147483647")]
fn a_limit_beyond_what_can_be_counted_panics_where_it_is_written() {
    let _ = ConcurrencyLimit::new(1 << 31);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_0_refuses_everything_at_once_even_when_idle() {
    let limit = ConcurrencyLimit::new(0);
    assert_eq!(limit.try_admit().unwrap_err().reason(), Reason::Closed);
    assert_eq!(limit.admit().await.unwrap_err().reason(), Reason::Closed);
    assert_eq!((limit.in_flight(), limit.waiting()), (0, 0));
    limit.resize(1).unwrap();
    assert!(limit.try_admit().is_ok(), "and can be opened");
}

#[test]
fn more_than_there_are_is_refused_without_waiting_and_a_weight_of_0_passes() {
    let limit = ConcurrencyLimit::new(3);
    for n in [4, u64::from(u32::MAX), u64::MAX] {
        assert_eq!(limit.try_enter_n(n).unwrap_err().reason(), Reason::Concurrency);
    }
    assert_eq!(limit.in_flight(), 0);
    let gate = limit.weighted(|&n: &u64| n);
    let _all = gate.try_admit_for(&3).unwrap();
    assert!(gate.try_admit_for(&0).is_ok());
    assert!(gate.try_admit_for(&1).is_err());
}

#[test]
fn a_load_above_its_capacity_is_told_as_it_is_and_wraps_nothing() {
    let limit = ConcurrencyLimit::new(5);
    let permits: Vec<_> = (0..5).map(|_| limit.try_admit().unwrap()).collect();
    limit.resize(2).unwrap();
    assert_eq!((limit.load(), limit.capacity()), (5, Some(2)));
    for (left, permit) in (0..5).rev().zip(permits) {
        assert!(limit.try_admit().is_err(), "{} of 2 are taken", left + 1);
        permit.finish(Outcome::Success);
        assert_eq!(limit.in_flight(), left);
        if left < 2 {
            break;
        }
    }
}

/// A permit is the only way to give a place back, so none can be given back that
/// was not taken.
#[test]
fn the_limit_never_grows_by_giving_back() {
    let limit = Arc::new(ConcurrencyLimit::new(2));
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored, Outcome::Unused] {
        let permit = limit.try_admit_owned().unwrap();
        permit.finish(outcome);
        assert_eq!((limit.in_flight(), limit.limit()), (0, 2));
    }
}

/// The caller picks what a permit covers: it moves to wherever the work ends.
#[tokio::test(start_paused = true)]
async fn a_permit_is_held_until_cancelled_work_has_settled_if_it_moves_with_it() {
    let limit = Arc::new(ConcurrencyLimit::new(1));
    let permit = limit.admit_owned().await.unwrap();
    let work = tokio::spawn(async move {
        tokio::time::sleep(MILLI * 50).await;
        permit.finish(Outcome::Success);
    });
    // The caller has gone; the work upstream has not.
    tokio::time::sleep(MILLI * 49).await;
    assert_eq!(limit.in_flight(), 1);
    work.await.unwrap();
    assert_eq!(limit.in_flight(), 0);
}
