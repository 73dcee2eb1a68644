//! How runs end: drained, aborted, cut off; and who hears of it.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::{StreamExt, stream};
use plimsoll_channel::bounded;
use plimsoll_core::{Drain, Load, TokioClock};
use plimsoll_pipeline::{Ack, CancellationToken, Cause, Pipeline, Stall, skip};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

type Good<T> = Result<T, Infallible>;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

async fn slowly(n: u64) -> Good<u64> {
    sleep(ms(10)).await;
    Ok(n)
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_token_stops_the_source_and_finishes_what_is_inside() {
    let token = CancellationToken::new();
    let running = tokio::spawn(
        Pipeline::from_iter(0..)
            .buffer(5)
            .stage("slow", slowly)
            .sink_sync("write", |_| Good::Ok(()))
            .run(token.clone()),
    );
    sleep(ms(105)).await;
    token.cancel();
    let report = running.await.unwrap().unwrap();
    assert!(report.is_over && report.read > 10, "{report}");
    assert_eq!((report.written, report.dropped), (report.read, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_is_cut_off_and_its_stats_still_tell_what_was_inside() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let pipeline =
        Pipeline::from_iter(0..1_000).stage("slow", slowly).sink_sync("write", move |_| {
            count.fetch_add(1, SeqCst);
            Good::Ok(())
        });
    let stats = pipeline.stats();
    let running = tokio::spawn(pipeline.run(CancellationToken::new()));
    sleep(ms(105)).await;
    assert_eq!(stats.load() as u64, stats.report().inside());
    assert!(!stats.report().is_over && stats.report().inside() > 0);
    running.abort();
    let _ = running.await;
    sleep(ms(1_000)).await;
    let report = stats.report();
    assert_eq!((report.written, written.load(SeqCst)), (10, 10), "nothing runs on");
    assert!(report.is_over);
    assert_eq!(report.dropped, report.read - 10);
}

#[tokio::test(start_paused = true)]
async fn a_channel_source_is_closed_and_emptied_by_a_drain() {
    let (tx, rx) = bounded(10);
    tx.send_all(&mut (0..10).collect()).await.unwrap();
    let token = CancellationToken::new();
    let running = tokio::spawn(
        Pipeline::from_channel(rx)
            .buffer(1)
            .sink("slow", |n| async move { slowly(n).await.map(drop) })
            .run(token.clone()),
    );
    sleep(ms(25)).await;
    token.cancel();
    sleep(ms(1)).await;
    assert!(tx.try_send(11).is_err(), "nothing new is accepted");
    assert_eq!(running.await.unwrap().unwrap().written, 10, "what was accepted is written");
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_never_returns_is_cut_off_in_time_and_named() {
    let token = CancellationToken::new();
    let running = tokio::spawn(
        Pipeline::from_iter(0..10)
            .stage("fine", slowly)
            .stage("hang", |_| std::future::pending::<Good<u64>>())
            .sink_sync("write", |_| Good::Ok(()))
            .drain_within(ms(500))
            .run(token.clone()),
    );
    sleep(ms(200)).await;
    let start = Instant::now();
    token.cancel();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(start.elapsed(), ms(500));
    let text = "the pipeline was cut off before it had drained; at work: hang";
    assert_eq!(error.to_string(), text);
    assert!(matches!(error.cause(), Cause::CutOff { stages } if stages.len() == 1));
    assert_eq!(error.report().dropped, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn even_a_plain_function_that_never_returns_does_not_hold_up_the_end() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    let token = CancellationToken::new();
    let pipeline = Pipeline::from_iter([1])
        .stage_sync("stuck", move |n| {
            let _ = held.lock().unwrap().recv(); // until the test has its answer
            Good::Ok(n)
        })
        .sink_sync("write", |_| Good::Ok(()))
        .drain_within(Duration::ZERO);
    let stats = pipeline.stats();
    let running = tokio::spawn(pipeline.run(token.clone()));
    while stats.report().stages.get(1).is_none_or(|stage| stage.taken == 0) {
        tokio::task::yield_now().await;
    }
    token.cancel();
    let error = running.await.unwrap().unwrap_err();
    assert!(error.to_string().ends_with("at work: stuck"), "{error}");
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn a_drainer_waits_for_the_end() {
    let pipeline =
        Pipeline::from_iter(0..).sink("slow", |n| async move { slowly(n).await.map(drop) });
    let (drainer, stats) = (pipeline.drainer(), pipeline.stats());
    let running = tokio::spawn(pipeline.run(CancellationToken::new()));
    sleep(ms(55)).await;
    let (one, two) = tokio::join!(drainer.drain(), drainer.drain());
    assert_eq!((one, two), (Ok(()), Ok(())));
    assert!(stats.report().is_over && running.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_drainer_tells_what_was_not_finished() {
    let pipeline = Pipeline::from_iter(0..10)
        .sink("hang", |_| std::future::pending::<Good<()>>())
        .drain_within(ms(10));
    let drainer = pipeline.drainer();
    let running = tokio::spawn(pipeline.run(CancellationToken::new()));
    sleep(ms(1)).await;
    let error = drainer.drain().await.unwrap_err();
    assert_eq!((error.unfinished(), error.why()), (10, "the pipeline ended before they did"));
    assert!(running.await.unwrap().is_err());
}

#[tokio::test]
async fn a_drainer_of_a_pipeline_that_never_ran_returns() {
    let pipeline = Pipeline::from_iter(0..10);
    let drainer = pipeline.drainer();
    drop(pipeline);
    assert_eq!(drainer.drain().await, Ok(()));
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

/// Acknowledges by its number, or says that it was dropped.
struct Receipt(u32, Arc<Mutex<(Vec<u32>, Vec<u32>)>>);

impl Ack for Receipt {
    fn ack(self) {
        self.1.lock().unwrap().0.push(self.0);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut log = self.1.lock().unwrap();
        if !log.0.contains(&self.0) {
            log.1.push(self.0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ack_comes_when_everything_that_came_of_the_item_is_written() {
    let log = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let receipts = (0..4).map(|n| (n, Receipt(n, Arc::clone(&log)))).collect::<Vec<_>>();
    let seen = Arc::clone(&log);
    let report = Pipeline::from_acked(stream::iter(receipts))
        .flat_map("three", |n| Good::Ok([n, n, n]))
        .batched(5, Duration::MAX)
        .sink_sync("write", move |batch: Vec<u32>| {
            for n in batch {
                assert!(!seen.lock().unwrap().0.contains(&n), "acknowledged before it was written");
            }
            Good::Ok(())
        })
        .run(CancellationToken::new())
        .await
        .unwrap();
    assert_eq!((report.read, report.written), (4, 4));
    assert_eq!(*log.lock().unwrap(), (vec![0, 1, 2, 3], vec![]));
}

#[tokio::test]
async fn what_was_skipped_is_acknowledged_and_what_was_dropped_is_not() {
    let log = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let receipts = (0..10).map(|n| (n, Receipt(n, Arc::clone(&log)))).collect::<Vec<_>>();
    let error = Pipeline::from_acked(stream::iter(receipts))
        .stage_sync("skip", |n: u32| if n == 2 { Err("no") } else { Ok(n) })
        .on_error(skip())
        .filter_map("filter", |n| Good::Ok((n != 3).then_some(n)))
        .sink_sync("write", |n| if n == 5 { Err("full") } else { Ok(()) })
        .run(CancellationToken::new())
        .await
        .unwrap_err();
    let mut log = log.lock().unwrap().clone();
    log.0.sort_unstable();
    log.1.sort_unstable();
    assert_eq!(log, (vec![0, 1, 2, 3, 4], vec![5, 6, 7, 8, 9]));
    let report = error.report();
    assert_eq!((report.written, report.skipped, report.filtered, report.failed), (3, 1, 1, 1));
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
    assert_eq!(report.elapsed, ms(1_006));
    let lines = [
        "100 read: 100 written; 1.01s, 99 items/s",
        "stage   workers         in        out  errors  items/s  busy  starved  blocked      queue",
        "source        1        100        100       0       99    0%       0%       0%          -  ····················",
        "read          1        100        100       0       99   20%       0%       0%    100/256  ████················",
        "parse         1        100        100       0       99   99%       0%       0%     80/256  ████████████████████",
        "write         1        100        100       0       99   40%      60%       0%      1/256  ████████············",
        "bottleneck: parse, busy 99 % of the time; with twice its workers 2.0 times as fast",
    ];
    assert_eq!(report.to_string(), lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn where_the_source_is_slow_the_stages_wait_for_it() {
    let source = stream::iter(0..50).then(|n| async move {
        sleep(ms(20)).await;
        n
    });
    let report = Pipeline::from_stream(source)
        .sink("write", |n| async move { slowly(n).await.map(drop) })
        .clock(TokioClock)
        .run(CancellationToken::new())
        .await
        .unwrap();
    let text = report.to_string();
    assert!(text.ends_with("the stages wait for the source"), "{text}");
}
