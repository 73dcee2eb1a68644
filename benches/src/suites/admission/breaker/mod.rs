//! Circuit breakers: closed, with windows of several kinds and lengths; open; one
//! per key.

mod keyed;
mod least;
mod ours;
mod peers;

use super::{each, flat};
use crate::{
    bench::{Bench, Group},
    on::ONE,
    rounds::Expect,
    row::AtMost,
};
use anyhow::Result;
use std::time::Duration;

pub(super) use keyed::child;
use ours::{calls, time};

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    closed(bench)?;
    bench.run(around_a_future())?;
    bench.run(failing())?;
    full_window(bench)?;
    bench.run(open())?;
    keyed::run(bench)
}

/// A clock that is read once, as `Clock::now` of ours reads it.
const CLOCK: &str = "clock";

/// Windows of calls and of time, the shortest first.
const CALLS: [(u32, &str); 3] = [(100, "100"), (1_000, "1,000"), (20_000, "20,000")];
const SECONDS: [u64; 3] = [1, 10, 60];

fn closed(bench: &mut Bench) -> Result<()> {
    let counted = each(AtMost::exactly(7.0), AtMost::exactly(22.0));
    let timed = each(AtMost::above(CLOCK, 9.0), AtMost::exactly(22.0));
    let mut group = Group::new(Expect::Admitted);
    for (many, text) in CALLS {
        group = group
            .ours(ours::closed(&format!("breaker closed, {text} calls"), calls(many)), &counted);
    }
    for seconds in SECONDS {
        let name = format!("breaker closed, {seconds} s");
        group = group.ours(ours::closed(&name, time(Duration::from_secs(seconds))), &timed);
    }
    let measured = bench.run(
        group
            .ours(ours::slow("breaker closed, 10 s, slow calls too"), &[])
            .peer(least::clock(true))
            .peer(least::fetch_add())
            .peer(least::clock_and_fetch_add())
            .peer(peers::recloser("recloser, 100 calls", 100))
            .peer(peers::recloser("recloser, 20,000 calls", 20_000))
            .peer(peers::failsafe_consecutive())
            .peer(peers::failsafe())
            .peer(peers::resilience_calls())
            .peer(peers::resilience_time())
            .peer(least::mutex_breaker(false)),
    )?;
    if let [fewest, _, most, shortest, _, longest, ..] = measured[..] {
        flat(bench, "breaker growth, 20,000 calls", ("100 calls", fewest), most);
        flat(bench, "breaker growth, 60 s", ("1 s", shortest), longest);
    }
    Ok(())
}

/// As services are asked: a future is admitted, polled, judged.
fn around_a_future() -> Group {
    Group::new(Expect::Admitted)
        .ours(ours::run("breaker closed, around a future, 100 calls", calls(100)), &[])
        .ours(ours::run("breaker closed, around a future, 10 s", time(TEN)), &[])
        .peer(peers::recloser_async())
        .peer(peers::failsafe_async())
        .peer(peers::resilience_calls())
        .peer(peers::resilience_time())
}

const TEN: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

/// Results that count against the dependency, too few to open anything.
fn failing() -> Group {
    Group::new(Expect::Admitted)
        .ours(ours::failing("breaker closed, every tenth call fails, 100 calls", calls(100)), &[])
        .ours(ours::failing("breaker closed, every tenth call fails, 10 s", time(TEN)), &[])
        .peer(peers::recloser_failing())
        .peer(peers::failsafe_failing())
        .peer(least::mutex_breaker_failing())
}

/// A window of time that holds many calls. A round is short, because a peer takes
/// longer the more there are.
fn full_window(bench: &mut Bench) -> Result<()> {
    const CALLS: u32 = 20_000;
    let name = "breaker closed, 10 min, 20,000 calls in the window";
    let peer = "tower-resilience, 10 min, 20,000 calls in the window (service)";
    // To put them there takes some seconds.
    if bench.wants(name) {
        let group = Group::new(Expect::Admitted)
            .only_on(&[ONE])
            .sized(1_000, 17)
            .ours(ours::full(name, CALLS, TEN * 60), &[])
            .peer(peers::resilience_full(peer, CALLS, TEN * 60));
        bench.run(group)?;
    }
    Ok(())
}

fn open() -> Group {
    let target = AtMost::above(CLOCK, 1.5);
    Group::new(Expect::Refused)
        .ours(ours::open(), &each(target.clone(), target))
        .peer(least::clock(false))
        .peer(least::clock_and_load())
        .peer(peers::recloser_open())
        .peer(peers::failsafe_open())
        .peer(peers::resilience_open())
        .peer(least::mutex_breaker(true))
}
