//! What stages make of items, and in which order.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::{StreamExt, stream};
use plimsoll_pipeline::{CancellationToken, Flow, Pipeline, Report, RunError, skip};
use std::{
    convert::Infallible,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

type Good<T> = Result<T, Infallible>;

/// Everything that comes out.
async fn all<L: Flow>(pipeline: Pipeline<L>) -> Vec<L::Item> {
    pipeline.into_stream().map(Result::unwrap).collect().await
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[tokio::test]
async fn items_pass_every_stage_in_order() {
    let doubled = Pipeline::from_iter(0..10_000_u64)
        .stage_sync("double", |n: u64| Good::Ok(n * 2))
        .stage("add", |n: u64| async move { Good::Ok(n + 1) });
    let expected: Vec<_> = (0..10_000).map(|n| n * 2 + 1).collect();
    assert_eq!(all(doubled).await, expected);
}

#[tokio::test]
async fn an_empty_source_ends_at_once() {
    let none = Pipeline::from_iter(Vec::<u8>::new()).stage_sync("same", Good::Ok).workers(3);
    let report = none.sink_sync("end", |_| Good::Ok(())).run(CancellationToken::new()).await;
    assert_eq!(report.unwrap().read, 0);
}

#[tokio::test]
async fn one_item_passes_queues_of_one() {
    let narrow = Pipeline::from_iter(0..100)
        .buffer(1)
        .stage_sync("a", Good::Ok)
        .buffer(1)
        .stage("b", |n: i32| async move { Good::Ok(n) })
        .buffer(1)
        .workers(3);
    assert_eq!(all(narrow).await, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn several_workers_keep_the_order_of_their_input() {
    // The earlier, the slower.
    let pipeline = Pipeline::from_iter(0..20_u64).stage("wait", |n: u64| async move {
        sleep(ms(100 - n * 5)).await;
        Good::Ok(n)
    });
    assert_eq!(all(pipeline.workers(5)).await, (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn unordered_results_come_when_they_are_done() {
    let pipeline = Pipeline::from_iter([30, 20, 10]).stage("wait", |n: u64| async move {
        sleep(ms(n)).await;
        Good::Ok(n)
    });
    assert_eq!(all(pipeline.workers(3).unordered()).await, [10, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn three_workers_are_three_times_as_fast_in_order_or_not() {
    for ordered in [true, false] {
        for workers in [1, 3] {
            let pipeline = Pipeline::from_iter(0..3_000).stage("work", |n: u32| async move {
                sleep(ms(1)).await;
                Good::Ok(n)
            });
            let pipeline = pipeline.workers(workers);
            let pipeline = if ordered { pipeline } else { pipeline.unordered() };
            let start = Instant::now();
            assert_eq!(all(pipeline).await.len(), 3_000);
            assert_eq!(start.elapsed(), ms(3_000 / workers as u64), "{workers}, {ordered}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_itself_runs_in_its_worker_side_by_side() {
    // Before it returns its future, each call waits for the other.
    let both = Arc::new(Barrier::new(2));
    let report = Pipeline::from_iter(0..2)
        .sink("meet", move |_: i32| {
            both.wait();
            async { Good::Ok(()) }
        })
        .workers(2)
        .run(CancellationToken::new())
        .await;
    assert_eq!(report.unwrap().written, 2);
}

#[tokio::test(start_paused = true)]
async fn workers_work_while_the_consumer_is_busy() {
    let done = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&done);
    let mut results = Pipeline::from_iter(0..10)
        .stage("work", move |n: u32| {
            let count = Arc::clone(&count);
            async move {
                sleep(ms(1)).await;
                count.fetch_add(1, SeqCst);
                Good::Ok(n)
            }
        })
        .into_stream();
    assert!(results.next().await.is_some());
    sleep(ms(100)).await; // the consumer does something else
    assert_eq!(done.load(SeqCst), 10);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_there_are_workers() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (n, m) = (Arc::clone(&now), Arc::clone(&most));
    let pipeline = Pipeline::from_iter(0..100).stage("work", move |_: u32| {
        let (n, m) = (Arc::clone(&n), Arc::clone(&m));
        async move {
            m.fetch_max(n.fetch_add(1, SeqCst) + 1, SeqCst);
            sleep(ms(1)).await;
            n.fetch_sub(1, SeqCst);
            Good::Ok(())
        }
    });
    pipeline.workers(7).run(CancellationToken::new()).await.unwrap();
    assert_eq!(most.load(SeqCst), 7);
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_one_is_bounded_apart_from_what_runs() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let mut results = Pipeline::from_iter(0..100)
        .stage("work", move |n: u64| {
            count.fetch_add(1, SeqCst);
            async move {
                sleep(if n == 0 { ms(1_000) } else { ms(1) }).await;
                Good::Ok(n)
            }
        })
        .workers(4)
        .reorder(5)
        .into_stream();
    let first = results.next();
    let mut first = std::pin::pin!(first);
    assert!(futures::poll!(first.as_mut()).is_pending());
    sleep(ms(500)).await;
    // The slow one, five that wait for it, and three in the hands of the others.
    assert_eq!(started.load(SeqCst), 9);
    assert_eq!(first.await.unwrap().unwrap(), 0);
    assert_eq!(results.map(Result::unwrap).count().await, 99);
}

#[tokio::test]
async fn a_filter_leaves_out_what_it_is_told_to() {
    let even = Pipeline::from_iter(0..100_u32)
        .filter_map("even", |n| Good::Ok((n % 2 == 0).then_some(n)))
        .workers(3);
    let stats = even.stats();
    assert_eq!(all(even).await, (0..100).step_by(2).collect::<Vec<_>>());
    let report = stats.report();
    assert_eq!((report.read, report.written, report.filtered), (100, 50, 50));
    assert_eq!(report.stages[1].filtered, 50);
}

#[tokio::test]
async fn functions_that_cannot_fail_need_not_say_so() {
    let pipeline = Pipeline::from_iter(0..10_u32)
        .map("double", |n| n * 2)
        .filter("fours", |n| n % 4 == 0)
        .fuse()
        .map("text", |n: u32| n.to_string());
    assert_eq!(all(pipeline).await, ["0", "4", "8", "12", "16"]);
}

#[tokio::test]
async fn one_item_can_become_many_or_none() {
    let pipeline =
        Pipeline::from_iter(0..100_usize).flat_map("repeat", |n| Good::Ok(vec![n; n % 4]));
    let stats = pipeline.stats();
    let expected: Vec<_> = (0..100).flat_map(|n| vec![n; n % 4]).collect();
    assert_eq!(all(pipeline.workers(3)).await, expected);
    let report = stats.report();
    assert_eq!((report.read, report.written, report.filtered), (100, 75, 25));
    assert_eq!(report.stages[1].given, 150);
}

#[tokio::test]
async fn an_endless_flat_map_is_taken_as_far_as_there_is_room() {
    let mut numbers =
        Pipeline::from_iter([0_u64]).flat_map("from", |n| Good::Ok(n..)).workers(2).into_stream();
    for n in 0..1_000 {
        assert_eq!(numbers.next().await.unwrap().unwrap(), n);
    }
}

#[tokio::test]
async fn inspection_sees_everything_and_changes_nothing() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let see = Arc::clone(&seen);
    let pipeline = Pipeline::from_iter(0..50).inspect("see", move |n| see.lock().unwrap().push(*n));
    assert_eq!(all(pipeline).await, *seen.lock().unwrap());
}

#[tokio::test]
async fn fused_stages_do_what_they_do_apart_in_one_row() {
    let fused = Pipeline::from_iter(0..100_u32)
        .filter_map("even", |n| Good::Ok((n % 2 == 0).then_some(n)))
        .stage("half", |n: u32| async move { Good::Ok(n / 2) })
        .fuse()
        .stage_sync("text", |n: u32| Good::Ok(n.to_string()))
        .fuse();
    let stats = fused.stats();
    let expected: Vec<_> = (0..50).map(|n: u32| n.to_string()).collect();
    assert_eq!(all(fused).await, expected);
    let stages = stats.report().stages;
    assert_eq!((&*stages[0].name, &*stages[1].name), ("source", "even + half + text"));
}

#[tokio::test(start_paused = true)]
async fn fused_stages_have_the_workers_and_the_order_of_either() {
    let fused = Pipeline::from_iter(0..30_u64)
        .stage("wait", |n: u64| async move {
            sleep(ms(30 - n)).await;
            Good::Ok(n)
        })
        .workers(30)
        .stage_sync("same", Good::Ok)
        .unordered()
        .fuse();
    let start = Instant::now();
    assert_eq!(all(fused).await, (0..30).collect::<Vec<_>>());
    assert_eq!(start.elapsed(), ms(30));
}

#[tokio::test(start_paused = true)]
async fn batches_come_when_full_when_old_and_at_the_end() {
    let items = stream::unfold(0_u32, |n| async move {
        match n {
            0..5 => {}
            5 => sleep(ms(100)).await,
            6 | 7 => sleep(ms(1)).await,
            _ => return None,
        }
        Some((n, n + 1))
    });
    let batches = Pipeline::from_stream(items).batched(3, ms(10));
    assert_eq!(all(batches).await, [vec![0, 1, 2], vec![3, 4], vec![5, 6, 7]]);
}

#[tokio::test(start_paused = true)]
async fn the_last_batch_waits_for_no_timer() {
    let start = Instant::now();
    let batches = Pipeline::from_iter(0..5).batched(4, Duration::MAX);
    assert_eq!(all(batches).await, [vec![0, 1, 2, 3], vec![4]]);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_batch_is_written_as_many_items() {
    let pipeline =
        Pipeline::from_iter(0..10).batched(4, ms(1)).sink_sync("write", |_: Vec<i32>| Good::Ok(()));
    let report = pipeline.run(CancellationToken::new()).await.unwrap();
    assert_eq!((report.written, report.stages[2].taken), (10, 3));
}

#[tokio::test(start_paused = true)]
async fn equal_keys_keep_their_order_in_lanes_side_by_side() {
    let lanes = Pipeline::from_iter(0..200_u64)
        .split(4, |n| n % 10)
        .stage("work", |n: u64| async move {
            sleep(ms(n * 7 % 5)).await;
            Good::Ok(n)
        })
        .merge();
    let start = Instant::now();
    let results = all(lanes).await;
    for key in 0..10 {
        let of_key: Vec<_> = results.iter().copied().filter(|n| n % 10 == key).collect();
        assert_eq!(of_key, (0..20).map(|n| n * 10 + key).collect::<Vec<_>>());
    }
    assert!(start.elapsed() < ms(400 * 2 / 3), "side by side: {:?}", start.elapsed());
}

#[tokio::test]
async fn lanes_may_end_in_the_sink() {
    let pipeline = Pipeline::from_iter(0..100)
        .split(3, |n| *n)
        .batched(10, ms(1))
        .sink_sync("write", |_: Vec<i32>| Good::Ok(()));
    let report = pipeline.run(CancellationToken::new()).await.unwrap();
    assert_eq!((report.read, report.written), (100, 100));
    assert_eq!(report.stage("write").unwrap().workers, 3);
}

#[tokio::test]
async fn two_pipelines_become_one() {
    let evens = Pipeline::from_iter(0..50).stage_sync("double", |n: i32| Good::Ok(n * 2));
    let odds = Pipeline::from_iter((0..50).map(|n| n * 2 + 1));
    let mut merged = all(evens.merge_with(odds)).await;
    merged.sort_unstable();
    assert_eq!(merged, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn blocking_work_runs_beside_the_others_and_in_order() {
    let pipeline = Pipeline::from_iter(0..100_u64).blocking("read", |n: u64| {
        std::thread::yield_now();
        Good::Ok(n * n)
    });
    assert_eq!(all(pipeline.workers(4)).await, (0..100).map(|n| n * n).collect::<Vec<_>>());
}

#[tokio::test]
async fn results_can_be_carried_to_the_end() {
    let pipeline = Pipeline::from_iter(["1", "x"])
        .stage_sync("parse", |text: &str| Good::Ok(text.parse::<u8>().map_err(|_| text)));
    assert_eq!(all(pipeline).await, [Ok(1), Err("x")]);
}

#[tokio::test]
async fn a_channel_is_a_source() {
    let (tx, rx) = plimsoll_channel::bounded(4);
    let sender = tokio::spawn(async move {
        for n in 0..100 {
            tx.send(n).await.unwrap();
        }
    });
    assert_eq!(all(Pipeline::from_channel(rx)).await, (0..100).collect::<Vec<_>>());
    sender.await.unwrap();
}

/// Runs `pipeline`, which goes on for as long as `flag` is 0, on the thread of
/// this test, and ends it from there.
async fn ends_by_another_task<L: Flow<Item = ()>>(flag: &AtomicUsize, pipeline: Pipeline<L>) {
    let running = tokio::spawn(pipeline.run(CancellationToken::new()));
    tokio::task::yield_now().await;
    flag.store(1, SeqCst);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_task_that_never_has_to_wait_lets_others_run() {
    let flag = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&flag);
    let source = std::iter::from_fn(move || (seen.load(SeqCst) == 0).then_some(()));
    ends_by_another_task(&flag, Pipeline::from_iter(source)).await;
}

#[tokio::test]
async fn a_source_that_fails_for_ever_lets_others_run_while_it_is_skipped() {
    let flag = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&flag);
    let source = stream::poll_fn(move |_| {
        std::task::Poll::Ready((seen.load(SeqCst) == 0).then_some(Err::<(), _>("no row")))
    });
    let rows = Pipeline::from_stream(source).stage_sync("rows", |row| row).on_error(skip());
    ends_by_another_task(&flag, rows).await;
}

#[tokio::test]
async fn zero_is_refused_where_it_is_written() {
    fn refused<T>(result: Result<T, plimsoll_core::ConfigError>, text: &str) {
        assert_eq!(result.err().unwrap().to_string(), text);
    }
    let pipeline = || Pipeline::from_iter(0..1).stage_sync("same", Good::Ok);
    refused(pipeline().try_workers(0), "workers must be 1 to 1048576, but is 0");
    refused(pipeline().try_buffer(0), "buffer must be at least 1, but is 0");
    refused(pipeline().try_batched(0, ms(1)), "size must be at least 1, but is 0");
    refused(pipeline().try_split(0, |n| *n), "lanes must be 1 to 4096, but is 0");
    refused(
        pipeline().try_on_stall(Duration::ZERO, |_| {}),
        "after must be more than zero, but is 0ns",
    );
}

#[tokio::test]
async fn a_pipeline_can_be_passed_around_by_what_comes_out_of_it() {
    fn sum(
        pipeline: Pipeline<impl Flow<Item = u64>>,
    ) -> impl Future<Output = Result<Report, RunError>> {
        pipeline.sink_sync("sum", |_| Good::Ok(())).run(CancellationToken::new())
    }
    assert_eq!(sum(Pipeline::from_iter(0..10)).await.unwrap().written, 10);
}
