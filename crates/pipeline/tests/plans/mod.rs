//! Random pipelines: what they are, and what happens to them.

mod world;

pub(crate) use self::world::{Receipt, Running, Seen, World};
use proptest::prelude::*;
use std::time::Duration;
use tokio::{task::yield_now, time::sleep};

/// What a call for an item does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Good,
    Yields,
    Sleeps(u64),
    Leaves,
    Fails,
    /// The first so many times.
    FailsFirst(u32),
    Panics,
    Hangs,
}

/// What is set for a stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    pub(crate) workers: usize,
    pub(crate) ordered: bool,
    pub(crate) reorder: usize,
}

/// What a pipeline is and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// For each item, its call in each of the three stages that can fail.
    pub(crate) items: Vec<[Call; 3]>,
    /// So many of the items come from a second source.
    pub(crate) beside: usize,
    pub(crate) hops: [Hop; 3],
    pub(crate) buffers: [usize; 9],
    pub(crate) children: usize,
    pub(crate) batch: usize,
    pub(crate) lanes: usize,
    pub(crate) merged: bool,
    /// How many at once write, where that blocks.
    pub(crate) writers: Option<usize>,
    pub(crate) end: End,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    ByItself,
    /// At a time, and cut off after another.
    Drained(u64, Option<u64>),
    /// At a time.
    Aborted(u64),
}

impl End {
    /// When it comes, unless that is when all is done.
    pub(crate) fn at(self) -> Option<u64> {
        match self {
            Self::ByItself => None,
            Self::Drained(at, _) | Self::Aborted(at) => Some(at),
        }
    }

    /// Whether it comes also if some call never returns.
    fn cuts(self) -> bool {
        matches!(self, Self::Drained(_, Some(_)) | Self::Aborted(_))
    }
}

/// How often one of the third stage is made.
pub(crate) const ATTEMPTS: u32 = 3;

/// A call; `fails`, `panics` and `hangs` are weights among some 100.
fn call(fails: u32, panics: u32, hangs: u32) -> impl Strategy<Value = Call> {
    prop_oneof![
        60 => Just(Call::Good),
        10 => Just(Call::Yields),
        8 => (1..20_u64).prop_map(Call::Sleeps),
        10 => Just(Call::Leaves),
        fails => Just(Call::Fails),
        8 => (1..ATTEMPTS).prop_map(Call::FailsFirst),
        panics => Just(Call::Panics),
        hangs => Just(Call::Hangs),
    ]
}

fn hop() -> impl Strategy<Value = Hop> {
    (1..5_usize, any::<bool>(), 0..5_usize).prop_map(|(workers, ordered, reorder)| Hop {
        workers,
        ordered,
        reorder,
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::ByItself),
        (0..80_u64, prop::option::of(0..30_u64)).prop_map(|(at, within)| End::Drained(at, within)),
        (0..80_u64).prop_map(End::Aborted),
    ]
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let some = || prop::bool::weighted(0.3).prop_map(u32::from);
    let items = (some(), some(), some(), end()).prop_flat_map(|(panics, stops, hangs, end)| {
        let hangs = if end.cuts() { hangs } else { 0 };
        let calls = [10, 10, stops].map(|fails| call(fails, panics, hangs));
        (prop::collection::vec(calls, 0..200), Just(end))
    });
    let lanes = (1..4_usize, any::<bool>());
    let sizes = (0..4_usize, 1..9_usize, prop::option::of(1..4_usize), 0..200_usize);
    let buffers = prop::array::uniform9(1..20_usize);
    (items, prop::array::uniform3(hop()), buffers, lanes, sizes).prop_map(
        |((items, end), hops, buffers, (lanes, merged), (children, batch, writers, beside))| {
            let beside = beside.min(items.len());
            Plan { items, beside, hops, buffers, children, batch, lanes, merged, writers, end }
        },
    )
}

/// By which time a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// It moves when all wait for it.
    Paused,
    /// Nobody waits for it: what would take time yields, and what would come at a
    /// time comes with a call.
    None,
}

impl Time {
    pub(crate) fn ms(self, n: u64) -> Duration {
        Duration::from_millis(if self == Self::Paused { n } else { 0 })
    }

    pub(crate) async fn pass(self, ms: u64) {
        match self {
            Self::Paused => sleep(self.ms(ms)).await,
            Self::None => {
                for _ in 0..ms {
                    yield_now().await;
                }
            }
        }
    }
}
