//! Loom models of a pool, without the runtime: `cargo xtask loom
//! plimsoll-fanout`. Workers are threads that run what the tasks run.

use super::{Bounds, Hand, Shared};
use crate::{Answer, Failure, fed::fed};
use futures_core::Stream;
use loom::{
    future::block_on,
    model::Builder,
    sync::Mutex,
    thread::{JoinHandle, spawn},
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

type Pool<S> = Arc<Shared<S, <S as Stream>::Item, Infallible>>;

/// Threads that wake each other: a whole search did not end in two minutes, not
/// even with one worker. Each planted bug below is found with two preemptions.
fn search(model: impl Fn() + Sync + Send + 'static) {
    let mut search = Builder::new();
    search.preemption_bound = Some(2);
    search.check(model);
}

/// `0..n`, ready at once.
struct Counter(std::ops::Range<u8>);

impl Stream for Counter {
    type Item = u8;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
        Poll::Ready(self.0.next())
    }
}

fn pool<S: Stream>(source: S, workers: usize, window: usize, ordered: bool) -> Pool<S> {
    let bounds = Bounds { workers, window: Some(window), ordered, chunk: 2 };
    Arc::new(Shared::new(Box::pin(source), bounds, Arc::default()))
}

/// A worker: `run` is what it does with a chunk.
fn works<S>(
    pool: &Pool<S>,
    worker: usize,
    run: impl Fn(&mut Hand<S, S::Item, Infallible>) + 'static,
) -> JoinHandle<()>
where
    S: Stream + 'static,
{
    let pool = Arc::clone(pool);
    spawn(move || {
        while let Some(mut hand) = block_on(pool.pull(worker)) {
            run(&mut hand);
            hand.finish();
        }
        pool.leave();
    })
}

fn pass<S: Stream>(hand: &mut Hand<S, S::Item, Infallible>) {
    while let Some(item) = hand.next() {
        hand.put(Ok(item));
    }
}

/// All results, to the end.
fn consumed<S: Stream>(pool: &Pool<S>) -> Vec<Answer<S::Item, Infallible>> {
    let (mut all, mut runs, mut yielded) = (Vec::new(), VecDeque::new(), 0);
    while block_on(poll_fn(|cx| pool.poll_take(&mut runs, mem::take(&mut yielded), cx))) {
        for run in runs.drain(..) {
            yielded += run.len();
            all.extend(run.items);
        }
    }
    all
}

