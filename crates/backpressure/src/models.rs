//! Loom models: `cargo xtask loom plimsoll-backpressure`. Searched whole, in all ways
//! (see `modelled` in core), but where one says otherwise. The line of those who
//! wait has more of them where it is written, in `plimsoll-wait`.

use crate::{ByteBudget, ConcurrencyLimit, Discipline, Fifo, LimitTicket, sync::search};
use loom::{cell::UnsafeCell, future::block_on, sync::Arc, thread};
use plimsoll_core::{Admit, Deadline, Gate, ManualClock, Outcome, Priority, Tick, Weigh};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Runs `work` on a thread that shares `gate`.
fn on<G: 'static, T: 'static>(
    gate: &Arc<G>,
    work: impl FnOnce(&G) -> T + 'static,
) -> thread::JoinHandle<T> {
    let gate = Arc::clone(gate);
    thread::spawn(move || work(&gate))
}

/// Two ask for more than there is of one budget while it is resized: never is
/// more in use than the larger limit, and all comes back. Turns red when the sum
/// is stored instead of compared and swapped.
#[test]
fn no_byte_is_given_out_twice() {
    search(|| {
        let budget = Arc::new(ByteBudget::new(10));
        let ask = || {
            on(&budget, |budget| {
                let ticket = budget.try_enter_n(6).ok()?;
                assert!(budget.in_use() <= 10, "{} of 10", budget.in_use());
                budget.leave(ticket, Outcome::Success);
                Some(())
            })
        };
        let (a, b) = (ask(), ask());
        budget.resize(8);
        let admitted = [a.join().unwrap(), b.join().unwrap()];
        assert_ne!(admitted, [None, None], "an empty budget refused all");
        assert_eq!(budget.in_use(), 0);
    });
}

/// Two parts share a whole that has room for one: what a part took and the whole
/// refused comes back to it. Turns red when a refusal of the whole does not give
/// back the part's own.
#[test]
fn what_the_whole_refuses_is_not_in_use_in_the_part() {
    search(|| {
        let whole = std::sync::Arc::new(ByteBudget::new(10));
        let parts = [(); 2].map(|()| Arc::new(whole.part(8)));
        let ask = |part| on(part, |part: &ByteBudget| part.try_enter_n(6).ok());
        let (a, b) = (ask(&parts[0]), ask(&parts[1]));
        let held = [a.join().unwrap(), b.join().unwrap()];
        assert_eq!(held.iter().flatten().count(), 1);
        assert_eq!(whole.in_use(), 6);
        assert_eq!(parts[0].in_use() + parts[1].in_use(), 6);
    });
}

/// The whole has no room for a large request, but both it and the part have for a
/// small one, which asks at the same time: it is admitted. Turns red when the part
/// is asked before the whole was looked at.
#[test]
fn what_the_whole_has_no_room_for_takes_none_of_the_part_from_others() {
    search(|| {
        let whole = std::sync::Arc::new(ByteBudget::new(10));
        let _others = whole.try_enter_n(5).unwrap();
        let part = Arc::new(whole.part(8));
        let large = on(&part, |part: &ByteBudget| part.try_enter_n(6).is_ok());
        assert!(part.try_enter_n(4).is_ok());
        assert!(!large.join().unwrap());
        assert_eq!((part.in_use(), whole.in_use()), (4, 9));
    });
}

/// One holder gives its bytes back, and the next one sees what it did with them.
/// Turns red when bytes are given back without `Release` or taken without
/// `Acquire`.
#[test]
fn bytes_are_handed_over_with_what_was_done_in_them() {
    search(|| {
        let shared = Arc::new((ByteBudget::new(1), UnsafeCell::new(0)));
        let visit = |(budget, room): &(ByteBudget, UnsafeCell<u32>)| {
            if let Ok(ticket) = budget.try_enter_n(1) {
                room.with_mut(|_| ());
                budget.leave(ticket, Outcome::Success);
            }
        };
        let other = on(&shared, visit);
        visit(&shared);
        other.join().unwrap();
    });
}

