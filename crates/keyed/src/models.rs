//! Loom models: `cargo xtask loom plimsoll-keyed`. Lines of one slot, two threads,
//! searched whole, in the ways that `modelled` in core tells, unless the model says
//! otherwise.
//!
//! The orders of [`Place`] are those that `Keyed` asks of a gate: with `Acquire`
//! for the load or `AcqRel` for the exchange, or on the tag's side with less than
//! `SeqCst` in `Slot::is_of` or `Table::take`, an admission is forgotten.

use crate::{
    keyed::{Keyed, KeyedTicket},
    sync::{AtomicU64, search, search_up_to, search_within},
    table::{Table, Tag},
};
use loom::{
    future::block_on,
    sync::{
        Arc, Mutex,
        atomic::Ordering::{AcqRel, Acquire, SeqCst},
    },
    thread,
};
use plimsoll_core::{Gate, Outcome, PerKey, Reason, Rejected, Tick};
use std::{future::poll_fn, task::Poll, task::Waker};

const ONE: u64 = 1 << 40;
const TWO: u64 = u64::MAX - 1;
const THREE: u64 = u64::MAX / 3;

/// Tags by number: the first two lines of the one are the second and the first
/// of the other.
fn key(number: u64) -> Tag {
    Tag::of(number)
}

fn table<G: PerKey>(gate: G, lines: usize) -> Arc<Keyed<G, ()>> {
    let table = Table::with_lines(lines, || gate.fresh());
    Arc::new(Keyed::over(gate, (), table))
}

/// A thread that asks for `tag` and hands back its ticket.
fn enters<G>(
    gate: &Arc<Keyed<G, ()>>,
    tag: Tag,
) -> thread::JoinHandle<Option<KeyedTicket<G::Ticket>>>
where
    G: PerKey + 'static,
{
    let gate = Arc::clone(gate);
    thread::spawn(move || gate.try_enter_as(tag).ok())
}

fn refused() -> Rejected {
    Rejected::new(Reason::Concurrency, "model")
}

/// One place per key, in one word.
struct Place;

impl Gate for Place {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {}
}

impl PerKey for Place {
    type State = AtomicU64;

    fn now(&self) -> Tick {
        Tick::ZERO
    }

    fn fresh(&self) -> AtomicU64 {
        AtomicU64::new(0)
    }

    fn is_fresh(&self, used: &AtomicU64, _: Tick) -> bool {
        used.load(SeqCst) == 0
    }

    fn try_enter_in(&self, used: &AtomicU64, _: Tick) -> Result<(), Rejected> {
        used.compare_exchange(0, 1, SeqCst, SeqCst).map(drop).map_err(|_| refused())
    }

    fn leave_in(&self, used: &AtomicU64, (): (), _: Outcome) {
        assert_eq!(used.fetch_sub(1, SeqCst), 1, "given back twice, or to a stranger");
    }
}

/// Two threads meet a new key at once: they agree on one state, and the second
/// to enter is refused. Red without the locks in `Table::place` (one sees the
/// other's slot as taken, and goes to the other line).
#[test]
fn two_threads_that_meet_a_new_key_at_once_agree_on_one_state() {
    search(|| {
        let gate = table(Place, 2);
        let threads = [enters(&gate, key(ONE)), enters(&gate, key(ONE))];
        let admitted = threads.map(|thread| thread.join().unwrap()).into_iter().flatten().count();
        assert_eq!(admitted, 1);
        assert_eq!(gate.overflowed(), 0);
    });
}

/// Two new keys whose lines are the same, in the other order: neither waits for
/// the other for ever. Red when `Table::place` locks in the key's order.
#[test]
fn keys_whose_lines_cross_do_not_block_each_other() {
    search(|| {
        let gate = table(Place, 2);
        let threads = [enters(&gate, key(ONE)), enters(&gate, key(TWO))];
        assert!(threads.map(|thread| thread.join().unwrap()).iter().all(Option::is_some));
        assert_eq!(gate.overflowed(), 0);
        assert!([ONE, TWO].iter().all(|number| gate.state_of(key(*number)).is_some()));
    });
}

