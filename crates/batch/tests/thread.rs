//! What `Batcher::blocking` promises beyond the rest.

use futures::future::join_all;
use plimsoll_batch::{Batcher, SubmitError};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Each item answered with itself.
fn echo() -> Batcher<u64, u64, String> {
    Batcher::blocking(|items: Vec<u64>| Ok::<_, String>(items))
}

/// Answers with what it was sent, once the gate is opened.
fn gated(gate: mpsc::Receiver<()>, seen: &Arc<Mutex<Vec<u64>>>) -> Batcher<u64, u64, String> {
    let seen = Arc::clone(seen);
    Batcher::blocking(move |items: Vec<u64>| {
        // Closed, it stays open.
        let _ = gate.recv();
        seen.lock().unwrap_or_else(PoisonError::into_inner).extend(&items);
        Ok::<_, String>(items)
    })
}

#[tokio::test]
async fn one_thread_for_life_survives_a_panic() {
    let mut seen = None;
    let batcher = Batcher::blocking(move |items: Vec<u64>| {
        let here = thread::current().id();
        assert_eq!(*seen.get_or_insert(here), here);
        assert!(!items.contains(&0), "zero");
        items.into_iter().map(Ok::<u64, String>).collect::<Vec<_>>()
    });
    for n in 1..50 {
        assert_eq!(batcher.submit(n).await, Ok(n));
    }
    assert_eq!(batcher.submit(0).await, Err(SubmitError::Panicked("zero".into())));
    assert_eq!(batcher.submit(1).await, Ok(1));
    assert_eq!(batcher.drain().await, Ok(()));
}

#[test]
fn it_is_used_and_drained_without_a_runtime_of_its_own() {
    let batcher = echo();
    let reply = batcher.try_submit(1).expect("open");
    runtime().block_on(async {
        assert_eq!(reply.await, Ok(1));
        assert_eq!(batcher.drain().await, Ok(()));
    });
}

#[test]
fn the_end_of_the_runtime_loses_nothing_and_closes_nothing() {
    let seen = Arc::default();
    let (open, gate) = mpsc::channel();
    let batcher = gated(gate, &seen).max_size(2);
    let replies = runtime().block_on(async {
        (0..10).map(|n| batcher.try_submit(n).expect("open")).collect::<Vec<_>>()
    });
    drop(open);
    runtime().block_on(async {
        assert_eq!(join_all(replies).await, (0..10).map(Ok).collect::<Vec<_>>());
        assert_eq!(batcher.submit(10).await, Ok(10));
        assert_eq!(batcher.drain().await, Ok(()));
    });
    assert_eq!(*seen.lock().expect("no panic"), (0..=10).collect::<Vec<_>>());
}

#[test]
fn callers_are_told_though_the_runtime_of_the_first_use_stands_still() {
    let batcher = echo();
    let first = runtime(); // lives, and nobody drives it
    first.block_on(async { assert_eq!(batcher.submit(0).await, Ok(0)) });
    runtime().block_on(async {
        for _ in 0..3 {
            let answers = join_all((0..100).map(|n| batcher.submit(n))).await;
            assert!(answers.iter().all(Result::is_ok));
        }
    });
}

#[tokio::test]
async fn a_drain_returns_when_what_the_flush_owns_has_been_dropped() {
    struct Connection(Arc<AtomicBool>);
    impl Drop for Connection {
        fn drop(&mut self) {
            thread::yield_now();
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let closed = Arc::new(AtomicBool::new(false));
    let connection = Connection(Arc::clone(&closed));
    let batcher = Batcher::blocking(move |_: Vec<u64>| {
        let _ = &connection;
        Ok::<(), String>(())
    });
    batcher.push(1).await.expect("open");
    let also = batcher.clone();
    assert_eq!(batcher.drain().await, Ok(()));
    assert!(closed.load(Ordering::SeqCst), "and a handle lives");
    drop(also);
}

#[tokio::test]
async fn the_last_handle_takes_the_last_batch_with_it() {
    let seen = Arc::default();
    let (open, gate) = mpsc::channel();
    let batcher = gated(gate, &seen).max_wait(Duration::from_secs(3600));
    let reply = batcher.try_submit(1).expect("open");
    drop(batcher);
    drop(open);
    assert_eq!(reply.await, Ok(1));
}

#[tokio::test]
async fn what_gathers_during_a_flush_is_the_next_batch() {
    let seen = Arc::default();
    let (open, gate) = mpsc::channel();
    let batcher = gated(gate, &seen);
    let first = batcher.try_submit(0).expect("open");
    let more: Vec<_> = (1..=50).map(|n| batcher.try_submit(n).expect("open")).collect();
    drop(open);
    assert_eq!(first.await, Ok(0));
    assert!(join_all(more).await.iter().all(Result::is_ok));
    // However many of the first came before the thread looked.
    assert!(batcher.stats().batches() <= 2, "{:?}", batcher.stats());
}

#[tokio::test]
async fn a_fixed_linger_is_kept_by_the_thread() {
    let batcher = echo().max_wait(Duration::from_millis(1));
    assert_eq!(batcher.submit(1).await, Ok(1));
    assert_eq!(batcher.stats().emitted(plimsoll_batch::Emitted::Waited), 1);
}

#[test]
#[should_panic(expected = "max_in_flight must be 1 where one thread flushes, but is 2")]
fn two_flushes_on_one_thread_are_refused_where_they_are_written() {
    let _ = echo().max_in_flight(2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_lose_nothing_and_mix_nothing_up() {
    let batcher = echo().max_size(7).queue(50);
    let tasks: Vec<_> = (0..100)
        .map(|task| {
            let batcher = batcher.clone();
            tokio::spawn(async move {
                for n in 0..50 {
                    assert_eq!(batcher.submit(task * 50 + n).await, Ok(task * 50 + n));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("each gets its own");
    }
    assert_eq!(batcher.stats().items(), 5_000);
}
