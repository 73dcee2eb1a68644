//! How runs end: drained, aborted, cut off; and who hears of it.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::stream;
use plimsoll_channel::bounded;
use plimsoll_core::{Drain, Load, ManualClock};
use plimsoll_pipeline::{Ack, CancellationToken, Cause, Pipeline, skip};
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
    assert!(report.is_over && report.was_stopped && report.read > 10, "{report}");
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
async fn the_first_failure_is_the_cause_whatever_fails_behind_it() {
    let error = Pipeline::from_iter(0..10_u64)
        .stage_sync("check", |n| if n == 5 { Err("first") } else { Ok(n) })
        .sink("write", |n| async move {
            sleep(ms(10)).await;
            if n == 3 { Err("second") } else { Ok(()) }
        })
        .run(CancellationToken::new())
        .await
        .unwrap_err();
    assert_eq!((error.to_string().as_str(), error.report().failed), ("stage `check` failed", 2));
}

#[tokio::test]
async fn what_runs_ahead_is_bounded_by_the_queues() {
    let (called, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (call, write) = (Arc::clone(&called), Arc::clone(&written));
    // By a clock that stands still everything is quick: chunks grow as they may.
    let pipeline = Pipeline::from_iter(0..)
        .buffer(8)
        .inspect("see", move |_| {
            call.fetch_add(1, SeqCst);
        })
        .buffer(2)
        .sink("write", move |n: u64| {
            write.fetch_add(1, SeqCst);
            async move { if n < 1_000 { Good::Ok(()) } else { std::future::pending().await } }
        })
        .clock(ManualClock::new());
    let stats = pipeline.stats();
    let running = tokio::spawn(pipeline.run(CancellationToken::new()));
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(written.load(SeqCst), 1_001);
    let (called, read) = (called.load(SeqCst), stats.report().read);
    assert!(called <= 1_001 + 1 + 2 + 2, "a chunk, a queue, and what finds no room: {called}");
    assert!(read <= called as u64 + 1 + 8 + 8, "{read}");
    running.abort();
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

#[tokio::test]
async fn an_ack_that_panics_ends_the_run_and_its_item_is_counted_as_it_ended() {
    let acked = Arc::new(AtomicUsize::new(0));
    let receipts = (0..3).map(|n| {
        let acked = Arc::clone(&acked);
        let ack = move || {
            assert!(n != 1, "no way back to the queue");
            acked.fetch_add(1, SeqCst);
        };
        (n, ack)
    });
    let error = Pipeline::from_acked(stream::iter(receipts.collect::<Vec<_>>()))
        .sink_sync("write", |_| Good::Ok(()))
        .run(CancellationToken::new())
        .await
        .unwrap_err();
    let Cause::Panicked { stage, message } = error.cause() else { panic!("{error:?}") };
    assert_eq!((&**stage, &**message), ("write", "no way back to the queue"));
    let report = error.report();
    assert_eq!((report.read, report.written, report.failed, report.dropped), (3, 2, 0, 1));
    assert_eq!(acked.load(SeqCst), 1);
}

#[test]
fn blocking_calls_that_were_not_begun_are_cut_off() {
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&begun);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Mutex::new(held);
    one.block_on(async {
        let pipeline = Pipeline::from_iter(0..3)
            .blocking("read", move |_| {
                count.fetch_add(1, SeqCst);
                let _ = held.lock().unwrap().recv();
                Good::Ok(())
            })
            .workers(3);
        let stats = pipeline.stats();
        let running = tokio::spawn(pipeline.run(CancellationToken::new()));
        while begun.load(SeqCst) < 1 || stats.report().stages[1].taken < 3 {
            tokio::task::yield_now().await;
        }
        running.abort();
        assert!(running.await.is_err());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        drop(release);
        // The one thread for blocking work is free again.
        tokio::task::spawn_blocking(|| ()).await.unwrap();
    });
    assert_eq!(begun.load(SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_cancelled_before_lets_nothing_in() {
    let token = CancellationToken::new();
    token.cancel();
    let report =
        Pipeline::from_iter(0..).sink_sync("end", |_: i32| Good::Ok(())).run(token).await.unwrap();
    assert_eq!(report.read, 0);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_waits_for_ever_is_drained_at_once() {
    let pipeline = Pipeline::from_stream(stream::pending::<()>());
    let drainer = pipeline.drainer();
    let running = tokio::spawn(pipeline.run(CancellationToken::new()));
    sleep(ms(10)).await;
    let start = Instant::now();
    assert_eq!(drainer.drain().await, Ok(()));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(running.await.unwrap().unwrap().read, 0);
}

#[tokio::test]
async fn a_run_may_be_dropped_wherever_it_waits() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    for polls in 0..40 {
        let alive = Arc::new(AtomicUsize::new(0));
        let born = Arc::clone(&alive);
        let items = (0..50).map(move |_| {
            born.fetch_add(1, SeqCst);
            Counted(Arc::clone(&born))
        });
        let pipeline = Pipeline::from_iter(items)
            .buffer(2)
            .stage("yields", |item| async {
                tokio::task::yield_now().await;
                Good::Ok(item)
            })
            .workers(3)
            .buffer(2)
            .batched(3, ms(1))
            .sink("end", |batch: Vec<Counted>| async move {
                tokio::task::yield_now().await;
                drop(batch);
                Good::Ok(())
            });
        let stats = pipeline.stats();
        let mut run = Box::pin(pipeline.run(CancellationToken::new()));
        for _ in 0..polls {
            if futures::poll!(run.as_mut()).is_ready() {
                return;
            }
            tokio::task::yield_now().await;
        }
        drop(run);
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        let report = stats.report();
        assert_eq!(alive.load(SeqCst), 0, "after {polls}: {report}");
        assert_eq!(report.read, report.written + report.dropped);
    }
}