fn join(workers: impl IntoIterator<Item = JoinHandle<()>>) {
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

/// One worker and a window of one. Turns red when what is
/// finished wakes no consumer, when room wakes no worker, and when the source
/// ends and the consumer is not told.
#[test]
fn room_for_one_is_handed_to_and_fro() {
    search(|| {
        let pool = pool(Counter(0..2), 1, 1, true);
        let worker = works(&pool, 0, pass);
        assert_eq!(consumed(&pool), [Ok(0), Ok(1)]);
        join([worker]);
    });
}

/// Two workers put their results back into the order of the source. Turns red
/// when results out of order are handed on, and when the last result tells no
/// worker that it was the last.
#[test]
fn results_that_are_done_out_of_order_come_in_order() {
    search(|| {
        let pool = pool(Counter(0..2), 2, 4, true);
        let workers = [works(&pool, 0, pass), works(&pool, 1, pass)];
        assert_eq!(consumed(&pool), [Ok(0), Ok(1)]);
        join(workers);
    });
}

/// A source that pends: whichever worker had asked it last is woken, and goes on
/// for all. Turns red when a worker that found nothing is not listed under the
/// source's lock, and when the end wakes nobody.
#[test]
fn what_a_source_wakes_for_is_pulled() {
    search(|| {
        let (feeder, source) = fed();
        let pool = pool(source, 2, 4, false);
        let workers = [works(&pool, 0, pass), works(&pool, 1, pass)];
        feeder.put(1);
        drop(feeder);
        assert_eq!(consumed(&pool), [Ok(1)]);
        join(workers);
    });
}

/// The worker that runs the first item is done only when the second has been
/// run: the other worker must get it, though the source may know only the first
/// one's waker. Turns red when a worker that goes off with work wakes no
/// successor.
#[test]
fn the_source_is_watched_while_a_worker_is_busy() {
    search(|| {
        let (second, waits) = fed();
        let (second, waits) = (Arc::new(Mutex::new(Some(second))), Arc::new(Mutex::new(waits)));
        let (feeder, source) = fed();
        let pool = pool(source, 2, 4, false);
        let workers = [0, 1].map(|worker| {
            let (second, waits) = (Arc::clone(&second), Arc::clone(&waits));
            works(&pool, worker, move |hand| {
                while let Some(item) = hand.next() {
                    if item == 1 {
                        let waited: Option<()> = block_on(poll_fn(|cx| {
                            Pin::new(&mut *waits.lock().unwrap()).poll_next(cx)
                        }));
                        assert_eq!(waited, None);
                    } else {
                        drop(second.lock().unwrap().take());
                    }
                    hand.put(Ok(item));
                }
            })
        });
        feeder.put(1);
        feeder.put(2);
        drop(feeder);
        join(workers);
        assert_eq!(consumed(&pool).len(), 2);
    });
}

/// A worker with two items in hand waits with the first until the second has
/// been run, which it gave back. Turns red when what is given back wakes nobody,
/// and when workers leave at the end of the source while another has items in
/// hand.
#[test]
fn what_is_given_back_is_run_by_another() {
    search(|| {
        let (second, waits) = fed::<()>();
        let (second, waits) = (Arc::new(Mutex::new(Some(second))), Arc::new(Mutex::new(waits)));
        let pool = pool(Counter(0..3), 2, 8, true);
        let workers = [0, 1].map(|worker| {
            let (second, waits) = (Arc::clone(&second), Arc::clone(&waits));
            works(&pool, worker, move |hand| {
                while let Some(item) = hand.next() {
                    if item == 1 {
                        hand.wait();
                        block_on(poll_fn(|cx| Pin::new(&mut *waits.lock().unwrap()).poll_next(cx)));
                    } else if item == 2 {
                        drop(second.lock().unwrap().take());
                    }
                    hand.put(Ok(item));
                }
            })
        });
        join(workers);
        assert_eq!(consumed(&pool), [Ok(0), Ok(1), Ok(2)]);
    });
}

/// Of two that rest, one takes what was given back and is busy with it until the
/// next item has been run: the other must ask the source, which may know only
/// the busy one's waker. Turns red when a worker that takes what was given back
/// wakes no successor.
#[test]
fn the_source_is_watched_while_one_runs_what_was_given_back() {
    search(|| {
        let (next, waits) = fed::<()>();
        let (next, waits) = (Arc::new(Mutex::new(Some(next))), Arc::new(Mutex::new(waits)));
        let (feeder, source) = fed();
        (0..3).for_each(|item| feeder.put(item));
        let pool = pool(source, 3, 12, true);
        // This thread is the first worker, and has the second and third item.
        let mut hand = block_on(pool.pull(0)).unwrap();
        pass(&mut hand);
        hand.finish();
        let mut hand = block_on(pool.pull(0)).unwrap();
        assert_eq!(hand.next(), Some(1));
        let workers = [1, 2].map(|worker| {
            let (next, waits) = (Arc::clone(&next), Arc::clone(&waits));
            works(&pool, worker, move |hand| {
                while let Some(item) = hand.next() {
                    if item == 2 {
                        block_on(poll_fn(|cx| Pin::new(&mut *waits.lock().unwrap()).poll_next(cx)));
                    } else {
                        drop(next.lock().unwrap().take());
                    }
                    hand.put(Ok(item));
                }
            })
        });
        hand.wait();
        feeder.put(3);
        hand.put(Ok(1));
        hand.finish();
        pool.leave();
        drop(feeder);
        join(workers);
        assert_eq!(consumed(&pool), [Ok(0), Ok(1), Ok(2), Ok(3)]);
    });
}

/// The consumer goes while workers pull, run and rest: they leave, and each item
/// is dropped once. Turns red when `close` wakes nobody, and when a worker does
/// not look whether the pool is closed.
#[test]
fn workers_leave_when_the_consumer_goes() {
    search(|| {
        let item = Arc::new(());
        let (feeder, source) = fed();
        let pool = pool(source, 2, 1, true);
        feeder.put(Arc::clone(&item));
        feeder.put(Arc::clone(&item));
        let workers = [works(&pool, 0, pass), works(&pool, 1, pass)];
        pool.close();
        join(workers);
        drop((feeder, pool));
        assert_eq!(Arc::strong_count(&item), 1);
    });
}

/// A worker is cut off with an item in hand, as by a runtime that ends, and so
/// is the other: every item and the rest of the source have a result. Turns red
/// when a dropped hand says nothing, and when the last one to leave does not.
#[test]
fn what_is_cut_off_has_a_result() {
    search(|| {
        let pool = pool(Counter(0..3), 2, 4, true);
        let workers = [0, 1].map(|worker| {
            let pool = Arc::clone(&pool);
            spawn(move || {
                if let Some(mut hand) = block_on(pool.pull(worker)) {
                    let _item = hand.next();
                }
                pool.leave();
            })
        });
        let results = consumed(&pool);
        assert!(results.iter().all(|result| *result == Err(Failure::Cancelled)), "{results:?}");
        assert_eq!(results.len(), 3, "two items, and the rest of the source");
        join(workers);
    });
}
