//! What `fan_out` promises.

mod support;

use futures::{FutureExt, StreamExt, channel::mpsc, stream};
use plimsoll_core::Load;
use plimsoll_fanout::{Failure, FanOutExt};
use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::{pending, ready},
    panic::{AssertUnwindSafe, catch_unwind},
};
use support::{Count, MS, counted};
use tokio::time::{Instant, sleep, timeout};

fn message<U, E>(result: Result<U, Failure<E>>) -> String {
    match result {
        Err(Failure::Panicked(panic)) => panic.message().to_owned(),
        _ => panic!("no panic"),
    }
}

#[tokio::test(start_paused = true)]
async fn three_workers_are_exactly_three_times_as_fast_in_either_order() {
    for ordered in [false, true] {
        for (workers, expected) in [(1, 3_000), (3, 1_000)] {
            let start = Instant::now();
            let results = stream::iter(0..3_000).fan_out(workers, |_| sleep(MS));
            let results = if ordered { results.ordered() } else { results };
            assert_eq!(results.count().await, 3_000);
            assert_eq!(start.elapsed(), expected * MS, "{workers} workers");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn results_come_as_they_are_done_or_in_the_order_of_the_items() {
    let work = |n: u32| async move {
        sleep(n * MS).await;
        n
    };
    let items = [3, 1, 2];
    let results = stream::iter(items).fan_out(3, work).map(Result::unwrap);
    assert_eq!(results.collect::<Vec<_>>().await, [1, 2, 3]);
    let results = stream::iter(items).fan_out(3, work).ordered().map(Result::unwrap);
    assert_eq!(results.collect::<Vec<_>>().await, [3, 1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_cheap_items_come_once_each_on_two_threads() {
    for ordered in [false, true] {
        let results = stream::iter(0..1_000_000_u64).fan_out(4, ready);
        let results = if ordered { results.ordered() } else { results };
        let mut results: Vec<_> = results.map(Result::unwrap).collect().await;
        if !ordered {
            results.sort_unstable();
        }
        assert!(results.into_iter().eq(0..1_000_000));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn items_of_all_kinds_come_once_each_on_several_threads() {
    for ordered in [false, true] {
        let (tx, source) = mpsc::channel(64);
        let feed = stream::iter((0..30_000_u64).map(Ok)).forward(tx);
        let feed = tokio::spawn(feed);
        let work = |n| async move {
            match n % 100 {
                0..5 => tokio::task::yield_now().await,
                5 if n % 1_000 == 5 => sleep(MS).await,
                6 => return Err(n),
                _ => {}
            }
            Ok(n)
        };
        let results = source.fan_out(8, work).window(200);
        let results = if ordered { results.ordered() } else { results };
        let mut results: Vec<_> = results
            .map(|result| match result.unwrap() {
                Ok(n) | Err(n) => n,
            })
            .collect()
            .await;
        feed.await.unwrap().unwrap();
        if !ordered {
            results.sort_unstable();
        }
        assert!(results.into_iter().eq(0..30_000));
    }
}

#[tokio::test(start_paused = true)]
async fn workers_go_on_while_the_consumer_is_busy() {
    let done = Count::default();
    let mut results = {
        let done = done.clone();
        stream::iter(0..100).fan_out(4, move |_| {
            let done = done.clone();
            sleep(MS).map(move |()| done.up())
        })
    };
    let _ = results.next().await;
    sleep(100 * MS).await; // and does not poll
    assert_eq!(done.get(), 9, "one was yielded, and two for each worker may wait");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_may_wait_for_what_another_item_does() {
    // In one task with the consumer, the second item would stand still.
    let (tx, mut rx) = mpsc::unbounded();
    let mut results = stream::iter(0..2_u32).fan_out(2, move |n| {
        let tx = tx.clone();
        async move {
            sleep(n * MS).await;
            tx.unbounded_send(n).unwrap();
        }
    });
    assert_eq!(results.next().await, Some(Ok(())));
    assert_eq!((rx.next().await, rx.next().await), (Some(0), Some(1)));
}

#[tokio::test]
async fn an_empty_source_ends_at_once() {
    let mut results = stream::empty::<u8>().fan_out(8, ready);
    assert_eq!(results.next().now_or_never(), None, "the worker has to look first");
    assert_eq!(results.next().await, None);
    assert_eq!(results.next().await, None, "and again");
}

#[test]
#[should_panic(expected = "workers must be 1 to 1048576, but is 0")]
fn no_workers_is_nonsense() {
    drop(stream::iter([1]).fan_out(0, ready));
}

#[test]
fn nonsense_from_configuration_is_an_error() {
    let items = || stream::iter([Ok::<_, ()>(1)]);
    let work = |n: i32| ready(Ok::<_, ()>(n));
    assert_eq!(items().checked_fan_out(0, ready).err().unwrap().field(), "workers");
    assert!(items().checked_fan_out(usize::MAX, ready).is_err());
    assert_eq!(items().checked_try_fan_out(0, work).err().unwrap().field(), "workers");
    assert_eq!(items().checked_fan_out_blocking(0, |_| ()).err().unwrap().field(), "workers");
    let error = items().fan_out(1, ready).checked_window(0).err().unwrap();
    assert_eq!(error.to_string(), "window must be at least 1, but is 0");
    let panic = catch_unwind(AssertUnwindSafe(|| drop(items().fan_out(1, ready).window(0))));
    assert!(panic.is_err());
}

/// Dropped, it panics with 4 and 5.
struct Left(u64);

impl Drop for Left {
    fn drop(&mut self) {
        assert!(!matches!(self.0, 4 | 5), "when it is dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_items_result_wherever_it_happens() {
    let results = stream::iter(0..8_u64).fan_out(2, |n| {
        assert!(n != 1, "in the function");
        let left = Left(n);
        async move {
            assert!(n != 2, "at the first poll");
            if n % 2 == 1 {
                sleep(MS).await;
            }
            assert!(n != 3, "after a pause");
            left.0
        }
    });
    let mut results: Vec<_> = results.ordered().collect().await;
    let said: Vec<_> = results.drain(1..6).map(message).collect();
    let dropped = "when it is dropped";
    assert_eq!(said, ["in the function", "at the first poll", "after a pause", dropped, dropped]);
    assert_eq!(results, [Ok(0), Ok(6), Ok(7)]);
}

#[tokio::test]
async fn a_panic_of_the_source_is_an_item_and_ends_it() {
    let source = stream::iter(0..3).inspect(|n| assert!(*n != 2, "a bad source"));
    let mut results: Vec<_> = source.fan_out(2, ready).ordered().collect().await;
    assert_eq!(message(results.pop().unwrap()), "a bad source");
    assert_eq!(results, [Ok(0), Ok(1)]);
}

#[tokio::test]
async fn errors_of_the_stream_and_of_the_work_are_items() {
    let items = stream::iter([Ok(1), Err("upstream"), Ok(2), Ok(3)]);
    let work = |n| ready(if n == 2 { Err("work") } else { Ok(n * 10) });
    let results = items.try_fan_out(2, work).ordered().collect::<Vec<_>>().await;
    let (first, second) = (Failure::Failed("upstream"), Failure::Failed("work"));
    assert_eq!(results, [Ok(10), Err(first), Err(second), Ok(30)]);
}

#[tokio::test(start_paused = true)]
async fn never_more_is_pulled_and_not_yielded_than_the_window_holds() {
    for ordered in [false, true] {
        for (workers, window) in [(1, 1), (3, 2), (4, 4), (2, 50)] {
            let (source, pulled) = counted(300);
            // Cheap ones, so that chunks grow, and some that pause.
            let results = source.fan_out(workers, |n| async move {
                if n % 7 == 0 {
                    sleep(MS).await;
                }
            });
            let mut results = results.window(window);
            if ordered {
                results = results.ordered();
            }
            let load = results.load_handle();
            assert_eq!((load.load(), load.capacity()), (0, Some(window)));
            let mut yielded = 0;
            while results.next().await.is_some() {
                yielded += 1;
                sleep(3 * MS).await;
                assert!(pulled.get() - yielded <= window, "{} pulled", pulled.get());
                assert!(load.load() <= window);
            }
            assert_eq!((yielded, load.load()), (300, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_fills_the_window_and_no_more() {
    let (source, pulled) = counted(1_000);
    let work = |n| async move {
        if n == 0 {
            sleep(1_000 * MS).await;
        }
    };
    let mut results = source.fan_out(4, work).ordered().window(10);
    assert!(timeout(999 * MS, results.next()).await.is_err());
    assert_eq!(pulled.get(), 10);
    assert_eq!(results.count().await, 1_000);
}

#[tokio::test(start_paused = true)]
async fn items_behind_one_that_waits_are_run_by_others() {
    // Cheap ones first, so that a worker has many in hand when the slow ones
    // come; the workers share them all the same.
    let start = Instant::now();
    let work = |n| async move {
        if n >= 5_000 {
            sleep(10 * MS).await;
        }
    };
    assert_eq!(stream::iter(0..5_064).fan_out(8, work).count().await, 5_064);
    assert_eq!(start.elapsed(), 80 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_trickles_is_watched_while_workers_are_busy() {
    // The worker that saw the source pend is busy when the next item comes.
    let (tx, rx) = mpsc::unbounded();
    let feed = async move {
        for n in 0..20_u32 {
            tx.unbounded_send(n).unwrap();
            sleep(MS).await;
        }
    };
    let start = Instant::now();
    let results = rx.fan_out(64, |n| sleep(100 * MS).map(move |()| n)).collect::<Vec<_>>();
    let ((), results) = tokio::join!(feed, results);
    assert_eq!((results.len(), start.elapsed()), (20, 119 * MS));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_stream_ends_workers_source_and_work() {
    let alive = Count::default();
    let (source, work) = (alive.guard(), alive.clone());
    let source = stream::iter(0..).map(move |n: u64| {
        let _ = &source;
        n
    });
    let mut results = source.fan_out(4, move |n| {
        let guard = work.guard();
        async move {
            if n > 0 {
                pending::<Infallible>().await;
            }
            drop(guard);
        }
    });
    assert_eq!(results.next().await, Some(Ok(())));
    sleep(MS).await;
    assert_eq!(alive.get(), 5, "the source and four that wait");
    drop(results);
    sleep(MS).await;
    assert_eq!(alive.get(), 0);
}

#[test]
fn a_runtime_that_is_shut_down_cuts_its_items_off_and_says_so() {
    let runtime = support::paused();
    for ordered in [false, true] {
        let inner = support::paused();
        let work = |n: u8| async move { if n == 1 { pending().await } else { n } };
        let mut results = stream::iter(0..).fan_out(2, work).window(4);
        if ordered {
            results = results.ordered();
        }
        let first = inner.block_on(results.next());
        assert_eq!(first, Some(Ok(0)));
        inner.block_on(async { sleep(MS).await });
        drop(inner);
        let rest = runtime.block_on(results.collect::<Vec<_>>());
        let cut = rest.iter().filter(|result| **result == Err(Failure::Cancelled)).count();
        assert_eq!(cut, 2, "the one that waited, and the rest of the source: {rest:?}");
        assert_eq!(rest.len(), 5, "{rest:?}");
    }
}

#[tokio::test]
async fn a_consumer_that_waits_has_its_result_before_the_window_is_full() {
    for ordered in [false, true] {
        let run = Count::default();
        let count = run.clone();
        let results = stream::iter(0..1_000).fan_out(1, move |_| ready(count.up())).window(1_000);
        let mut results = if ordered { results.ordered() } else { results };
        assert_eq!(results.next().await, Some(Ok(1)));
        assert_eq!(run.get(), 1, "the worker gave way");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_gives_way_to_other_tasks() {
    let ticks = Count::default();
    let ticker = {
        let ticks = ticks.clone();
        async move {
            loop {
                ticks.up();
                tokio::task::yield_now().await;
            }
        }
    };
    let ticker = tokio::spawn(ticker);
    // Each takes a while, none waits, and the window never fills.
    let work = |_| async { std::hint::black_box((0..20_000_u64).fold(0, |a, b| a ^ (b * 3))) };
    let results = stream::iter(0..2_000).fan_out(1, work).window(100_000);
    let count = tokio::spawn(results.count()).await.unwrap();
    ticker.abort();
    assert!(count == 2_000 && ticks.get() > 10, "{} ticks", ticks.get());
}

#[tokio::test]
async fn blocking_work_never_runs_on_more_threads_than_asked() {
    let (running, most) = (Count::default(), std::sync::Arc::new(std::sync::Mutex::new(0)));
    let work = {
        let (running, most) = (running.clone(), most.clone());
        move |n: u64| {
            let now = running.up();
            let mut most = most.lock().unwrap();
            *most = now.max(*most);
            drop(most);
            std::thread::yield_now();
            running.down();
            assert!(n != 50, "blocked badly");
            n
        }
    };
    let mut results: Vec<_> =
        stream::iter(0..200).fan_out_blocking(3, work).ordered().collect().await;
    assert_eq!(message(results.remove(50)), "blocked badly");
    assert!(results.into_iter().map(Result::unwrap).eq((0..200).filter(|n| *n != 50)));
    assert!(*most.lock().unwrap() <= 3);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_nothing() {
    let mut results = stream::iter(0..50).fan_out(3, |n| sleep(5 * MS).map(move |()| n));
    let mut seen = BTreeSet::new();
    loop {
        match timeout(MS, results.next()).await {
            Ok(Some(n)) => assert!(seen.insert(n.unwrap())),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert!(seen.into_iter().eq(0..50));
}

#[tokio::test]
async fn a_source_of_known_length_needs_no_more_workers_than_items() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mut results = stream::iter([1, 2]).fan_out(1 << 20, |n: i32| async move { n });
    assert!(results.next().await.is_some());
    assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() <= before + 2);
}
