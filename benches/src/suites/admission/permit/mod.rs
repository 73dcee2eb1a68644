//! Concurrency limits: a permit taken and given back, waited for, refused.

mod bytes;
mod ours;
mod peers;
mod waiters;

use super::{each, flat};
use crate::{
    bench::{Bench, Group},
    on::{ONE, On},
    rounds::Expect,
    row::AtMost,
};
use anyhow::Result;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    bench.run(tried())?;
    bench.run(awaited())?;
    bench.run(refused())?;
    bench.run(waiters::unbounded())?;
    bench.run(waiters::bounded())?;
    bench.run(bytes::taken())?;
    growth(bench)
}

/// More permits than two threads ask for.
const AMPLE: u32 = 1_000;

const TRY: &str = "tokio try_acquire";
const AWAIT: &str = "tokio acquire().await";

fn half_of(peer: &str) -> [(On, AtMost); 2] {
    each(AtMost::times(0.5, peer), AtMost::times(0.5, peer))
}

fn tried() -> Group {
    Group::new(Expect::Admitted)
        .ours(ours::tried("permit, try", AMPLE), &half_of(TRY))
        .ours(ours::tried_owned("permit, try, owned"), &[])
        .peer(peers::try_acquire(TRY, AMPLE))
        .peer(peers::try_acquire_owned())
        .peer(peers::least())
}

fn awaited() -> Group {
    Group::new(Expect::Admitted)
        .ours(ours::awaited("permit, await"), &half_of(AWAIT))
        .ours(ours::awaited_owned("permit, await, owned"), &[])
        .ours(ours::run("permit, await, around a future"), &[])
        .peer(peers::acquire(AWAIT))
        .peer(peers::acquire_owned())
        .peer(peers::tower())
        .peer(peers::resilience())
}

fn refused() -> Group {
    Group::new(Expect::Refused)
        .ours(ours::refused("permit refused"), &[])
        .ours(ours::refused_awaiting("permit refused, await, nobody may wait"), &[])
        .peer(peers::try_acquire_refused(TRY))
        .peer(peers::tower_refused())
        .peer(peers::resilience_refused())
}

/// The same with a few places and with many.
fn growth(bench: &mut Bench) -> Result<()> {
    let group = Group::new(Expect::Admitted)
        .only_on(&[ONE])
        .ours(ours::tried("permit, try, 10 places", 10), &[])
        .ours(ours::tried("permit, try, 1,000,000 places", 1_000_000), &[])
        .peer(peers::try_acquire("tokio try_acquire, 10 places", 10))
        .peer(peers::try_acquire("tokio try_acquire, 1,000,000 places", 1_000_000));
    if let [few, many] = bench.run(group)?[..] {
        flat(bench, "permit growth, 1,000,000 places", ("10 places", few), many);
    }
    Ok(())
}
