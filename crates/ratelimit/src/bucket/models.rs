//! Loom models of the buckets: `cargo xtask loom plimsoll-ratelimit`. Searched
//! whole, in the ways that `modelled` in core tells, but for the two in which the
//! rate changes: see [`PREEMPTIONS`].

use super::{
    line::{Joined, Turn},
    meter::Meter,
    purse::Purse,
    scale::{Kind, Rate},
    state::{BucketState, BucketTicket},
};
use crate::sync::{AtomicU64, Ordering, search, search_within, unchanged};
use loom::{sync::Arc, thread};
use plimsoll_core::Tick;
use plimsoll_wait::Spot;
use std::{
    task::{Wake, Waker},
    time::Duration,
};

/// Where the rate changes and readings are changes. Each decision reads the six
/// words of the dial, one of them twice, and so does whoever turns it, who then
/// stores all six: every pair of those is two orders. With up to three, four and five
/// preemptions the larger of the two models has 2,692, 16,849 and 68,578 executions,
/// with six over 200,000. Each planted bug that they find is found with three, or in
/// another way.
const PREEMPTIONS: usize = 5;

const SECOND: Duration = Duration::from_secs(1);
/// The clock stands, so that nothing comes in.
const NOW: Tick = Tick::from_nanos(3_600_000_000_000);

/// A full bucket.
struct Bucket {
    state: BucketState,
    meter: Meter,
}

fn rate(per_second: u32) -> Rate {
    Rate::new(per_second, SECOND).unwrap()
}

fn meter(per_second: u32, burst: u32) -> Meter {
    Meter::new("model", rate(per_second), Kind::Saves { burst }, 8)
}

impl Bucket {
    /// One whose rate stays as it is.
    fn of(burst: u32) -> Arc<Self> {
        Self::with(unchanged(|| meter(1, burst)))
    }

    /// One whose rate will change.
    fn filling_at(per_second: u32, burst: u32) -> Arc<Self> {
        Self::with(meter(per_second, burst))
    }

    fn with(meter: Meter) -> Arc<Self> {
        Arc::new(Self { state: BucketState::fresh(), meter })
    }

    fn set_rate(&self, per_second: u32) {
        self.meter.set(&self.state, NOW, |settings| settings.rate = rate(per_second));
    }

    fn take(&self) -> Option<BucketTicket> {
        self.meter.try_take(&self.state, NOW, 1).ok()
    }

    fn give_back(&self, ticket: BucketTicket) {
        self.meter.refund(&self.state, NOW, ticket);
    }

    fn available(&self) -> u32 {
        self.meter.available(&self.state, NOW)
    }

    fn reserve(&self) -> Option<Joined> {
        self.meter.join(&self.state, NOW, 1, Tick::MAX).ok()
    }

    fn look(&self, spot: Spot) -> Turn {
        self.meter.look(&self.state, NOW, spot, Waker::noop())
    }

    /// Gives up what a reservation holds or stands for.
    fn cancel(&self, place: Joined) {
        match place {
            Joined::Granted(ticket) => self.give_back(ticket),
            Joined::InLine(spot) => self.meter.quit(&self.state, NOW, spot),
        }
    }
}

/// Runs `work` on a thread that shares the bucket.
fn on<T: 'static>(
    bucket: &Arc<Bucket>,
    work: impl FnOnce(&Bucket) -> T + 'static,
) -> thread::JoinHandle<T> {
    let bucket = Arc::clone(bucket);
    thread::spawn(move || work(&bucket))
}

/// Two take what is there for one and a half: each token goes to one of them.
/// Turns red when the mark is stored instead of compared and swapped.
#[test]
fn no_token_is_taken_twice() {
    search(|| {
        let bucket = Bucket::of(3);
        let both = || on(&bucket, |bucket| [bucket.take(), bucket.take()].iter().flatten().count());
        let (a, b) = (both(), both());
        assert_eq!(a.join().unwrap() + b.join().unwrap(), 3);
        assert_eq!(bucket.available(), 0);
    });
}

