//! What a gate for each key promises.

mod support;

use plimsoll_core::{
    Admit, Gate, GateExt, ManualClock, Outcome, Quota, Reason, Rejected, testing::Places,
};
use plimsoll_keyed::KeyedGates;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier, Weak,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
};
use support::{Alone, Request, from};

fn tenant(request: &Request) -> Arc<str> {
    request.tenant.as_str().into()
}

#[test]
fn each_key_has_a_gate_with_settings_of_its_own() {
    let gates = KeyedGates::new(|r: &Request| r.client, |client| Places::new(*client));
    for client in [0, 1, 5] {
        let held: Vec<_> = (0..10).map_while(|_| gates.try_admit_for(&from(client)).ok()).collect();
        assert_eq!(held.len() as u64, client);
    }
    assert_eq!(gates.len(), 3);
}

#[test]
fn a_gate_is_made_once_however_many_threads_see_its_key_first() {
    for _ in 0..100 {
        let made = AtomicUsize::new(0);
        let gates = KeyedGates::new(tenant, |_| {
            made.fetch_add(1, SeqCst);
            Places::new(1)
        });
        let start = Barrier::new(4);
        let admitted: usize = thread::scope(|scope| {
            let enter = || {
                start.wait();
                gates.try_admit_for(&from(1)).map(std::mem::forget).is_ok()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(enter)).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().expect("no panic"))).sum()
        });
        assert_eq!((made.load(SeqCst), admitted, gates.len()), (1, 1, 1));
    }
}

#[test]
fn beyond_the_bound_new_keys_are_refused_and_known_ones_are_not() {
    let gates = KeyedGates::new(tenant, |_| Places::new(10)).max_keys(2);
    assert!(gates.try_admit_for(&from(1)).is_ok());
    assert!(gates.try_admit_for(&from(2)).is_ok());
    for client in 3..100 {
        let refusal = gates.try_admit_for(&from(client)).expect_err("there is no room");
        assert_eq!(refusal.to_string(), "keyed gates: overloaded");
        assert_eq!(refusal.reason(), Reason::Overload);
    }
    assert!(gates.try_admit_for(&from(1)).is_ok());
    assert!(gates.remove("tenant 2").is_some());
    assert!(gates.try_admit_for(&from(3)).is_ok());
    assert!(gates.try_admit_for(&from(2)).is_err());
    assert_eq!(gates.len(), 2);
}

#[test]
fn the_bound_holds_when_threads_bring_new_keys_together() {
    let gates = KeyedGates::new(|r: &Request| r.client, |_| Places::new(1)).max_keys(50);
    thread::scope(|scope| {
        for thread in 0..4 {
            let gates = &gates;
            scope.spawn(move || {
                (0..100).for_each(|n| drop(gates.try_admit_for(&from(n * 4 + thread))));
            });
        }
    });
    assert_eq!(gates.len(), 50);
    let known = (0..400).filter(|client| gates.get(client).is_some());
    assert_eq!(known.count(), 50);
}

#[test]
fn work_under_way_outlives_the_removal_of_its_key() {
    let gates = KeyedGates::new(tenant, |_| Places::new(1));
    let request = from(1);
    let permit = gates.try_admit_for(&request).expect("it is empty");
    let removed = gates.remove("tenant 1").expect("it was there");
    assert_eq!((removed.used(), gates.is_empty()), (1, true));
    assert!(gates.try_admit_for(&request).is_ok(), "the key begins anew");
    drop(permit);
    assert_eq!(removed.used(), 0);
    assert!(gates.get("tenant 2").is_none());
}

type Make = Box<dyn Fn(&u64) -> Places + Send + Sync>;
type Nested = KeyedGates<u64, Places, fn(&Request) -> u64, Make>;

/// Admits everything; its tickets know whether their work has begun.
struct Begins;

impl Gate for Begins {
    type Ticket = bool;
    fn begin(&self, begun: &mut bool) {
        *begun = true;
    }
    fn leave(&self, begun: bool, _: Outcome) {
        assert!(begun, "nobody has said so");
    }
}

impl<C: ?Sized> Admit<C> for Begins {
    fn try_enter(&self, _: &C) -> Result<bool, Rejected> {
        Ok(false)
    }
}

#[test]
fn the_gate_of_a_key_hears_when_its_work_begins() {
    let gates = KeyedGates::new(tenant, |_| Begins);
    let mut ticket = gates.try_enter(&from(1)).expect("it admits everything");
    gates.begin(&mut ticket);
    gates.leave(ticket, Outcome::Success);
}

#[test]
fn making_a_gate_may_ask_the_table_about_another_key() {
    let gates = Arc::new_cyclic(|gates: &Weak<Nested>| {
        let gates = gates.clone();
        let make = move |client: &u64| {
            let below = client.checked_sub(1).map(from);
            let gates = gates.upgrade().expect("the test holds it");
            assert!(below.is_none_or(|below| gates.try_admit_for(&below).is_ok()));
            Places::new(1)
        };
        KeyedGates::new((|r| r.client) as fn(&Request) -> u64, Box::new(make) as Make)
    });
    assert!(gates.try_admit_for(&from(100)).is_ok());
    assert_eq!(gates.len(), 101);
}

#[test]
fn a_gate_whose_making_panicked_is_made_by_the_next() {
    let tries = AtomicUsize::new(0);
    let gates = KeyedGates::new(tenant, |_| {
        assert!(tries.fetch_add(1, SeqCst) > 0, "the first time it fails");
        Places::new(1)
    });
    let first = catch_unwind(AssertUnwindSafe(|| gates.try_admit_for(&from(1)).is_ok()));
    assert!(first.is_err());
    assert!(gates.get("tenant 1").is_none());
    assert!(gates.try_admit_for(&from(1)).is_ok());
}

#[test]
fn nothing_is_kept_for_a_quota_that_was_only_read() {
    let clock = ManualClock::new();
    let gates = KeyedGates::new(tenant, move |_| Alone::new(7, &clock));
    assert_eq!(gates.quota(&from(1)).remaining, 7);
    assert!(gates.is_empty());
    drop(gates.try_admit_for(&from(1)));
    assert_eq!(gates.quota(&from(1)).remaining, 6);
}
