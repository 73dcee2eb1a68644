//! Pipelines as streams.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::StreamExt;
use plimsoll_core::{Drain, ManualClock};
use plimsoll_pipeline::{Cause, Pipeline};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::sleep;

type Good<T> = Result<T, Infallible>;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn slowly(n: u64) -> Good<u64> {
    sleep(ms(10)).await;
    Ok(n)
}

#[tokio::test]
async fn a_next_that_is_dropped_loses_nothing() {
    let mut results = Pipeline::from_iter(0..100)
        .stage("yields", |n: u32| async move {
            tokio::task::yield_now().await;
            Good::Ok(n)
        })
        .workers(3)
        .into_stream();
    let mut got = Vec::new();
    while got.len() < 100 {
        tokio::select! {
            biased;
            result = results.next() => got.push(result.unwrap().unwrap()),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(got, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_cuts_the_pipeline_off() {
    let pipeline = Pipeline::from_iter(0..).stage("slow", slowly);
    let stats = pipeline.stats();
    let mut results = pipeline.into_stream();
    assert!(results.next().await.is_some());
    drop(results);
    sleep(ms(100)).await;
    let report = stats.report();
    assert!(report.is_over);
    sleep(ms(1_000)).await;
    assert_eq!(stats.report().read, report.read);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_always_has_items_is_cut_off_in_time_too() {
    let pipeline =
        Pipeline::from_iter([0_u64]).flat_map("endless", |n| Good::Ok(n..)).drain_within(ms(50));
    let drainer = pipeline.drainer();
    let mut results = pipeline.into_stream();
    let draining = tokio::spawn(async move { drainer.drain().await });
    let mut last = None;
    for _ in 0..10_000 {
        match results.next().await {
            Some(Ok(_)) => sleep(ms(1)).await,
            Some(Err(error)) => last = Some(error),
            None => break,
        }
    }
    assert!(matches!(last.unwrap().cause(), Cause::CutOff { .. }));
    assert!(draining.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn timeouts_in_a_stage_do_not_run_out_while_the_consumer_is_busy() {
    let mut results = Pipeline::from_iter(0..5)
        .stage("call", |n: u32| async move {
            tokio::time::timeout(ms(20), sleep(ms(10))).await.map(|()| n)
        })
        .workers(2)
        .into_stream();
    for n in 0..5 {
        assert_eq!(results.next().await.unwrap().unwrap(), n);
        sleep(ms(100)).await;
    }
}

#[tokio::test]
async fn what_is_made_slowly_of_one_item_goes_on_as_it_is_made() {
    let clock = ManualClock::new();
    let (turn, made) = (clock.clone(), Arc::new(AtomicUsize::new(0)));
    let make = Arc::clone(&made);
    let pipeline = Pipeline::from_iter([0])
        .flat_map("slow", move |n| {
            let (turn, make) = (turn.clone(), Arc::clone(&make));
            Good::Ok((n..).inspect(move |_| {
                turn.advance(ms(1));
                make.fetch_add(1, SeqCst);
            }))
        })
        .clock(clock);
    let mut results = pipeline.into_stream();
    assert_eq!(results.next().await.unwrap().unwrap(), 0);
    assert!(made.load(SeqCst) < 4, "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_though_a_plain_function_never_returns() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let pipeline = Pipeline::from_iter([1])
        .stage_sync("stuck", move |n| {
            let _ = held.lock().unwrap().recv(); // until the test has its answer
            Good::Ok(n)
        })
        .drain_within(Duration::ZERO);
    let (drainer, stats) = (pipeline.drainer(), pipeline.stats());
    let mut results = pipeline.into_stream();
    while stats.report().stages[1].taken == 0 {
        tokio::task::yield_now().await;
    }
    let draining = tokio::spawn(async move { drainer.drain().await });
    assert!(results.next().await.unwrap().is_err());
    assert!(results.next().await.is_none());
    assert!(draining.await.unwrap().is_err());
    drop(release);
}
