//! The concurrency limit is held to what every gate promises.

use super::MILLI;
use plimsoll_backpressure::{ConcurrencyLimit, Fifo};
use plimsoll_core::{Deadline, GateExt, ManualClock, Priority, Tick, testing::Conformance};
use std::time::Duration;

const NAME: &str = "concurrency limit";

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_conforms() {
    for limit in [1, 2, 10] {
        Conformance::new(NAME, |clock| ConcurrencyLimit::new(limit).clock(clock))
            .capacity(limit.into())
            .holds()
            .waits()
            .check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_with_a_patience_conforms() {
    Conformance::new(NAME, |clock| ConcurrencyLimit::new(3).wait_at_most(MILLI * 100).clock(clock))
        .capacity(3)
        .holds()
        .waits()
        .check();
}

#[test]
fn a_concurrency_limit_of_none_conforms() {
    Conformance::new(NAME, |clock| ConcurrencyLimit::new(0).clock(clock))
        .capacity(0)
        .holds()
        .check();
}

#[test]
fn a_concurrency_limit_that_lets_nobody_wait_conforms() {
    Conformance::new(NAME, |clock| ConcurrencyLimit::new(3).queue(0).clock(clock))
        .capacity(3)
        .holds()
        .check();
    Conformance::new(NAME, |clock| {
        ConcurrencyLimit::new(3).wait_at_most(Duration::ZERO).clock(clock)
    })
    .capacity(3)
    .holds()
    .check();
}

#[tokio::test(start_paused = true)]
async fn a_weighted_concurrency_limit_conforms() {
    Conformance::new(NAME, |clock| ConcurrencyLimit::new(9).clock(clock).weighted(|&n: &u64| n))
        .capacity(3)
        .holds()
        .waits()
        .check_for(&3);
}

#[tokio::test(start_paused = true)]
async fn every_discipline_conforms() {
    Conformance::new(NAME, |clock| ConcurrencyLimit::new(3).lifo(MILLI * 100).clock(clock))
        .capacity(3)
        .holds()
        .waits()
        .check();
    Conformance::new(NAME, |clock| {
        ConcurrencyLimit::new(3).codel(MILLI * 5, MILLI * 100).clock(clock)
    })
    .capacity(3)
    .holds()
    .waits()
    .check();
    Conformance::new(NAME, |clock| ConcurrencyLimit::new(3).by_priority().clock(clock))
        .capacity(3)
        .holds()
        .waits()
        .check_for(&Priority::NORMAL);
    Conformance::new(NAME, |clock| ConcurrencyLimit::new(3).by_deadline().clock(clock))
        .capacity(3)
        .holds()
        .waits()
        .check_for(&Deadline::at(Tick::MAX));
}

#[tokio::test(start_paused = true)]
async fn every_discipline_conforms_with_weights() {
    fn nine(clock: ManualClock) -> ConcurrencyLimit<Fifo, ManualClock> {
        ConcurrencyLimit::new(9).clock(clock)
    }
    let weight = |&n: &u64| n;
    Conformance::new(NAME, move |clock| nine(clock).lifo(MILLI).weighted(weight))
        .capacity(3)
        .holds()
        .waits()
        .check_for(&3);
    Conformance::new(NAME, move |clock| nine(clock).codel(MILLI, MILLI * 100).weighted(weight))
        .capacity(3)
        .holds()
        .waits()
        .check_for(&3);
    Conformance::new(NAME, |clock| nine(clock).by_priority())
        .capacity(3)
        .holds()
        .waits()
        .check_for(&(Priority::NORMAL, 3));
    Conformance::new(NAME, |clock| nine(clock).by_deadline())
        .capacity(3)
        .holds()
        .waits()
        .check_for(&(Deadline::at(Tick::MAX), 3));
}
