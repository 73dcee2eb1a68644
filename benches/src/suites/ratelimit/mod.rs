//! Rate limits: one for everybody, and one per key.

mod keyed;
mod ours;
mod peers;

use super::Suite;
use crate::{
    bench::{Bench, Group},
    on::{ONE, TWO},
    rounds::{Expect, Subject},
    row::AtMost,
};
use anyhow::Result;
use plimsoll_core::{Clock, DefaultClock};
use std::{hint::black_box, time::Instant};
use tower_resilience_ratelimiter::WindowType;

pub(super) const SUITE: Suite = Suite {
    name: "ratelimit",
    about: "Rate limits, asked once per operation, through the calls that users make. Limits are \
            set so high, or so low, that every operation is admitted, or every one refused. \
            pingora-limits counts and leaves the decision to its caller; tower-resilience can be \
            asked as a service only, for which it boxes a future; the mutex bucket, and clock and \
            atomic word alone, are written in this suite. A random slot is a word out of 20 bytes \
            for each key, the size of our table. leaky-bucket, pingora-limits, ratelimit, \
            tower-resilience and the mutex bucket read the system's clock, governor and ours the \
            processor's.",
    packages: &[
        "governor",
        "leaky-bucket",
        "moka",
        "pingora-limits",
        "ratelimit",
        "tower-resilience-ratelimiter",
    ],
    run,
    child: keyed::child,
};

fn run(bench: &mut Bench) -> Result<()> {
    bench.run(clocks())?;
    bench.run(allowed())?;
    bench.run(refused())?;
    bench.run(windows())?;
    bench.run(tuple())?;
    keyed::run(bench)
}

/// For reference: every gate that reads the time pays for one of these.
fn clocks() -> Group {
    let ours = Subject::shared("default clock", DefaultClock::new, |clock| {
        black_box(clock.now()).as_nanos() > 0
    });
    let std = Subject::per_thread("Instant::now()", |_| {
        || {
            black_box(Instant::now());
            true
        }
    });
    Group::new(Expect::Admitted).ours(ours, &[]).peer(std)
}

fn allowed() -> Group {
    let targets = [(ONE, AtMost::times(1.05, "governor")), (TWO, AtMost::times(1.0, "governor"))];
    let leased = [(ONE, AtMost::exactly(3.0)), (TWO, AtMost::exactly(3.0))];
    let [ratelimit, ratelimit_by_our_clock] = peers::ratelimit();
    Group::new(Expect::Admitted)
        .ours(ours::token_bucket(), &targets)
        .ours(ours::leased(), &leased)
        .ours(ours::permit(), &[])
        .ours(ours::uneven(), &[])
        .peer(peers::governor())
        .peer(peers::leaky_bucket())
        .peer(ratelimit)
        .peer(ratelimit_by_our_clock)
        .peer(peers::pingora())
        .peer(peers::resilience())
        .peer(peers::mutex_bucket())
        .peer(peers::least())
}

fn refused() -> Group {
    let target = AtMost::times(1.05, "governor");
    Group::new(Expect::Refused)
        .ours(ours::refusing(), &[(ONE, target.clone()), (TWO, target)])
        .peer(peers::governor_refusing())
        .peer(peers::governor_refusing_and_asked_when())
        .peer(peers::leaky_bucket_refusing())
        .peer(peers::ratelimit_refusing())
        .peer(peers::resilience_refusing())
        .peer(peers::mutex_bucket_refusing())
        .peer(peers::least_refusing())
}

fn windows() -> Group {
    let (limit, over) = ours::WINDOW;
    let resilience = |name, window| peers::resilience_window(name, window, limit as usize, over);
    Group::new(Expect::Admitted)
        .ours(ours::exact_window(), &[])
        .ours(ours::approximate_window(), &[])
        .peer(peers::governor())
        .peer(resilience("tower-resilience sliding log (service)", WindowType::SlidingLog))
        .peer(resilience("tower-resilience sliding counter (service)", WindowType::SlidingCounter))
}

/// What hierarchical limits cost: per client, per tenant, for all.
fn tuple() -> Group {
    Group::new(Expect::Admitted)
        .ours(ours::tuple_of_three(), &[])
        .peer(peers::governors::<3>("three governors"))
}