/// One thread enters a fresh key, while another wants its slot for a new one.
/// Whoever was admitted is remembered, and all is given back to where it was
/// taken. Red when `Table::take` does not look at the state again after setting
/// the slot aside, and when an entry does not look at the tag again.
/// At most eight preemptions where readings are changes: 11,841 executions. The whole
/// of that search, 453,683, was run once, and found nothing.
#[test]
fn an_admission_is_never_forgotten_while_its_slot_changes_hands() {
    search_within(8, || {
        let gate = table(Place, 1);
        let ticket = gate.try_enter_as(key(ONE)).expect("nobody is there");
        gate.leave(ticket, Outcome::Success);

        let known = enters(&gate, key(ONE));
        let new = gate.try_enter_as(key(TWO)).ok();
        let known = known.join().unwrap();
        // The new key may be refused: for a moment its state was entered by the
        // other, who then noticed. Stricter, never more lenient.
        assert!(known.is_some(), "refused for a stranger");
        assert!(gate.try_enter_as(key(ONE)).is_err(), "the known key's place was forgotten");
        if new.is_some() {
            assert!(gate.try_enter_as(key(TWO)).is_err(), "the new key's place was forgotten");
        }
        for ticket in [known, new].into_iter().flatten() {
            gate.leave(ticket, Outcome::Success);
        }
        let slot = [ONE, TWO].iter().find_map(|number| gate.state_of(key(*number)));
        assert_eq!(slot.expect("the slot is someone's").load(Acquire), 0);
        assert_eq!(gate.overflow().load(Acquire), 0);
    });
}

/// The same with two new keys and two lines: three threads, whose keys may stand
/// in either. At most seven preemptions, which takes seconds; the whole search takes
/// half a minute, was run once, and found nothing. Where readings are changes, at most
/// three: 9,385 executions, and 70,974 with four. Red as above.
#[test]
fn no_admission_is_forgotten_when_three_keys_want_two_slots() {
    search_up_to(7, 3, || {
        let gate = table(Place, 2);
        let ticket = gate.try_enter_as(key(ONE)).expect("nobody is there");
        gate.leave(ticket, Outcome::Success);

        let threads = [enters(&gate, key(ONE)), enters(&gate, key(TWO))];
        let third = gate.try_enter_as(key(THREE)).ok();
        let [known, new] = threads.map(|thread| thread.join().unwrap());
        assert!(known.is_some(), "refused for a stranger");
        for (number, ticket) in [(ONE, known), (TWO, new), (THREE, third)] {
            if ticket.is_some() {
                assert!(gate.try_enter_as(key(number)).is_err(), "a place was forgotten");
            }
        }
    });
}

/// A place is given back while another key wants the slot: it is given back
/// once, to where it was taken. Red when `Keyed::leave` drops every ticket whose
/// outcome is not exact. (It need not look at the tag here: a state is not fresh
/// until its place is back. The next model is the one that needs it.)
#[test]
fn a_place_that_is_given_back_late_is_given_back_once() {
    search(|| {
        let gate = table(Place, 1);
        let ticket = gate.try_enter_as(key(ONE)).expect("nobody is there");
        let other = enters(&gate, key(TWO));
        gate.leave(ticket, Outcome::Success);
        let other = other.join().unwrap();
        gate.leave(other.expect("there is a slot or the overflow state"), Outcome::Success);
        for number in [ONE, TWO] {
            let used = gate.state_of(key(number)).map(|used| used.load(Acquire));
            assert!(used.is_none_or(|used| used == 0), "a place was lost");
        }
        assert_eq!(gate.overflow().load(Acquire), 0);
    });
}

/// One token per key and tick. The word is `tick << 8 | used`; a state of an
/// earlier tick is as good as new, whatever tickets are out.
struct Token {
    /// Set before the threads start, so it is no part of the model.
    tick: std::sync::atomic::AtomicU64,
}

impl Token {
    fn new() -> Self {
        Self { tick: std::sync::atomic::AtomicU64::new(1) }
    }
}

impl Gate for Token {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {}
}

impl PerKey for Token {
    type State = AtomicU64;

    fn now(&self) -> Tick {
        Tick::from_nanos(self.tick.load(Acquire))
    }

    fn fresh(&self) -> AtomicU64 {
        AtomicU64::new(0)
    }

    fn is_fresh(&self, state: &AtomicU64, now: Tick) -> bool {
        let state = state.fetch_add(0, AcqRel);
        state & 0xff == 0 || state >> 8 < now.as_nanos()
    }

    fn try_enter_in(&self, state: &AtomicU64, now: Tick) -> Result<(), Rejected> {
        let this_tick = now.as_nanos() << 8;
        let spent =
            |state| (state & !0xff < this_tick || state & 0xff == 0).then_some(this_tick | 1);
        state.fetch_update(AcqRel, Acquire, spent).map(drop).map_err(|_| refused())
    }

    fn leave_in(&self, state: &AtomicU64, (): (), outcome: Outcome) {
        if outcome == Outcome::Unused {
            assert_ne!(state.fetch_sub(1, AcqRel) & 0xff, 0, "given back twice");
        }
    }
}

