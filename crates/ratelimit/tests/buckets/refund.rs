use super::{MILLI, SECOND, bucket, drain};
use plimsoll_core::{Admit, Gate, GateExt, ManualClock, Outcome, Weigh};
use plimsoll_ratelimit::TokenBucket;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn a_cancelled_permit_gives_its_tokens_back() {
    let (bucket, _) = bucket(10, SECOND, 5);
    bucket.try_admit().unwrap().cancel();
    bucket.leave(bucket.try_enter_n(3).unwrap(), Outcome::Unused);
    assert_eq!(drain(&bucket), 5);
}

#[test]
fn only_unused_gives_back() {
    let (bucket, _) = bucket(10, SECOND, 3);
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
        bucket.try_admit().unwrap().finish(outcome);
    }
    assert_eq!(drain(&bucket), 0);
}

#[test]
fn tokens_that_would_have_run_over_do_not_come_back() {
    let (bucket, clock) = bucket(10, SECOND, 10);
    let ticket = bucket.try_enter_n(5).unwrap();
    clock.advance(SECOND); // full again: the five would have run over
    bucket.try_acquire_many(10).unwrap();
    bucket.leave(ticket, Outcome::Unused);
    assert_eq!(drain(&bucket), 0, "fifteen at one instant from a burst of ten");
}

#[test]
fn what_is_given_back_in_part_is_what_still_fits() {
    let (bucket, clock) = bucket(10, SECOND, 10);
    let ticket = bucket.try_enter_n(5).unwrap();
    clock.advance(MILLI * 200); // two came in and would have run over
    bucket.leave(ticket, Outcome::Unused);
    assert_eq!(bucket.available(), 10);
}

#[test]
fn a_ticket_of_an_earlier_setting_is_worth_nothing() {
    let (bucket, _) = bucket(10, SECOND, 10);
    let ticket = bucket.try_enter_n(5).unwrap();
    bucket.set_rate(1, SECOND).unwrap();
    bucket.leave(ticket, Outcome::Unused);
    assert_eq!(bucket.available(), 5);
}

#[test]
fn a_refusal_of_the_whole_service_takes_no_token_of_the_client() {
    let clock = ManualClock::new();
    let client = TokenBucket::per_second(10).burst(3).clock(clock.clone());
    let service = TokenBucket::per_second(10).burst(1).clock(clock);
    let both = (&client, &service);
    both.try_admit().unwrap().finish(Outcome::Success);
    for _ in 0..100 {
        assert!(both.try_admit().is_err());
    }
    assert_eq!((client.available(), service.available()), (2, 0));
}

proptest! {
    /// However permits are taken, held, used and cancelled: in no stretch of
    /// time are more used than the burst, what came in meanwhile, and what was
    /// given back meanwhile and had been taken before.
    #[test]
    fn cancelling_gets_through_what_it_gives_back_and_no_more(
        steps in prop::collection::vec((0..400_u32, 1..6_u32, 0..3_usize, any::<prop::sample::Index>()), 1..80),
    ) {
        const BURST: u32 = 10;
        let clock = ManualClock::new();
        let bucket = TokenBucket::per_second(10).burst(BURST).clock(clock.clone());
        let mut now: u32 = 0;
        let mut held = Vec::new();
        let mut used: Vec<(u32, u32)> = Vec::new();
        let mut given_back: Vec<(u32, u32, u32)> = Vec::new();
        for (wait, n, what, which) in steps {
            now += wait;
            clock.advance(Duration::from_millis(wait.into()));
            match what {
                0 => if bucket.try_acquire_many(n).is_ok() {
                    used.push((now, n));
                },
                1 => if let Ok(ticket) = bucket.try_enter_n(n.into()) {
                    held.push((ticket, now, n));
                },
                _ => if !held.is_empty() {
                    let (ticket, taken, n) = held.remove(which.index(held.len()));
                    bucket.leave(ticket, Outcome::Unused);
                    given_back.push((taken, now, n));
                },
            }
        }
        for (first, &(from, _)) in used.iter().enumerate() {
            let mut sum = 0;
            for &(to, n) in &used[first..] {
                sum += n;
                let back: u32 = given_back
                    .iter()
                    .filter(|(taken, back, _)| *taken <= from && (from..=to).contains(back))
                    .map(|(_, _, n)| n)
                    .sum();
                let most = f64::from(BURST + back) + f64::from(to - from) / 100.0;
                prop_assert!(f64::from(sum) <= most, "{} within {} ms", sum, to - from);
            }
        }
    }
}

#[test]
fn the_ticket_knows_its_weight() {
    let (bucket, _) = bucket(10, SECOND, 10);
    let gate = bucket.weighted(|&n: &u64| n);
    let tickets: Vec<_> = [1, 4, 5].iter().map(|n| gate.try_enter(n).unwrap()).collect();
    for ticket in tickets {
        gate.leave(ticket, Outcome::Unused);
    }
    gate.try_enter(&10).unwrap();
    assert!(gate.try_enter(&(1 << 40)).unwrap_err().retry_after().is_none());
}
