use super::{MILLI, SECOND};
use plimsoll_core::{Admit, Clock, Gate, GateExt, ManualClock, Outcome, TokioClock, Weigh};
use plimsoll_ratelimit::{Leased, TokenBucket};
use std::{sync::Barrier, thread};

fn leased(burst: u32, lease: u32) -> (Leased<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (TokenBucket::per_second(10).burst(burst).clock(clock.clone()).leased(lease), clock)
}

fn drain<K: Clock + 'static>(limiter: &Leased<K>) -> u32 {
    (0..1_000_000).take_while(|_| limiter.try_acquire().is_ok()).map(|_| 1).sum()
}

/// A scope alone does not wait for what a thread does as it ends; joining does.
fn on_a_thread_that_ends(work: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(work).join()).unwrap();
}

#[test]
fn a_thread_takes_its_lease_at_once_and_spends_it() {
    let (limiter, _) = leased(100, 10);
    limiter.try_acquire().unwrap();
    assert_eq!(limiter.bucket().available(), 90);
    for _ in 0..9 {
        limiter.try_acquire().unwrap();
    }
    assert_eq!(limiter.bucket().available(), 90);
    assert_eq!(drain(&limiter), 90);
}

#[test]
fn the_last_lease_is_what_is_left() {
    let (limiter, _) = leased(7, 5);
    assert_eq!(drain(&limiter), 7);
    let refusal = limiter.try_acquire().unwrap_err();
    assert_eq!((refusal.gate(), refusal.retry_after()), ("token bucket", Some(MILLI * 100)));
}

#[test]
fn what_a_thread_has_left_goes_back_when_it_ends() {
    let (limiter, _) = leased(100, 64);
    on_a_thread_that_ends(|| limiter.try_acquire().unwrap());
    assert_eq!(limiter.bucket().available(), 99);
}

#[test]
fn what_a_thread_has_left_does_not_go_back_into_a_full_bucket() {
    let (limiter, clock) = leased(10, 8);
    on_a_thread_that_ends(|| {
        limiter.try_acquire().unwrap();
        clock.advance(SECOND * 10);
        limiter.bucket().try_acquire_many(10).unwrap();
    });
    assert_eq!(limiter.bucket().available(), 0);
}

#[test]
fn a_thread_that_draws_from_many_buckets_gives_back_what_it_has_no_room_for() {
    let limiters: Vec<_> = (0..100).map(|_| leased(100, 10).0).collect();
    for limiter in &limiters {
        limiter.try_acquire().unwrap();
    }
    let whole = limiters.iter().filter(|limiter| limiter.bucket().available() == 99).count();
    assert!(whole >= 92, "eight purses at most are open, {whole} of 100 are closed");
    for limiter in &limiters {
        assert_eq!(drain(limiter), 99);
    }
}

#[test]
fn a_bucket_at_the_address_of_an_earlier_one_does_not_get_its_tokens() {
    for _ in 0..1_000 {
        let (limiter, _) = leased(2, 2);
        limiter.try_acquire().unwrap();
        let (empty, _) = leased(0, 2);
        assert!(empty.try_acquire().is_err());
    }
}

#[test]
fn threads_together_get_what_is_there_and_hold_no_more_than_their_leases() {
    const THREADS: u32 = 4;
    const LEASE: u32 = 16;
    let (limiter, clock) = leased(1_000, LEASE);
    let (leased, spent) = (Barrier::new(5), Barrier::new(5));
    let late = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    limiter.try_acquire().unwrap();
                    leased.wait();
                    spent.wait();
                    drain(&limiter)
                })
            })
            .collect();
        leased.wait();
        clock.advance(SECOND * 1_000);
        let others = drain(&limiter);
        assert_eq!(others, 1_000);
        spent.wait();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
    });
    assert_eq!(late, THREADS * (LEASE - 1), "the overshoot is what was held");
}

#[test]
fn a_cancelled_permit_goes_back_to_where_it_came_from() {
    let (limiter, clock) = leased(10, 5);
    limiter.try_admit().unwrap().cancel();
    assert_eq!(limiter.bucket().available(), 5);
    let held = limiter.try_enter(&()).unwrap();
    assert_eq!(drain(&limiter), 9);
    on_a_thread_that_ends(|| limiter.leave(held, Outcome::Unused));
    assert_eq!(limiter.bucket().available(), 1, "another thread has no purse for it");

    clock.advance(SECOND * 10);
    let old = limiter.try_enter_n(5).unwrap();
    clock.advance(SECOND);
    assert_eq!(drain(&limiter), 10);
    limiter.leave(old, Outcome::Unused);
    assert_eq!(drain(&limiter), 0, "it would have run over");
}

#[test]
fn a_cancelled_permit_of_more_than_a_lease_does_not_stay_with_the_thread() {
    let (limiter, clock) = leased(100, 1);
    limiter.leave(limiter.try_enter_n(90).unwrap(), Outcome::Unused);
    assert_eq!(limiter.bucket().available(), 100);
    clock.advance(SECOND * 100);
    assert_eq!(drain(&limiter), 100);
}

#[test]
fn weights_larger_than_the_lease_pass_up_to_the_burst() {
    let (limiter, _) = leased(100, 10);
    limiter.try_acquire_many(1).unwrap();
    limiter.try_acquire_many(60).unwrap();
    limiter.try_acquire_many(39).unwrap();
    limiter.try_acquire_many(0).unwrap();
    assert!(limiter.try_acquire().is_err());
    assert_eq!(limiter.try_acquire_many(101).unwrap_err().retry_after(), None);
    assert_eq!(limiter.try_enter_n(1 << 40).unwrap_err().retry_after(), None);
}

#[tokio::test(start_paused = true)]
async fn those_who_find_nothing_wait_in_the_line_of_the_bucket() {
    let limiter = TokenBucket::per_second(10).burst(5).clock(TokioClock).leased(3);
    assert_eq!(drain(&limiter), 5);
    let start = tokio::time::Instant::now();
    limiter.acquire().await.unwrap();
    limiter.acquire_many(2).await.unwrap();
    assert_eq!(start.elapsed(), MILLI * 300);
}
