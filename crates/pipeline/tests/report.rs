//! What a run tells of its time, while it goes on and after.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::{StreamExt, stream};
use plimsoll_channel::bounded;
use plimsoll_core::{ManualClock, TokioClock};
use plimsoll_pipeline::{CancellationToken, Pipeline, Stall};
use std::{
    convert::Infallible,
    iter,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

type Good<T> = Result<T, Infallible>;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn token() -> CancellationToken {
    CancellationToken::new()
}

#[tokio::test(start_paused = true)]
async fn the_report_names_the_bottleneck_and_what_more_workers_would_give() {
    let wait = |time: u64| {
        move |n: u32| async move {
            sleep(ms(time)).await;
            Good::Ok(n)
        }
    };
    let report = Pipeline::from_iter(0..100)
        .stage("read", wait(2))
        .stage("parse", wait(10))
        .sink("write", move |n| {
            let wait = wait(4);
            async move { wait(n).await.map(drop) }
        })
        .clock(TokioClock)
        .run(CancellationToken::new())
        .await
        .unwrap();
    let bottleneck = report.bottleneck().unwrap();
    assert_eq!((&*bottleneck.stage, &*bottleneck.then), ("parse", "parse"));
    assert!((1.99..2.01).contains(&bottleneck.doubled), "{bottleneck:?}");
    assert!(bottleneck.occupancy > 0.99, "{bottleneck:?}");
    let parse = report.stage("parse").unwrap();
    assert_eq!((parse.taken, parse.given, parse.busy), (100, 100, ms(1_000)));
    assert!(parse.high_water > 70, "those before it run ahead");
    assert_eq!((report.elapsed, report.was_stopped), (ms(1_006), false));
    let lines = [
        "100 read: 100 written; 1.01s, 99 items/s",
        "stage   workers         in        out  filtered  errors  items/s  busy  starved  blocked      queue",
        "source        1        100        100         0       0       99    0%       0%       0%          -  ····················",
        "read          1        100        100         0       0       99   20%       0%       0%    100/256  ████················",
        "parse         1        100        100         0       0       99   99%       0%       0%     80/256  ████████████████████",
        "write         1        100        100         0       0       99   40%      60%       0%      1/256  ████████············",
        "bottleneck: parse, busy 99 % of the time; if it can have twice its workers, 2.0 times as fast",
    ];
    assert_eq!(report.to_string(), lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn the_next_slowest_stage_bounds_what_more_workers_would_give() {
    let wait = |time| {
        move |n: u32| async move {
            sleep(ms(time)).await;
            Good::Ok(n)
        }
    };
    let pipeline = Pipeline::from_iter(0..10).stage("one", wait(10)).stage("two", wait(8));
    let pipeline = pipeline.sink_sync("end", |_| Good::Ok(())).clock(TokioClock);
    let report = pipeline.run(token()).await.unwrap();
    let bottleneck = report.bottleneck().unwrap();
    assert_eq!((&*bottleneck.stage, &*bottleneck.then), ("one", "two"));
    assert!((1.24..1.26).contains(&bottleneck.doubled), "{bottleneck:?}");
}

#[tokio::test(start_paused = true)]
async fn where_the_source_is_slow_the_stages_wait_for_it() {
    let source = stream::iter(0..50).then(|n| async move {
        sleep(ms(20)).await;
        n
    });
    let report = Pipeline::from_stream(source)
        .sink("write", |_: i32| async {
            sleep(ms(10)).await;
            Good::Ok(())
        })
        .clock(TokioClock)
        .run(CancellationToken::new())
        .await
        .unwrap();
    let text = report.to_string();
    assert!(text.ends_with("the stages wait for the source"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_is_called_source_is_not_taken_for_it() {
    let report = Pipeline::from_iter(0..10)
        .sink("source", |_: i32| async {
            sleep(ms(10)).await;
            Good::Ok(())
        })
        .clock(TokioClock)
        .run(token())
        .await
        .unwrap();
    assert!(
        report.to_string().ends_with("if it can have twice its workers, 2.0 times as fast"),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_call_is_done_and_finds_no_room_is_blocked_and_not_busy() {
    let pipeline = Pipeline::from_iter(0..20)
        .stage("mixed", |n: u64| async move {
            if n == 10 {
                sleep(ms(1)).await;
            }
            Good::Ok(n)
        })
        .buffer(8)
        .sink("slow", |_| async {
            sleep(ms(100)).await;
            Good::Ok(())
        })
        .clock(TokioClock);
    let report = pipeline.run(token()).await.unwrap();
    let mixed = report.stage("mixed").unwrap();
    assert_eq!(mixed.busy, ms(1), "{report}");
    assert!(mixed.blocked > ms(100));
}

#[tokio::test]
async fn times_are_told_by_the_last_clock_that_was_set_wherever_it_starts() {
    let (one, two) = (ManualClock::new(), ManualClock::new());
    let turn = two.clone();
    let pipeline = Pipeline::from_iter([()])
        .sink("work", move |()| {
            turn.advance(ms(7));
            async { Good::Ok(()) }
        })
        .clock(one)
        .clock(two.clone());
    let stats = pipeline.stats();
    let unrun = Pipeline::from_iter(0..1);
    let never = unrun.stats();
    drop(unrun);
    assert_eq!(never.report().elapsed, Duration::ZERO);
    let mut results = pipeline.into_stream();
    two.advance(ms(3));
    assert_eq!(stats.report().elapsed, ms(3), "while it runs");
    assert!(results.next().await.is_some() && results.next().await.is_none());
    assert_eq!(stats.report().elapsed, ms(10));
    two.advance(ms(1));
    drop(results);
    assert_eq!(stats.report().elapsed, ms(10), "the end was before");
    two.advance(Duration::MAX);
    let _ = stats.report().to_string();
}

#[tokio::test(start_paused = true)]
async fn while_it_runs_the_high_water_stays_where_a_queue_was_full_and_is_empty() {
    let (tx, rx) = bounded(1);
    let pipeline = Pipeline::from_stream(rx)
        .buffer(8)
        .sink("slow", |_: u32| async {
            sleep(ms(10)).await;
            Good::Ok(())
        })
        .clock(TokioClock);
    let stats = pipeline.stats();
    let running = tokio::spawn(pipeline.run(token()));
    let seen = || {
        let report = stats.report();
        let slow = report.stage("slow").unwrap();
        (slow.queued, slow.high_water, slow.capacity, report.is_over)
    };
    tx.send_all(&mut (0..20).collect()).await.unwrap();
    sleep(ms(1)).await;
    assert_eq!(seen(), (8, 8, 8, false));
    sleep(ms(1_000)).await;
    assert_eq!(seen(), (0, 8, 8, false));
    drop(tx);
    running.await.unwrap().unwrap();
    assert_eq!(seen(), (0, 8, 8, true));
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_told_once_and_names_the_stage() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let token = CancellationToken::new();
    let running = tokio::spawn(
        Pipeline::from_iter(0..3_u64)
            .stage("quick", |n: u64| async move { Good::Ok(n) })
            .stage("slow", |n: u64| async move {
                sleep(ms(if n == 1 { 1_000 } else { 10 })).await;
                Good::Ok(n)
            })
            .sink_sync("write", |_| Good::Ok(()))
            .clock(TokioClock)
            .on_stall(ms(100), move |stall: &Stall| {
                tell.lock().unwrap().push((stall.stage.to_string(), stall.lasted));
            })
            .run(token),
    );
    assert!(running.await.unwrap().is_ok());
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "slow");
    assert!((ms(100)..=ms(151)).contains(&told[0].1), "{told:?}");
}

#[cfg(feature = "indicatif")]
#[tokio::test(start_paused = true)]
async fn a_progress_bar_follows_the_items_that_have_ended() {
    let bar = indicatif::ProgressBar::hidden();
    let pipeline = Pipeline::from_iter(0..6)
        .merge_with(Pipeline::from_iter(6..10))
        .sink("slow", |_: i32| async {
            sleep(ms(90)).await;
            Good::Ok(())
        })
        .progress(bar.clone());
    let running = tokio::spawn(pipeline.run(token()));
    sleep(ms(450)).await;
    assert_eq!((bar.position(), bar.length()), (4, Some(10)));
    running.await.unwrap().unwrap();
    assert_eq!((bar.position(), bar.is_finished()), (10, true));
}

#[tokio::test]
async fn large_items_are_taken_on_while_they_are_in_the_cache() {
    let report = Pipeline::from_iter((0..10).map(|n| [n; 256]))
        .flat_map("copy", |item: [u32; 256]| Good::Ok(iter::repeat_n(item, 1_000)))
        .buffer(4_096)
        .stage_sync("pass", Good::Ok)
        .buffer(4_096)
        .sink_sync("write", |_| Good::Ok(()))
        .clock(ManualClock::new())
        .run(token())
        .await
        .unwrap();
    assert_eq!(report.stage("write").unwrap().taken, 10_000);
    for stage in ["pass", "write"] {
        let most = report.stage(stage).unwrap().high_water;
        assert!(most <= 512, "{most} KiB lay before {stage}, which could have had them at once");
    }
}
