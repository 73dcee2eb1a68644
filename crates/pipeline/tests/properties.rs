//! The account of random pipelines: whatever fails, panics, is drained or cut
//! off, each item ends once, and as the report says.
//!
//! 512 pipelines on one thread with the clock paused, and 64 on two threads.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::stream;
use plimsoll_pipeline::{
    Ack, CancellationToken, DeadLetter, Pipeline, Report, RunError, Stats, dead_letter, skip,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    runtime::Builder,
    task::yield_now,
    time::{Instant, sleep},
};

/// What a call for an item does.
#[derive(Clone, Copy, Debug)]
enum Call {
    Good,
    Yields,
    Sleeps(u64),
    Leaves,
    Fails,
    Panics,
}

#[derive(Clone, Copy, Debug)]
struct Hop {
    workers: usize,
    ordered: bool,
    buffer: usize,
    reorder: usize,
}

/// What a pipeline is and what happens to it.
#[derive(Clone, Debug)]
struct Plan {
    /// For each item, its call in each of the two stages that can fail.
    items: Vec<[Call; 2]>,
    hops: [Hop; 4],
    children: usize,
    batch: usize,
    lanes: usize,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    ByItself,
    Drained(u64),
    Aborted(u64),
}

fn call(harmless: bool) -> impl Strategy<Value = Call> {
    let bad = u32::from(!harmless);
    prop_oneof![
        60 => Just(Call::Good),
        10 => Just(Call::Yields),
        8 => (1..20_u64).prop_map(Call::Sleeps),
        10 => Just(Call::Leaves),
        10 => Just(Call::Fails),
        bad => Just(Call::Panics),
    ]
}

fn hop() -> impl Strategy<Value = Hop> {
    (1..5_usize, any::<bool>(), 1..20_usize, 0..5_usize)
        .prop_map(|(workers, ordered, buffer, reorder)| Hop { workers, ordered, buffer, reorder })
}

fn plan() -> impl Strategy<Value = Plan> {
    let end = prop_oneof![
        Just(End::ByItself),
        (0..200_u64).prop_map(End::Drained),
        (0..200_u64).prop_map(End::Aborted),
    ];
    let items = any::<bool>()
        .prop_flat_map(|harmless| prop::collection::vec([call(harmless), call(harmless)], 0..200));
    (items, [hop(), hop(), hop(), hop()], 0..4_usize, 1..9_usize, 1..4_usize, end).prop_map(
        |(items, hops, children, batch, lanes, end)| Plan {
            items,
            hops,
            children,
            batch,
            lanes,
            end,
        },
    )
}

/// What really became of the items, told by those who saw them.
#[derive(Default)]
struct World {
    /// How many children of each were written.
    written: BTreeMap<usize, usize>,
    /// In which order.
    order: Vec<usize>,
    dead: BTreeSet<usize>,
    acked: BTreeSet<usize>,
    unacked: BTreeSet<usize>,
}

type Shared = Arc<Mutex<World>>;

/// Also after a panic: some are planned.
fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Receipt(usize, Shared);

impl Ack for Receipt {
    fn ack(self) {
        assert!(lock(&self.1).acked.insert(self.0), "acknowledged twice");
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut world = lock(&self.1);
        if !world.acked.contains(&self.0) {
            world.unacked.insert(self.0);
        }
    }
}

async fn make(call: Call, item: usize) -> Result<Option<usize>, String> {
    match call {
        Call::Good => {}
        Call::Yields => yield_now().await,
        Call::Sleeps(ms) => sleep(Duration::from_millis(ms)).await,
        Call::Leaves => return Ok(None),
        Call::Fails => return Err(format!("{item} failed")),
        Call::Panics => panic!("{item} panicked"),
    }
    Ok(Some(item))
}

