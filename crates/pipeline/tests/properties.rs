//! The account of random pipelines: whatever fails, panics, hangs, is drained or
//! cut off, each item ends once, and as the report says; and no queue ever holds
//! more than its buffer.
//!
//! 2,048 pipelines on one thread with the clock paused, and 256 on two threads, where
//! some of them write on threads for blocking work. Each has two sources that are
//! merged, stages that skip, filter, multiply, split, hand to dead letters, try
//! again, stop, are fused, and gather, and a sink.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod plans;

use futures::stream;
use plans::{ATTEMPTS, Call, End, Plan, Receipt, Running, Seen, Time, World, plan};
use plimsoll_pipeline::{
    CancellationToken, Cause, DeadLetter, Flow, Pipeline, Report, RunError, Stats, dead_letter,
    skip, stop,
};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    ops::Range,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

/// Some of the items that are there at all.
fn head(world: &World, items: Range<usize>) -> Pipeline<impl Flow<Item = usize> + use<>> {
    let receipts: Vec<_> = items.map(|item| (item, Receipt(item, world.clone()))).collect();
    let ([hop, ..], [source, first, present, ..]) = (world.plan.hops, world.plan.buffers);
    let (calls, running) = (world.clone(), Arc::default());
    let stage = Pipeline::from_acked(stream::iter(receipts))
        .buffer(source)
        .stage("first", move |item: usize| {
            let (world, running) = (calls.clone(), Running::one_of(&running, hop.workers));
            async move {
                let _running = running;
                world.make(item, 0, 1).await.map(|stays| stays.then_some(item))
            }
        })
        .on_error(skip())
        .workers(hop.workers)
        .reorder(hop.reorder)
        .buffer(first);
    let stage = if hop.ordered { stage } else { stage.unordered() };
    let here = world.clone();
    stage
        .filter_map("present", move |item| {
            let _here = &here;
            Ok::<_, Infallible>(item)
        })
        .buffer(present)
}

/// Their children, but for some that are left out.
fn body(
    items: Pipeline<impl Flow<Item = usize>>,
    world: &World,
) -> Pipeline<impl Flow<Item = Vec<(usize, usize)>>> {
    let plan = &world.plan;
    let ([_, second, third], [.., children, split, two, three, batch]) = (plan.hops, plan.buffers);
    let (parent, calls, dead) = (world.clone(), world.clone(), world.clone());
    let stage = items
        .flat_map("children", move |item| {
            Ok::<_, Infallible>(parent.children().map(move |child| (item, child)))
        })
        .buffer(children)
        .split(plan.lanes, |(item, _)| *item)
        .buffer(split)
        .stage("second", move |(item, child): (usize, usize)| {
            let world = calls.clone();
            async move {
                // It cannot leave here: that was for the first stage to say.
                match child {
                    0 => world.make(item, 1, 1).await.map(|_| (item, child)),
                    _ => Ok((item, child)),
                }
            }
        })
        .on_error(dead_letter(move |letter: DeadLetter<(usize, usize), String>| {
            assert!(dead.seen().dead.insert(letter.item.0));
            async { Ok::<_, Infallible>(()) }
        }))
        .workers(second.workers)
        .reorder(second.reorder)
        .buffer(two);
    let stage = if second.ordered { stage } else { stage.unordered() };
    let stage = if plan.merged { stage.merge() } else { stage };
    let (calls, time) = (world.clone(), world.time);
    let stage = stage
        .stage("third", move |(item, child): (usize, usize)| {
            let world = calls.clone();
            async move {
                if child > 0 {
                    return Ok((item, child));
                }
                let attempt = {
                    let mut seen = world.seen();
                    let attempts = seen.attempts.entry(item).or_default();
                    *attempts += 1;
                    *attempts
                };
                world.make(item, 2, attempt).await.map(|_| (item, child))
            }
        })
        .on_error(stop())
        .retry(move |attempt, _| (attempt < ATTEMPTS).then(|| time.ms(attempt.into())))
        .workers(third.workers);
    let stage = if third.ordered { stage } else { stage.unordered() };
    let sift = stage.filter("sift", |(item, child)| !is_left_out(*item, *child));
    let sift = if third.ordered { sift } else { sift.unordered() };
    let fused = sift.reorder(third.reorder).buffer(three).fuse();
    let linger = if time == Time::Paused { time.ms(7) } else { Duration::MAX };
    fused.batched(plan.batch, linger).buffer(batch)
}