/// A token goes back unused while another key takes over its state, which is
/// fresh by the passing of time. The stranger does not get the token, and if
/// the slot stays with its key, the key does. Red when `Table::leave` does not look
/// at the tag or does not count itself, when `Table::take` does not look at the
/// count, and when `leave` takes a slot set aside for a lost one. The orders of
/// the count do not show: a read-modify-write of loom's sees the newest value.
#[test]
fn an_unused_token_goes_back_to_its_key_or_to_nobody() {
    search(|| {
        let gate = table(Token::new(), 1);
        let ticket = gate.try_enter_as(key(ONE)).expect("nobody is there");
        gate.shared().tick.store(2, std::sync::atomic::Ordering::Release);

        let other = enters(&gate, key(TWO));
        gate.leave(ticket, Outcome::Unused);
        assert!(other.join().unwrap().is_some(), "nobody else asked");
        match (gate.state_of(key(ONE)), gate.state_of(key(TWO))) {
            (Some(kept), None) => assert_eq!(kept.load(Acquire) & 0xff, 0, "the token is lost"),
            (None, Some(_)) => assert!(gate.try_enter_as(key(TWO)).is_err(), "got a second token"),
            _ => panic!("the slot has one key"),
        }
    });
}

/// One place per key, with a line for it.
struct Line;

#[derive(Default)]
struct Queue {
    used: u64,
    waiting: Option<Waker>,
}

impl Gate for Line {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {}
}

impl PerKey for Line {
    type State = Mutex<Queue>;

    fn now(&self) -> Tick {
        Tick::ZERO
    }

    fn fresh(&self) -> Mutex<Queue> {
        Mutex::default()
    }

    fn is_fresh(&self, state: &Mutex<Queue>, _: Tick) -> bool {
        let queue = state.lock().unwrap();
        queue.used == 0 && queue.waiting.is_none()
    }

    fn try_enter_in(&self, state: &Mutex<Queue>, _: Tick) -> Result<(), Rejected> {
        let mut queue = state.lock().unwrap();
        if queue.used > 0 || !queue.waiting.is_none() {
            return Err(refused());
        }
        queue.used = 1;
        Ok(())
    }

    /// For one waiter at a time: its entry is the only one.
    async fn enter_in<'a>(&'a self, state: &'a Mutex<Queue>) -> Result<(), Rejected> {
        struct Waiting<'a>(&'a Mutex<Queue>);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.lock().unwrap().waiting = None;
            }
        }
        let waiting = Waiting(state);
        poll_fn(|cx| {
            let mut queue = waiting.0.lock().unwrap();
            queue.waiting = None;
            if queue.used == 0 {
                queue.used = 1;
                return Poll::Ready(Ok(()));
            }
            queue.waiting = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn leave_in(&self, state: &Mutex<Queue>, (): (), _: Outcome) {
        let waker = {
            let mut queue = state.lock().unwrap();
            assert_eq!(queue.used, 1, "given back twice, or to a stranger");
            queue.used = 0;
            queue.waiting.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// One waits for its key's place, while the place is given back and another key
/// wants the slot. The one who waits gets a place of its own key's in the end.
/// Red when `Keyed::enter_as` does not look at the tag after it was admitted, and
/// (it waits for ever, in a stranger's line) after it was told to wait.
/// At most six preemptions where readings are changes: 22,624 executions. Two more are
/// 80,886, and 1,360,000 of the whole found nothing and were not its end: each look for
/// a key reads the one slot twice, as if it had two lines.
#[test]
fn whoever_waits_is_admitted_by_its_own_state() {
    search_within(6, || {
        let gate = table(Line, 1);
        let ticket = gate.try_enter_as(key(ONE)).expect("nobody is there");
        let waits = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || block_on(gate.enter_as(key(ONE))).ok())
        };
        gate.leave(ticket, Outcome::Success);
        let other = gate.try_enter_as(key(TWO)).ok();
        let admitted = waits.join().unwrap();
        assert!(admitted.is_some(), "this gate refuses nobody who waits");
        assert!(gate.try_enter_as(key(ONE)).is_err(), "the place is somebody else's");
        for ticket in [admitted, other].into_iter().flatten() {
            gate.leave(ticket, Outcome::Success);
        }
        assert_eq!(gate.overflow().lock().unwrap().used, 0);
        let slot = [ONE, TWO].iter().find_map(|number| gate.state_of(key(*number)));
        assert_eq!(slot.expect("the slot is someone's").lock().unwrap().used, 0);
    });
}
