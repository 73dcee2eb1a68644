//! Loom models: `cargo xtask loom plimsoll-pipeline`. All are searched whole.

use crate::{
    family::Child,
    item::{Fate, Mark},
    reorder::{Reorder, Turn},
    stats::Ledger,
};
use loom::{future::block_on, model, thread};
use std::sync::{Arc, Mutex};

/// What went down the line, in a std lock: it is no part of the model.
type Passed = Arc<Mutex<Vec<u32>>>;

/// Brings the results of one chunk as a worker does, and passes on what it is
/// told to. Whether the order still holds.
fn bring(order: &Reorder<u32>, passed: &Passed, at: u64, items: u64, results: &[u32]) -> bool {
    let mut results = results.to_vec();
    match block_on(order.turn(at, items, &mut results)) {
        Turn::Left => return true,
        Turn::Broken => return false,
        Turn::Pass => {}
    }
    let mut items = items;
    loop {
        passed.lock().unwrap().extend(results.drain(..));
        match order.passed(items) {
            Some((more, following)) => (items, results) = (more, following),
            None => return true,
        }
    }
}

/// Three workers, and room for one result to wait: whoever comes early leaves
/// its result or waits, and everything is passed on in order, once. Turns red
/// when `passed` does not wake whose turn it is (a deadlock), when it does not look for what
/// was left (a deadlock or a loss), and when a result is left without a look at `next`.
#[test]
fn results_are_passed_on_in_order_and_nobody_waits_for_ever() {
    model(|| {
        let order = Arc::new(Reorder::new(1));
        let passed = Passed::default();
        let worker = |at: u64, results: &'static [u32]| {
            let (order, passed) = (Arc::clone(&order), Arc::clone(&passed));
            move || assert!(bring(&order, &passed, at, 1, results))
        };
        let one = thread::spawn(worker(1, &[10, 11]));
        let two = thread::spawn(worker(2, &[20]));
        worker(0, &[0])();
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!(*passed.lock().unwrap(), [0, 10, 11, 20]);
    });
}

/// A worker that hands over part of what comes of its item waits for its turn,
/// and is not overtaken before the item is done. Turns red when a part of no
/// items is left like a whole, and when it counts as one.
#[test]
fn a_part_of_an_item_keeps_its_turn() {
    model(|| {
        let order = Arc::new(Reorder::new(4));
        let passed = Passed::default();
        let (order2, passed2) = (Arc::clone(&order), Arc::clone(&passed));
        let second = thread::spawn(move || {
            assert!(bring(&order2, &passed2, 1, 0, &[10]));
            assert!(bring(&order2, &passed2, 1, 1, &[11]));
        });
        assert!(bring(&order, &passed, 0, 0, &[0]));
        assert!(bring(&order, &passed, 0, 1, &[1]));
        second.join().unwrap();
        assert_eq!(*passed.lock().unwrap(), [0, 1, 10, 11]);
    });
}

/// A worker that ends without its result lets everybody go who waits for it.
/// Turns red when `break_off` wakes nobody, and when `turn` does not look
/// whether the order is broken before it waits.
#[test]
fn a_broken_order_lets_everybody_go() {
    model(|| {
        let order = Arc::new(Reorder::new(0));
        let passed = Passed::default();
        let (order2, passed2) = (Arc::clone(&order), Arc::clone(&passed));
        let waits = thread::spawn(move || bring(&order2, &passed2, 1, 1, &[10]));
        order.break_off();
        assert!(!waits.join().unwrap());
        assert!(passed.lock().unwrap().is_empty());
    });
}

/// Tells how an item ended.
struct Heard(Arc<Mutex<Vec<Fate>>>);

impl Mark for Heard {
    fn end(self, fate: Fate, _: &mut crate::stats::Tally<'_>) {
        self.0.lock().unwrap().push(fate);
    }
}

/// Three children end at the same time, one of them by being dropped: the item
/// ends once, with the last, as the worst. Turns red when `leave` counts with
/// `Relaxed` (the last one misses another's word), and when a fate is told after the
/// child has counted itself out.
#[test]
fn a_family_ends_once_and_as_its_worst() {
    model(|| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ledger = Arc::new(Ledger::default());
        let first = Child::first(Heard(Arc::clone(&heard)), &ledger);
        let (second, third) = (first.sibling(), first.sibling());
        let (of_second, of_third) = (Arc::clone(&ledger), heard.clone());
        let a = thread::spawn(move || second.end(Fate::Skipped, &mut of_second.tally()));
        let b = thread::spawn(move || {
            drop(third);
            drop(of_third);
        });
        first.end(Fate::Written, &mut ledger.tally());
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!(*heard.lock().unwrap(), [Fate::Dropped]);
    });
}
