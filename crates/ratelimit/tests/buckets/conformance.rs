use super::{MILLI, SECOND};
use plimsoll_core::{GateExt, ManualClock, Outcome, PerKey, Rejected, testing::Conformance};
use plimsoll_ratelimit::{BucketState, BucketTicket, LeakyBucket, TokenBucket};
use std::time::Duration;

fn bucket(n: u32, burst: u32, clock: ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::per_second(n).burst(burst).clock(clock)
}

/// Waiters sleep on the runtime's timer.
#[tokio::test(start_paused = true)]
async fn a_token_bucket_conforms() {
    for burst in [1, 2, 10] {
        Conformance::new("token bucket", |clock| bucket(100, burst, clock))
            .capacity(burst.into())
            .refills_every(MILLI * 10)
            .waits()
            .check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_bucket_of_a_fast_and_of_a_slow_rate_conforms() {
    Conformance::new("token bucket", |clock| bucket(1_000_000_000, 3, clock))
        .capacity(3)
        .refills_every(Duration::from_nanos(1))
        .waits()
        .check();
    Conformance::new("token bucket", |clock| TokenBucket::per_day(1).burst(2).clock(clock))
        .capacity(2)
        .refills_every(SECOND * 86_400)
        .waits()
        .check();
}

#[test]
fn a_token_bucket_without_burst_or_rate_conforms() {
    Conformance::new("token bucket", |clock| bucket(100, 0, clock)).capacity(0).check();
    Conformance::new("token bucket", |clock| bucket(0, 5, clock)).capacity(5).check();
}

#[test]
fn a_token_bucket_that_lets_nobody_wait_conforms() {
    Conformance::new("token bucket", |clock| bucket(100, 3, clock).queue(0))
        .capacity(3)
        .refills_every(MILLI * 10)
        .check();
}

#[tokio::test(start_paused = true)]
async fn a_weighted_token_bucket_conforms() {
    Conformance::new("token bucket", |clock| bucket(100, 9, clock).weighted(|&n: &u64| n))
        .capacity(3)
        .refills_every(MILLI * 30)
        .waits()
        .check_for(&3);
}

#[tokio::test(start_paused = true)]
async fn limits_of_client_tenant_and_service_in_a_tuple_conform() {
    let client = |clock| bucket(100, 2, clock).named("client");
    Conformance::new("client", move |clock: ManualClock| {
        (client(clock.clone()), bucket(200, 50, clock.clone()), bucket(1_000, 100, clock))
    })
    .capacity(2)
    .refills_every(MILLI * 10)
    .waits()
    .check();
}

#[tokio::test(start_paused = true)]
async fn a_leaky_bucket_conforms() {
    Conformance::new("leaky bucket", |clock| LeakyBucket::per_second(100).clock(clock))
        .capacity(1)
        .refills_every(MILLI * 10)
        .waits()
        .check();
}

#[tokio::test(start_paused = true)]
async fn a_leased_token_bucket_conforms_with_its_overshoot() {
    for lease in [1, 4, 64] {
        Conformance::new("token bucket", |clock| bucket(100, 10, clock).leased(lease))
            .capacity(10)
            .overshoot(4 * u64::from(lease))
            .refills_every(MILLI * 10)
            .waits()
            .check();
    }
}

/// One key's state of a bucket shared by many, as a gate of its own.
struct OneKey(TokenBucket<ManualClock>, [BucketState; 3]);

impl plimsoll_core::Gate for OneKey {
    type Ticket = BucketTicket;

    fn leave(&self, ticket: BucketTicket, outcome: Outcome) {
        self.0.leave_in(&self.1[1], ticket, outcome);
    }
}

impl<C: ?Sized> plimsoll_core::Admit<C> for OneKey {
    fn try_enter(&self, _: &C) -> Result<BucketTicket, Rejected> {
        let now = self.0.now();
        // What the others do is nothing to this one.
        for state in [&self.1[0], &self.1[2]] {
            let _ = self.0.try_enter_in(state, now);
        }
        self.0.try_enter_in(&self.1[1], now)
    }

    async fn enter<'a>(&'a self, _: &'a C) -> Result<BucketTicket, Rejected>
    where
        C: Sync,
    {
        self.0.enter_in(&self.1[1]).await
    }
}

#[tokio::test(start_paused = true)]
async fn one_key_of_a_token_bucket_conforms_whatever_the_others_do() {
    Conformance::new("token bucket", |clock| {
        let bucket = bucket(100, 3, clock);
        let states = [(); 3].map(|()| bucket.fresh());
        OneKey(bucket, states)
    })
    .capacity(3)
    .refills_every(MILLI * 10)
    .waits()
    .check();
}

#[test]
fn a_state_is_fresh_exactly_when_it_is_full() {
    use plimsoll_core::{Clock, Tick};
    let clock = ManualClock::new();
    let bucket = bucket(100, 3, clock.clone());
    let state = bucket.fresh();
    assert!(bucket.is_fresh(&state, clock.now()));
    assert!(bucket.is_fresh(&state, Tick::ZERO), "at the beginning of time");
    bucket.try_enter_in(&state, clock.now()).unwrap();
    assert!(!bucket.is_fresh(&state, clock.now()));
    clock.advance(MILLI * 10 - Duration::from_nanos(1));
    assert!(!bucket.is_fresh(&state, clock.now()));
    clock.advance(Duration::from_nanos(1));
    assert!(bucket.is_fresh(&state, clock.now()));
}
