//! The suite that every gate passes, against the tables of this crate.

mod support;

use plimsoll_core::{ManualClock, testing::Conformance};
use plimsoll_keyed::{KeyedGates, PerKeyExt};
use plimsoll_ratelimit::TokenBucket;
use support::{Alone, Bucket, Desks, MS, Request, from};

#[test]
fn a_keyed_rate_limit_conforms() {
    let make = |clock: ManualClock| Bucket::new(5, &clock).keyed(|r: &Request| r.client);
    let suite = Conformance::new("bucket", make).capacity(5).refills_every(MS);
    suite.check_for(&from(1));
    let make = |clock: ManualClock| Bucket::new(5, &clock).keyed_ref(|r: &Request| &*r.tenant);
    let suite = Conformance::new("bucket", make).capacity(5).refills_every(MS);
    suite.check_for(&from(1));
}

#[test]
fn a_keyed_rate_limit_of_nothing_conforms() {
    let make = |clock: ManualClock| Bucket::new(0, &clock).keyed(|r: &Request| r.client);
    Conformance::new("bucket", make).capacity(0).check_for(&from(1));
}

#[test]
fn a_keyed_limit_that_waits_conforms() {
    let make = |clock| Desks { limit: 3, clock }.keyed(|r: &Request| r.client).max_keys(100);
    Conformance::new("places", make).capacity(3).holds().waits().check_for(&from(1));
}

#[test]
fn the_overflow_state_conforms() {
    let make =
        |clock: ManualClock| Bucket::new(5, &clock).keyed(|r: &Request| r.client).max_keys(0);
    Conformance::new("bucket", make).capacity(5).refills_every(MS).check_for(&from(1));
    let make = |clock| Desks { limit: 3, clock }.keyed(|r: &Request| r.client).max_keys(0);
    Conformance::new("places", make).capacity(3).holds().waits().check_for(&from(1));
}

#[tokio::test(start_paused = true)]
async fn a_keyed_token_bucket_conforms() {
    let make = |clock: ManualClock| {
        let bucket = TokenBucket::per_second(1_000).burst(5).clock(clock);
        bucket.keyed(|r: &Request| r.client).max_keys(100)
    };
    let suite = Conformance::new("token bucket", make).capacity(5).refills_every(MS).waits();
    suite.check_for(&from(1));
}

#[test]
fn gates_by_key_conform() {
    let make = |clock: ManualClock| {
        KeyedGates::new(|r: &Request| r.client, move |_| Alone::new(5, &clock))
    };
    Conformance::new("bucket", make).capacity(5).refills_every(MS).check_for(&from(1));
    let make = |_clock| {
        let places = |_: &_| plimsoll_core::testing::Places::new(3).waiting();
        KeyedGates::new(|r: &Request| r.client, places)
    };
    Conformance::new("places", make).capacity(3).holds().waits().check_for(&from(1));
}