/// The rate is cut to a thousandth while two tokens are taken: what is taken
/// and what is left add up, in the old units or in the new. Turns red when a
/// reader does not look at the version again, when `unit` or `depth`, which decide
/// here, or the last version is stored without `Release`, and when the dial is
/// turned without converting the mark.
#[test]
fn a_new_rate_neither_mints_nor_burns_tokens() {
    search_within(PREEMPTIONS, || {
        let bucket = Bucket::filling_at(1_000, 3);
        let turns = on(&bucket, |bucket| bucket.set_rate(1));
        let taken = [bucket.take(), bucket.take()].iter().flatten().count();
        turns.join().unwrap();
        assert_eq!((taken, bucket.available()), (2, 1));
    });
}

/// A token is given back while the rate is raised a thousandfold: it comes back
/// before, or is worth nothing after. It is not a thousand of the new ones.
/// Turns red when a refund that finds the word changed does not look at the
/// version again, and when turning the dial may leave the word as it was.
#[test]
fn a_token_given_back_under_a_new_rate_is_not_a_thousand() {
    search_within(PREEMPTIONS, || {
        let bucket = Bucket::filling_at(1, 3);
        let [Some(ticket), Some(_), Some(_)] = [(); 3].map(|()| bucket.take()) else {
            unreachable!("it holds three")
        };
        let gives_back = on(&bucket, move |bucket| bucket.give_back(ticket));
        bucket.set_rate(1_000);
        gives_back.join().unwrap();
        let left = bucket.available();
        assert!(left <= 1, "{left} are there");
    });
}

/// One gives its token back while another waits for one: it has it at once, or
/// it is woken to find it in the line, and nobody else gets it. Turns red when a
/// refund does not serve the line.
#[test]
fn a_token_that_comes_back_reaches_the_one_in_line() {
    search(|| {
        let bucket = Bucket::of(1);
        let ticket = bucket.take().unwrap();
        let waits = on(&bucket, |bucket| {
            let bell = std::sync::Arc::new(Bell(AtomicU64::new(0)));
            let Joined::InLine(spot) = bucket.reserve().unwrap() else { return None };
            let turn = bucket.meter.look(&bucket.state, NOW, spot, &Waker::from(bell.clone()));
            (!matches!(turn, Turn::Granted(_))).then_some((spot, bell))
        });
        bucket.give_back(ticket);
        if let Some((spot, bell)) = waits.join().unwrap() {
            assert_ne!(bell.0.load(Ordering::Relaxed), 0, "it sleeps for ever");
            assert!(matches!(bucket.look(spot), Turn::Granted(_)), "it was passed over");
        }
        assert!(bucket.take().is_none(), "the one token went to two");
    });
}

/// A waker that counts.
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two reservations, one cancelled in whatever state it is, and one who tries:
/// the token goes to one of them, nobody overtakes, and when all have gone the
/// bucket is as it was. Turns red when `quit` does not give back what was
/// granted in that moment.
#[test]
fn whoever_cancels_leaves_the_bucket_as_it_was() {
    search(|| {
        let bucket = Bucket::of(1);
        let ticket = bucket.take().unwrap();
        let first = bucket.reserve().unwrap();
        let cancels = on(&bucket, move |bucket| bucket.cancel(first));
        let second = on(&bucket, Bucket::reserve);
        bucket.give_back(ticket);
        cancels.join().unwrap();
        let second = second.join().unwrap().unwrap();
        if let Joined::InLine(spot) = second {
            assert!(matches!(bucket.look(spot), Turn::Granted(_)), "it was passed over");
            assert!(bucket.take().is_none());
        } else {
            bucket.cancel(second);
            assert!(bucket.take().is_some(), "the token was lost");
        }
    });
}

/// Two threads lease two tokens each of three, spend one and give the rest
/// back: never are more spent than there were, and what was not spent is there
/// again. Turns red when a purse believes to hold the whole lease of a bucket
/// that had less.
#[test]
fn leases_add_up_to_what_the_bucket_held() {
    search(|| {
        let bucket = Bucket::of(3);
        let leases = || {
            on(&bucket, |bucket| {
                let mut purse = Purse::of(1);
                let drawn = purse.refill(&bucket.meter, &bucket.state, NOW, 1, 2).is_ok();
                if let Some(rest) = purse.rest() {
                    bucket.give_back(rest);
                }
                u64::from(drawn)
            })
        };
        let (a, b) = (leases(), leases());
        let spent = a.join().unwrap() + b.join().unwrap();
        assert_eq!((spent, bucket.available()), (2, 1));
    });
}
