//! Three hops: source → A → B → sink, four tasks, three channels between them.

mod one_by_one;
mod ours;
mod peers;
mod pipeline;

use super::both;
use crate::{
    bench::{Bench, Group},
    rounds::Subject,
    row::AtMost,
};
use anyhow::Result;

/// What goes through: made of a number by the source, changed by each stage, and
/// added up by the sink.
pub(super) trait Item: Clone + Default + Send + Sync + 'static {
    fn new(n: u64) -> Self;
    #[must_use]
    fn changed(self) -> Self;
    fn value(&self) -> u64;
}

impl Item for u64 {
    #[inline]
    fn new(n: u64) -> Self {
        n
    }

    #[inline]
    fn changed(self) -> Self {
        self + 1
    }

    #[inline]
    fn value(&self) -> u64 {
        *self
    }
}

/// 1 KiB, moved and not boxed.
#[derive(Clone)]
pub(super) struct KiB([u64; 128]);

impl Default for KiB {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Item for KiB {
    #[inline]
    fn new(n: u64) -> Self {
        Self([n; 128])
    }

    #[inline]
    fn changed(mut self) -> Self {
        self.0[0] += 1;
        self
    }

    #[inline]
    fn value(&self) -> u64 {
        self.0[0]
    }
}

/// What the sink keeps: how many items came, and whether each was changed twice.
#[derive(Default)]
pub(super) struct Seen {
    items: u64,
    sum: u64,
}

impl Seen {
    #[inline]
    pub(super) fn add(&mut self, item: &impl Item) {
        self.items += 1;
        self.sum = self.sum.wrapping_add(item.value());
    }

    /// How many came of the numbers from 0 on.
    pub(super) fn arrived(self) -> u64 {
        let numbers = (0..self.items).fold(0u64, u64::wrapping_add);
        assert_eq!(self.sum, numbers.wrapping_add(2 * self.items), "an item was changed");
        self.items
    }
}

const TOKIO: &str = "tokio mpsc";

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    for capacity in [100, 1_024] {
        bench.run(numbers(capacity))?;
    }
    for capacity in [100, 1_024] {
        bench.run(large(capacity))?;
    }
    bench.run(lone())?;
    Ok(())
}

fn numbers(capacity: usize) -> Group {
    let case = |case: &str| format!("{case}, capacity {capacity}");
    let drivers = both(&[AtMost::fraction(12.0, TOKIO), AtMost::fraction(3.5, "kanal")]);
    let one_by_one = both(&[AtMost::fraction(2.0, TOKIO)]);
    let fed = if capacity < 1_000 { 7.0 } else { 12.0 };
    let fed = both(&[AtMost::fraction(fed, TOKIO)]);
    let ours = move || plimsoll_channel::bounded(capacity);
    Group::flows()
        .ours(pipeline::hops::<u64>(&case("three hops through stage drivers"), capacity), &drivers)
        .ours(ours::drivers::<u64>(&case("three hops by hand in chunks"), capacity), &drivers)
        .ours(one_by_one::ours::hops::<u64>(&case("three hops one by one"), ours), &one_by_one)
        .ours(ours::fed::<u64>(&case("three hops through Feeder"), capacity), &fed)
        .peers(peers_of::<u64>(capacity))
}

/// 1 KiB an item: to move one costs as much as to send it.
fn large(capacity: usize) -> Group {
    let case = |how: &str| format!("three hops of 1 KiB items, {how}, capacity {capacity}");
    let times = if capacity < 1_000 { 4.0 } else { 2.5 };
    let target = both(&[AtMost::fraction(times, TOKIO)]);
    // Long enough that the memory which a round begins with counts for nothing.
    Group::flows()
        .lengthened(15)
        .ours(pipeline::hops::<KiB>(&case("stage drivers"), capacity), &target)
        .ours(ours::drivers::<KiB>(&case("by hand in chunks"), capacity), &[])
        .peers(peers_of::<KiB>(capacity))
}

fn peers_of<T: Item>(capacity: usize) -> [Subject; 6] {
    use one_by_one::{async_channel, flume, kanal, mpsc, thingbuf};
    [
        mpsc::hops::<T>(TOKIO, move || tokio::sync::mpsc::channel(capacity)),
        peers::recv_many::<T>("tokio mpsc, recv_many", capacity),
        kanal::hops::<T>("kanal", move || ::kanal::bounded_async(capacity)),
        flume::hops::<T>("flume", move || ::flume::bounded(capacity)),
        async_channel::hops::<T>("async-channel", move || ::async_channel::bounded(capacity)),
        thingbuf::hops::<T>("thingbuf", move || ::thingbuf::mpsc::channel(capacity)),
    ]
}

/// The next item goes in when the last has come out.
fn lone() -> Group {
    use one_by_one::{async_channel, flume, kanal, mpsc, thingbuf};
    const ROOM: usize = 100;
    let case = |how: &str| format!("a lone item through three hops, {how}");
    let target = both(&[AtMost::times(1.05, TOKIO)]);
    let ours = |how, timed| one_by_one::ours::lone::<u64>(&case(how), move || ours::channel(timed));
    Group::flows()
        .ours(ours("one by one", true), &target)
        .ours(ours("one by one, untimed", false), &target)
        .ours(ours::lone_drivers(&case("drivers by hand"), true), &target)
        .ours(ours::lone_drivers(&case("drivers by hand, untimed"), false), &target)
        .peer(mpsc::lone::<u64>(TOKIO, || tokio::sync::mpsc::channel(ROOM)))
        .peer(kanal::lone::<u64>("kanal", || ::kanal::bounded_async(ROOM)))
        .peer(flume::lone::<u64>("flume", || ::flume::bounded(ROOM)))
        .peer(async_channel::lone::<u64>("async-channel", || ::async_channel::bounded(ROOM)))
        .peer(thingbuf::lone::<u64>("thingbuf", || ::thingbuf::mpsc::channel(ROOM)))
}