/// Runs the plan, checks the bounds on the way, and returns how it ended.
async fn run(plan: Plan, world: Shared) -> (Option<Result<Report, RunError>>, Stats) {
    let items = Arc::new(plan.items.clone());
    let [one, two, three, four] = plan.hops;
    let token = CancellationToken::new();
    let running = Arc::new([const { AtomicUsize::new(0) }; 2]);

    let receipts: Vec<_> =
        (0..items.len()).map(|item| (item, Receipt(item, Arc::clone(&world)))).collect();
    let (calls, now) = (Arc::clone(&items), Arc::clone(&running));
    let first = Pipeline::from_acked(stream::iter(receipts))
        .buffer(one.buffer)
        .stage("first", move |item: usize| {
            let (call, now) = (calls[item][0], Arc::clone(&now));
            async move {
                struct Running(Arc<[AtomicUsize; 2]>);
                impl Drop for Running {
                    fn drop(&mut self) {
                        self.0[0].fetch_sub(1, SeqCst);
                    }
                }
                assert!(now[0].fetch_add(1, SeqCst) < two.workers, "more than its workers");
                let _running = Running(now);
                make(call, item).await
            }
        })
        .on_error(skip())
        .workers(two.workers)
        .buffer(two.buffer)
        .reorder(two.reorder);
    let first = if two.ordered { first } else { first.unordered() };
    let present = first.filter_map("present", Ok::<_, Infallible>);
    let (calls, children, dead) = (Arc::clone(&items), plan.children, Arc::clone(&world));
    let second = present
        .flat_map("children", move |item| {
            Ok::<_, Infallible>((0..children).map(move |child| (item, child)))
        })
        .split(plan.lanes, |(item, _)| *item)
        .stage("second", move |(item, child): (usize, usize)| {
            let call = if child == 0 { calls[item][1] } else { Call::Good };
            async move {
                // It cannot leave here: that was for the first stage to say.
                make(call, item).await.map(|_| (item, child))
            }
        })
        .on_error(dead_letter(move |letter: DeadLetter<(usize, usize), String>| {
            assert!(lock(&dead).dead.insert(letter.item.0));
            async { Ok::<_, Infallible>(()) }
        }))
        .workers(three.workers)
        .buffer(three.buffer)
        .reorder(three.reorder);
    let second = if three.ordered { second } else { second.unordered() };
    let taken = Arc::clone(&world);
    let last = second.batched(plan.batch, Duration::from_millis(7)).buffer(four.buffer).sink_sync(
        "write",
        move |batch: Vec<(usize, usize)>| {
            let mut world = lock(&taken);
            for (item, _) in batch {
                *world.written.entry(item).or_default() += 1;
                world.order.push(item);
            }
            Ok::<_, Infallible>(())
        },
    );
    let stats = last.stats();
    let start = Instant::now();
    let run = tokio::spawn(last.run(token.clone()));
    let ended = match plan.end {
        End::ByItself => Some(run.await.unwrap()),
        End::Drained(ms) => {
            sleep(Duration::from_millis(ms)).await;
            token.cancel();
            Some(run.await.unwrap())
        }
        End::Aborted(ms) => {
            sleep(Duration::from_millis(ms)).await;
            run.abort();
            run.await.ok()
        }
    };
    assert!(start.elapsed() < Duration::from_secs(60), "it hangs");
    // On other threads, what was cut off may need a moment to end.
    let all_known = || {
        let world = lock(&world);
        world.acked.len() + world.unacked.len() == items.len()
    };
    while !all_known() {
        sleep(Duration::from_millis(1)).await;
        assert!(start.elapsed() < Duration::from_secs(60), "an item is held for ever");
    }
    (ended, stats)
}

fn check(plan: &Plan, ended: Option<Result<Report, RunError>>, stats: &Stats, world: &World) {
    let report = stats.report();
    let all = report.written
        + report.filtered
        + report.skipped
        + report.dead_lettered
        + report.failed
        + report.dropped;
    assert_eq!(report.read, all, "{report}");
    assert!(report.is_over && report.inside() == 0);
    let went_well = matches!(ended, Some(Ok(_)));
    if let Some(ended) = ended {
        let told = match ended {
            Ok(report) => report,
            Err(error) => error.report().clone(),
        };
        assert_eq!((told.read, told.written), (report.read, report.written), "told too early");
    }
    // By the acks: each settled item, and no other, was acknowledged.
    let settled = report.written + report.filtered + report.skipped + report.dead_lettered;
    assert_eq!(world.acked.len() as u64, settled, "{report}");
    assert!(world.acked.is_disjoint(&world.unacked));
    assert_eq!(world.acked.len() + world.unacked.len(), plan.items.len());
    if went_well {
        assert_eq!((report.failed, report.dropped), (0, 0), "{report}");
    }
    if went_well && matches!(plan.end, End::ByItself) {
        assert_eq!(report.read, plan.items.len() as u64);
    }
    // Of those that are done with, everything came to its end.
    let mut expected =
        BTreeMap::from([("written", 0), ("filtered", 0), ("skipped", 0), ("dead", 0)]);
    for item in &world.acked {
        let written = world.written.get(item).copied().unwrap_or(0);
        let [first, second] = plan.items[*item];
        let (what, children) = match (first, second) {
            (Call::Fails, _) => ("skipped", 0),
            (Call::Leaves, _) => ("filtered", 0),
            _ if plan.children == 0 => ("filtered", 0),
            (_, Call::Fails) => ("dead", plan.children - 1),
            _ => ("written", plan.children),
        };
        *expected.get_mut(what).unwrap() += 1;
        assert_eq!(written, children, "{item} of {report}");
        assert_eq!(world.dead.contains(item), what == "dead");
    }
    let counted = [report.written, report.filtered, report.skipped, report.dead_lettered];
    let names = ["written", "filtered", "skipped", "dead"];
    assert_eq!(counted, names.map(|name| expected[name]), "{report}");
    // With one lane, what is kept in order in each stage is so in the end.
    if plan.lanes == 1 && plan.hops[1].ordered && plan.hops[2].ordered {
        assert!(world.order.is_sorted(), "{:?}", world.order);
    }
}

fn go(plan: &Plan, runtime: &tokio::runtime::Runtime) {
    let world = Shared::default();
    let (ended, stats) = runtime.block_on(run(plan.clone(), Arc::clone(&world)));
    let world = lock(&world);
    check(plan, ended, &stats, &world);
}

/// Panics are part of the plan: they need no trace each.
fn quietly(test: impl FnOnce()) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        if !text.is_some_and(|text| text.ends_with(" panicked")) {
            hook(info);
        }
    }));
    test();
}

#[test]
fn every_item_is_accounted_for_whatever_happens() {
    quietly(|| {
        let config = ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() };
        proptest!(config, |(plan in plan())| {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
            go(&plan, &runtime.unwrap());
        });
    });
}

#[test]
fn so_it_is_on_several_threads() {
    quietly(|| {
        let config = ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() };
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        proptest!(config, |(plan in plan())| go(&plan, &runtime));
    });
}