fn is_left_out(item: usize, child: usize) -> bool {
    child == 1 && item % 3 == 0
}

/// What is in front of each stage.
fn buffer(plan: &Plan, stage: &str) -> usize {
    let [source, first, present, merge, children, split, second, third, batch] = plan.buffers;
    match stage {
        "source" => 0,
        "first" => source,
        "present" => first,
        "merge" => present,
        "children" => merge,
        "split" => children,
        "second" => split,
        "third + sift" => second,
        "batch" => third,
        "write" => batch,
        _ => panic!("there is no {stage}"),
    }
}

fn start(
    pipeline: Pipeline<impl Flow<Item = ()>>,
    world: &World,
    token: CancellationToken,
) -> (Stats, JoinHandle<Result<Report, RunError>>) {
    let pipeline = match world.plan.end {
        End::Drained(_, Some(within)) => pipeline.drain_within(world.time.ms(within)),
        _ => pipeline,
    };
    (pipeline.stats(), tokio::spawn(pipeline.run(token)))
}

/// Runs the plan, checks the bounds on the way, and returns how it ended.
async fn run(world: World) -> (Option<Result<Report, RunError>>, Stats) {
    let plan = Arc::clone(&world.plan);
    let from_other = plan.items.len() - plan.beside;
    let one = head(&world, 0..from_other);
    let both = one.merge_with(head(&world, from_other..plan.items.len())).buffer(plan.buffers[3]);
    let batches = body(both, &world);
    let writes = world.clone();
    let write = move |batch| {
        writes.write(batch);
        Ok::<_, Infallible>(())
    };
    let token = CancellationToken::new();
    let (stats, mut run) = match plan.writers.filter(|_| world.time == Time::None) {
        Some(n) => start(batches.blocking("write", write).workers(n), &world, token.clone()),
        None => start(batches.sink_sync("write", write), &world, token.clone()),
    };
    let Some(at) = plan.end.at() else { return (Some(run.await.unwrap()), stats) };
    let ended = tokio::select! {
        ended = &mut run => Some(ended.unwrap()),
        () = world.until_cue(at) => {
            if let End::Aborted(_) = plan.end { run.abort() } else { token.cancel() }
            run.await.ok()
        }
    };
    (ended, stats)
}

