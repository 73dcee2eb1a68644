//! The byte budget, through its public API.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use plimsoll_backpressure::{ByteBudget, ByteTicket};
use plimsoll_core::{Gate, GateExt, Load, Outcome, Reason, Weigh, testing::Conformance};
use proptest::prelude::*;
use std::sync::Arc;

#[test]
fn a_byte_budget_conforms() {
    for limit in [0, 1, 10] {
        Conformance::new("byte budget", |_| ByteBudget::new(limit)).capacity(limit).holds().check();
    }
    Conformance::new("byte budget", |_| ByteBudget::new(3 << 40).weighted(|&n: &u64| n))
        .capacity(3)
        .holds()
        .check_for(&(1 << 40));
}

#[test]
fn a_part_of_a_byte_budget_conforms_where_either_is_the_smaller() {
    for (whole, part) in [(5, 9), (9, 5)] {
        Conformance::new("byte budget", |_| Arc::new(ByteBudget::new(whole)).part(part))
            .capacity(5)
            .holds()
            .check();
    }
}

#[test]
fn no_sum_of_weights_wraps() {
    let budget = ByteBudget::new(u64::MAX);
    let most = budget.try_enter_n(u64::MAX - 1).unwrap();
    for n in [2, u64::MAX] {
        assert_eq!(budget.try_enter_n(n).unwrap_err().reason(), Reason::Concurrency);
    }
    assert_eq!(budget.load(), usize::MAX - 1);
    budget.leave(most, Outcome::Success);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn one_part_cannot_use_up_what_is_there_for_another() {
    let memory = Arc::new(ByteBudget::new(100));
    let (uploads, answers) = (memory.part(70), memory.part(50));
    let _upload = uploads.try_enter_n(70).unwrap();
    assert!(uploads.try_enter_n(1).is_err(), "its own share is used up");
    let _answer = answers.try_enter_n(30).unwrap();
    assert!(answers.try_enter_n(1).is_err(), "the whole is used up");
    assert_eq!((answers.in_use(), memory.in_use()), (30, 100));
}

/// However deep: what a part of a part admits counts in all of them.
#[test]
fn a_part_may_be_divided_again() {
    let memory = Arc::new(ByteBudget::new(100));
    let uploads = Arc::new(memory.part(70));
    let pictures = uploads.part(60);
    let _others = memory.try_enter_n(50).unwrap();
    assert!(pictures.try_enter_n(51).is_err());
    assert_eq!((pictures.in_use(), uploads.in_use(), memory.in_use()), (0, 0, 50));
    let picture = pictures.try_enter_n(50).unwrap();
    assert_eq!((pictures.in_use(), uploads.in_use(), memory.in_use()), (50, 50, 100));
    assert!(pictures.try_enter_n(0).is_ok(), "a weight of 0 always passes");
    pictures.leave(picture, Outcome::Success);
    assert_eq!((pictures.in_use(), uploads.in_use(), memory.in_use()), (0, 0, 50));
}

#[test]
fn a_smaller_budget_takes_nothing_away_and_admits_nothing_until_it_fits() {
    let budget = ByteBudget::new(100);
    let held = [budget.try_enter_n(50).unwrap(), budget.try_enter_n(50).unwrap()];
    budget.resize(60);
    assert_eq!((budget.load(), budget.capacity()), (100, Some(60)));
    let [first, _second] = held;
    budget.leave(first, Outcome::Failure);
    assert!(budget.try_enter_n(11).is_err());
    assert!(budget.try_enter_n(10).is_ok());
}

proptest! {
    #[test]
    fn never_more_than_the_limit_and_nothing_is_lost(
        steps in prop::collection::vec((any::<bool>(), 0_u64..60, 0_usize..2), 0..100),
    ) {
        let whole = Arc::new(ByteBudget::new(100));
        let parts = [whole.part(80), whole.part(40)];
        let limits = [80, 40];
        let mut held: Vec<(usize, u64, ByteTicket)> = Vec::new();
        for (enters, n, part) in steps {
            let sum = |of: Option<usize>| -> u64 {
                held.iter().filter(|held| of.is_none_or(|of| of == held.0)).map(|held| held.1).sum()
            };
            if enters {
                let fits = sum(Some(part)) + n <= limits[part] && sum(None) + n <= 100;
                let ticket = parts[part].try_enter_n(n);
                prop_assert_eq!(ticket.is_ok(), fits || n == 0);
                held.extend(ticket.map(|ticket| (part, n, ticket)));
            } else if !held.is_empty() {
                let (part, _, ticket) = held.swap_remove(part % held.len());
                parts[part].leave(ticket, Outcome::Ignored);
            }
            let sum = |of: usize| held.iter().filter(|h| h.0 == of).map(|h| h.1).sum::<u64>();
            prop_assert_eq!([parts[0].in_use(), parts[1].in_use()], [sum(0), sum(1)]);
            prop_assert_eq!(whole.in_use(), sum(0) + sum(1));
        }
    }
}