/// A place is taken, given back and taken away at once: never are more in use
/// than the larger limit, nobody is refused for a place that was there all the
/// time, and the new limit holds in the end. Turns red when `resize` stores a
/// word in which it writes what it had read of the places taken.
///
/// Bounded to three preemptions, as all models with `resize`, which takes the
/// lock of the line: whole searches do not end. The planted bug is found with
/// one.
#[test]
fn places_are_taken_and_given_back_while_the_limit_changes() {
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(3);
    search.check(|| {
        let limit = Arc::new(ConcurrencyLimit::new(3));
        let ask = || {
            on(&limit, |limit: &ConcurrencyLimit| {
                let ticket = limit.try_enter(&()).expect("two places at least, and two ask");
                limit.leave(ticket, Outcome::Success);
            })
        };
        let (a, b) = (ask(), ask());
        limit.resize(2).unwrap();
        a.join().unwrap();
        b.join().unwrap();
        assert_eq!((limit.in_flight(), limit.limit()), (0, 2));
    });
}

/// Two wait for the one place, which is given back, and one of them may have gone.
/// Whoever has it gives it back, so that in any order somebody is served, the line
/// is empty in the end, and the discipline remembers nobody.
///
/// Turns red when a discipline does not strike out who has left (`Ranked::left`), and,
/// with each of them, when one who goes keeps the place that it was given meanwhile.
///
/// Bounded to three preemptions, as all models with the lock of the line.
fn who_waits_is_served_or_leaves<D: Discipline + 'static, C: Send + Sync + 'static>(
    discipline: impl Fn(ConcurrencyLimit<Fifo, ManualClock>) -> ConcurrencyLimit<D, ManualClock>
    + Send
    + Sync
    + 'static,
    about: fn() -> [C; 2],
) where
    ConcurrencyLimit<D, ManualClock>: Admit<C, Ticket = LimitTicket>,
{
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(3);
    search.check(move || {
        let limit = ConcurrencyLimit::new(1).wait_at_most(Duration::MAX).clock(ManualClock::new());
        let limit = Arc::new(discipline(limit));
        let [first, second] = about();
        let held = limit.try_enter(&first).unwrap();
        let stays = on(&limit, move |limit| {
            let ticket = block_on(limit.enter(&first)).expect("nobody else is preferred for ever");
            limit.leave(ticket, Outcome::Success);
        });
        let goes = on(&limit, move |limit| {
            let mut waits = pin!(limit.enter(&second));
            let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(Ok(ticket)) = polled {
                limit.leave(ticket, Outcome::Success);
            }
        });
        limit.leave(held, Outcome::Success);
        stays.join().unwrap();
        goes.join().unwrap();
        assert_eq!((limit.in_flight(), limit.waiting()), (0, 0));
        let again = limit.try_enter(&about()[0]).expect("the place is free");
        limit.leave(again, Outcome::Success);
    });
}

#[test]
fn who_waits_first_come_first_served_is_served_or_leaves() {
    who_waits_is_served_or_leaves(|limit| limit, || [(), ()]);
}

#[test]
fn who_waits_last_come_first_served_is_served_or_leaves() {
    who_waits_is_served_or_leaves(|limit| limit.lifo(Duration::ZERO), || [(), ()]);
}

#[test]
fn who_waits_under_codel_is_served_or_leaves() {
    let codel = |limit: ConcurrencyLimit<_, _>| {
        limit.codel(Duration::from_millis(5), Duration::from_millis(100))
    };
    who_waits_is_served_or_leaves(codel, || [(), ()]);
}

#[test]
fn who_waits_by_priority_is_served_or_leaves() {
    let both = || [Priority::LOWEST, Priority::HIGHEST];
    who_waits_is_served_or_leaves(ConcurrencyLimit::by_priority, both);
}

#[test]
fn who_waits_by_deadline_is_served_or_leaves() {
    // One that ends would need a timer, and that a runtime.
    let both = || [Deadline::at(Tick::MAX); 2];
    who_waits_is_served_or_leaves(ConcurrencyLimit::by_deadline, both);
}