fn check(plan: &Plan, ended: Option<Result<Report, RunError>>, stats: &Stats, seen: &Seen) {
    let report = stats.report();
    let all = report.written
        + report.filtered
        + report.skipped
        + report.dead_lettered
        + report.failed
        + report.dropped;
    assert_eq!(report.read, all, "{report}");
    assert!(report.is_over && report.inside() == 0);
    assert!(ended.is_some() || matches!(plan.end, End::Aborted(_)));
    let went_well = matches!(ended, Some(Ok(_)));
    if let Some(ended) = ended {
        let told = match ended {
            Ok(report) => report,
            Err(error) => {
                let as_planned = match error.cause() {
                    Cause::Failed { stage, .. } => &**stage == "third",
                    Cause::Panicked { .. } => report.failed > 0,
                    Cause::CutOff { .. } => matches!(plan.end, End::Drained(_, Some(_))),
                    _ => false,
                };
                assert!(as_planned, "{error:?}");
                error.report().clone()
            }
        };
        assert_eq!((told.read, told.written), (report.read, report.written), "told too early");
    }
    for stage in &report.stages {
        assert_eq!(stage.capacity, buffer(plan, &stage.name));
        assert!(stage.high_water <= stage.capacity as u64, "{report}");
    }
    // By the acks: each settled item, and no other, was acknowledged.
    let settled = report.written + report.filtered + report.skipped + report.dead_lettered;
    assert_eq!(seen.acked.len() as u64, settled, "{report}");
    assert!(seen.acked.is_disjoint(&seen.unacked));
    assert_eq!(seen.acked.len() + seen.unacked.len(), plan.items.len());
    if went_well {
        assert_eq!((report.failed, report.dropped), (0, 0), "{report}");
    }
    if went_well && matches!(plan.end, End::ByItself) {
        assert_eq!(report.read, plan.items.len() as u64);
    }
    // Of those that are done with, everything came to its end.
    let mut expected =
        BTreeMap::from([("written", 0), ("filtered", 0), ("skipped", 0), ("dead", 0)]);
    for item in &seen.acked {
        let [first, second, third] = plan.items[*item];
        let left_out = (0..plan.children).filter(|child| is_left_out(*item, *child)).count();
        let (what, children) = match (first, second) {
            (Call::Fails, _) => ("skipped", 0),
            (Call::Leaves, _) => ("filtered", 0),
            _ if plan.children == 0 => ("filtered", 0),
            (_, Call::Fails) => ("dead", plan.children - left_out - 1),
            _ => ("written", plan.children - left_out),
        };
        *expected.get_mut(what).unwrap() += 1;
        let written = seen.written.get(item).copied().unwrap_or(0);
        assert_eq!(written, children, "{item} of {report}");
        assert_eq!(seen.dead.contains(item), what == "dead");
        let attempts = match third {
            _ if what != "written" => 0,
            Call::FailsFirst(times) => times + 1,
            _ => 1,
        };
        assert_eq!(seen.attempts.get(item).copied().unwrap_or(0), attempts);
    }
    let counted = [report.written, report.filtered, report.skipped, report.dead_lettered];
    let names = ["written", "filtered", "skipped", "dead"];
    assert_eq!(counted, names.map(|name| expected[name]), "{report}");
    // What is kept in order in each stage is so in the end: in each lane, and from
    // each source.
    let in_order = plan.hops.iter().all(|hop| hop.ordered) && plan.writers.is_none_or(|n| n == 1);
    if in_order {
        let mut last = BTreeMap::new();
        for (item, child) in &seen.order {
            assert!(last.insert(item, child) < Some(child), "{:?}", seen.order);
        }
    }
    if plan.lanes == 1 && in_order {
        let from_other = plan.items.len() - plan.beside;
        let (one, other): (Vec<_>, Vec<_>) =
            seen.order.iter().copied().partition(|(item, _)| *item < from_other);
        assert!(one.is_sorted() && other.is_sorted(), "{:?}", seen.order);
    }
}

fn go(plan: &Plan, time: Time, runtime: &Runtime) {
    let (here, mut all_gone) = mpsc::channel(1);
    let world = World {
        plan: Arc::new(plan.clone()),
        time,
        seen: Arc::default(),
        calls: Arc::default(),
        cue: Arc::default(),
        _here: here,
    };
    let seen = Arc::clone(&world.seen);
    let run = async {
        let ended = run(world).await;
        // On other threads, what was cut off may need a moment to end.
        all_gone.recv().await;
        ended
    };
    let ended = runtime.block_on(async { timeout(Duration::from_secs(60), run).await });
    let (ended, stats) = ended.expect("it hangs, or something is held for ever");
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    check(plan, ended, &stats, &seen);
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

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..Default::default() }
}

#[test]
fn every_item_is_accounted_for_whatever_happens() {
    quietly(|| {
        proptest!(cases(2_048), |(plan in plan())| {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
            go(&plan, Time::Paused, &runtime.unwrap());
        });
    });
}

#[test]
fn so_it_is_on_several_threads() {
    quietly(|| {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        proptest!(cases(256), |(plan in plan())| go(&plan, Time::None, &runtime));
    });
}
