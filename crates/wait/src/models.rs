//! Loom models: `cargo xtask loom plimsoll-wait`.

use crate::{Line, Next, NoPlace, Order, Places, Spot, Waiter};
use loom::{cell::UnsafeCell, future::block_on, model::Builder, sync::Arc, thread};
use std::task::{Context, Poll, Waker};

/// A waiter whose future is dropped takes part in almost every step of the
/// other threads, so whole searches do not end. Bugs of this kind need few
/// preemptions: each planted one below is found with two; three leave a margin.
///
/// loom compares an access with the last one of the same atomic only, so a reading
/// before an exchange can hide an order from it. With readings as changes by
/// nothing, as the breaker's models have them, these models were searched as well
/// and held, but in fewer executions (6,453 for 22,160 in the largest): such a
/// reading never finds an older value. So readings are readings here.
const PREEMPTIONS: usize = 3;

fn search(model: impl Fn() + Sync + Send + 'static) {
    let mut search = Builder::new();
    search.preemption_bound = Some(PREEMPTIONS);
    search.check(model);
}

/// Places, and a room that loom watches: entered by two at once, or by one who
/// does not see what the last one left behind, it fails the model.
struct Gallery {
    places: Places,
    room: UnsafeCell<u32>,
}

impl Gallery {
    fn new() -> Arc<Self> {
        Arc::new(Self { places: Places::new(1, 4), room: UnsafeCell::new(0) })
    }

    fn visit(&self) {
        self.room.with_mut(|_| ());
        self.places.give_back(1);
    }

    /// The place is free again, and nobody is believed to wait.
    fn is_as_new(&self) {
        assert_eq!((self.places.used(), self.places.waiting()), (0, 0));
        assert_eq!(self.places.try_take(1), Ok(()));
    }
}

/// Two wait for each other at most: no wake-up is lost, and what one did in the
/// room is seen by the next. Turns red when `give_back` subtracts without
/// `Release`, when places are taken without `Acquire`, and when `join` does not
/// set the bit in the word in which it saw no place.
#[test]
fn one_place_is_handed_from_one_to_the_next() {
    search(|| {
        let gallery = Gallery::new();
        let visitor = || {
            let gallery = Arc::clone(&gallery);
            thread::spawn(move || {
                block_on(gallery.places.take(1)).unwrap();
                gallery.visit();
            })
        };
        let (a, b) = (visitor(), visitor());
        a.join().unwrap();
        b.join().unwrap();
        gallery.is_as_new();
    });
}

/// A waiter gives up while the place is given back and a third waits behind:
/// the third gets it. Turns red when `leave` forgets to hand on what it was
/// served, and when `is_free` leaves out the bit of those who wait.
#[test]
fn a_place_given_to_one_who_gives_up_goes_to_the_next() {
    search(|| {
        let gallery = Gallery::new();
        gallery.places.try_take(1).unwrap();
        let gives_up = {
            let gallery = Arc::clone(&gallery);
            thread::spawn(move || {
                let mut take = Box::pin(gallery.places.take(1));
                let first = take.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if first == Poll::Ready(Ok(())) {
                    gallery.visit();
                }
            })
        };
        let stays = {
            let gallery = Arc::clone(&gallery);
            thread::spawn(move || {
                block_on(gallery.places.take(1)).unwrap();
                gallery.visit();
            })
        };
        gallery.visit();
        gives_up.join().unwrap();
        stays.join().unwrap();
        gallery.is_as_new();
    });
}

/// A second place is added while one waits and another takes its chance: the
/// one who waits is served by whoever comes second, and never are more than
/// two out. Turns red when `resize` does not serve the line.
#[test]
fn a_place_added_reaches_the_one_who_waits() {
    search(|| {
        let places = Arc::new(Places::new(1, 4));
        places.try_take(1).unwrap();
        let waits = {
            let places = Arc::clone(&places);
            thread::spawn(move || block_on(places.take(1)).unwrap())
        };
        let tries = {
            let places = Arc::clone(&places);
            thread::spawn(move || {
                if places.try_take(1).is_ok() {
                    places.give_back(1);
                }
            })
        };
        places.resize(2);
        waits.join().unwrap();
        tries.join().unwrap();
        assert_eq!((places.used(), places.limit(), places.waiting()), (2, 2, 0));
    });
}

/// The only place is taken away while somebody joins the line for it: it is
/// told, before or after, and does not wait for ever. Turns red when `join`
/// looks at the limit only before it takes the lock.
#[test]
fn whoever_waits_for_a_place_that_is_removed_is_told() {
    search(|| {
        let places = Arc::new(Places::new(1, 4));
        places.try_take(1).unwrap();
        let waits = {
            let places = Arc::clone(&places);
            thread::spawn(move || block_on(places.take(1)))
        };
        places.resize(0);
        assert_eq!(waits.join().unwrap(), Err(NoPlace::TooLarge));
        places.give_back(1);
        assert_eq!((places.used(), places.waiting()), (0, 0));
    });
}

/// Serves the newest, and refuses the oldest for want of room or, once, for want
/// of patience.
struct Newest {
    refuses: bool,
}

impl Order for Newest {
    type About = ();
    type Key = ();

    fn key(&mut self, (): ()) {}

    fn next(&mut self, line: &Line<Waiter<()>>, _: u32) -> Option<Next> {
        if std::mem::take(&mut self.refuses) {
            return line.front().map(Next::Refuse);
        }
        line.back().map(Next::Serve)
    }

    fn displaced(&self, line: &Line<Waiter<()>>, (): ()) -> Option<Spot> {
        line.front()
    }
}

fn newest(queue: usize, refuses: bool) -> Arc<Places<Newest>> {
    let places = Arc::new(Places::ordered(1, queue, Newest { refuses }));
    places.try_take(1).unwrap();
    places
}

fn waits(places: &Arc<Places<Newest>>) -> thread::JoinHandle<Result<(), NoPlace>> {
    let places = Arc::clone(places);
    thread::spawn(move || {
        let taken = block_on(places.take(1));
        if taken.is_ok() {
            places.give_back(1);
        }
        taken
    })
}

/// Two wait where there is room for one, while the place is given back: who comes
/// second takes the other's room, who is told, or finds it gone; nobody waits for
/// ever. Turns red when whoever makes way is not woken.
#[test]
fn whoever_makes_way_in_a_full_line_is_told() {
    search(|| {
        let places = newest(1, false);
        let (a, b) = (waits(&places), waits(&places));
        places.give_back(1);
        let both = [a.join().unwrap(), b.join().unwrap()];
        let dropped = both.iter().filter(|taken| **taken == Err(NoPlace::Dropped)).count();
        assert!(dropped <= 1 && both.iter().all(|taken| *taken != Err(NoPlace::LineFull)));
        assert_eq!((places.used(), places.waiting()), (0, 0));
        assert_eq!(places.try_take(1), Ok(()));
    });
}

/// The order refuses the first that it is asked about, while the place is given
/// back: that one is told, and the other gets the place. Turns red when refusing
/// the last one in the line leaves the bit set.
#[test]
fn a_place_passes_by_whom_the_order_refuses() {
    search(|| {
        let places = newest(2, true);
        let (a, b) = (waits(&places), waits(&places));
        places.give_back(1);
        let both = [a.join().unwrap(), b.join().unwrap()];
        let dropped = both.iter().filter(|taken| **taken == Err(NoPlace::Dropped)).count();
        assert!(dropped <= 1 && both.iter().any(Result::is_ok));
        assert_eq!((places.used(), places.waiting()), (0, 0));
        assert_eq!(places.try_take(1), Ok(()));
    });
}
