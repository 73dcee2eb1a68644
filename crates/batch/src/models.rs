//! Loom models of the core, intake, slab and teller, without the runtime:
//! `cargo xtask loom plimsoll-batch`. Searched whole but for those that say
//! otherwise.

use crate::{
    Reply, SubmitError,
    intake::{Batch, Due, Intake, Limits},
    slab::{Answer, Slab},
    teller::Teller,
};
use loom::{future::block_on, sync::Arc, thread};
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

type Core = Intake<u8, u8, ()>;

fn core(size: usize) -> Arc<Core> {
    Arc::new(Intake::new(Limits { size, queue: 4, bytes: usize::MAX, wait: None }))
}

fn submit(core: &Core, item: u8) -> Option<Reply<u8, ()>> {
    let place = core.accept(item, 0, false, Instant::now, || None);
    place.ok().map(|(slab, index)| Reply::new(slab, index))
}

fn tell(slab: &Slab<u8, ()>, answers: Vec<Answer<u8, ()>>) {
    slab.answer(answers);
    slab.wake();
}

/// The next batch, as the batcher's task waits for it.
async fn next(core: &Core) -> Option<Batch<u8, u8, ()>> {
    poll_fn(|cx| match core.next(cx, None) {
        Due::Now(batch) => Poll::Ready(Some(batch)),
        Due::Ended => Poll::Ready(None),
        Due::At(_) | Due::Nothing => Poll::Pending,
    })
    .await
}

/// Answers each item with itself, until the end; how many there were.
fn flush_all(core: &Core) -> usize {
    block_on(async {
        let mut flushed = 0;
        while let Some(batch) = next(core).await {
            flushed += batch.items.len();
            tell(&batch.slab, batch.items.into_iter().map(Ok).collect());
        }
        flushed
    })
}

/// Two submit while a third flushes: each gets its own answer, in one batch or
/// in two. Turns red when `accept` wakes nobody, and when `Slab::poll` leaves no
/// waker behind.
///
/// Two preemptions: a whole search of three threads that all wait for each other
/// did not end in five minutes, and each planted bug is found with two.
#[test]
fn each_submitter_is_answered_with_its_own() {
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(2);
    search.check(|| {
        let core = core(4);
        let flusher = {
            let core = Arc::clone(&core);
            thread::spawn(move || flush_all(&core))
        };
        let other = {
            let core = Arc::clone(&core);
            thread::spawn(move || submit(&core, 1).map(block_on))
        };
        assert_eq!(submit(&core, 2).map(block_on), Some(Ok(2)));
        assert_eq!(other.join().unwrap(), Some(Ok(1)));
        core.close();
        assert_eq!(flusher.join().unwrap(), 2);
    });
}

/// The batcher is closed while somebody submits: the item is refused, or it is
/// answered. Turns red when `accept` does not look at `closed`, and when `close`
/// does not wake.
#[test]
fn an_item_is_refused_or_flushed_when_the_batcher_closes() {
    loom::model(|| {
        let core = core(4);
        let flusher = {
            let core = Arc::clone(&core);
            thread::spawn(move || flush_all(&core))
        };
        let submitter = {
            let core = Arc::clone(&core);
            thread::spawn(move || submit(&core, 1).map(block_on))
        };
        core.close();
        let answer = submitter.join().unwrap();
        assert_eq!(flusher.join().unwrap(), usize::from(answer.is_some()));
        assert_eq!(answer.unwrap_or(Ok(1)), Ok(1));
    });
}

/// The task is cut off while somebody submits: the item is refused, or its
/// caller is told. Turns red when `abandon` does not close, and when it hands
/// out the full batches only.
#[test]
fn nobody_waits_for_a_task_that_was_cut_off() {
    loom::model(|| {
        let core = core(4);
        let submitter = {
            let core = Arc::clone(&core);
            thread::spawn(move || submit(&core, 1).map(block_on))
        };
        for batch in core.abandon() {
            tell(&batch.slab, vec![Err(SubmitError::Abandoned)]);
        }
        let answer = submitter.join().unwrap();
        assert!(matches!(answer, None | Some(Err(SubmitError::Abandoned))));
    });
}

/// One submitter looks once and goes away while its batch is answered: the other
/// one of the batch gets its answer. Turns red when `Slab::wake` drops those who
/// wait.
#[test]
fn a_submitter_that_goes_away_takes_no_answer_with_it() {
    loom::model(|| {
        let core = core(2);
        let goes = submit(&core, 1).unwrap();
        let stays = submit(&core, 2).unwrap();
        let goes = thread::spawn(move || {
            let mut goes = Box::pin(goes);
            let _ = goes.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        });
        let stays = thread::spawn(move || block_on(stays));
        core.close();
        assert_eq!(flush_all(&core), 2);
        assert_eq!(stays.join().unwrap(), Ok(2));
        goes.join().unwrap();
    });
}

/// A full batch is due before its time, with a flusher that waits for the time.
/// Turns red when only the first item of a batch wakes.
#[test]
fn a_batch_that_fills_up_wakes_whoever_waits_for_its_time() {
    loom::model(|| {
        let wait = Some(Duration::from_secs(3600));
        let limits = Limits { size: 2, queue: 4, bytes: usize::MAX, wait };
        let core: Arc<Core> = Arc::new(Intake::new(limits));
        let flusher = {
            let core = Arc::clone(&core);
            thread::spawn(move || block_on(next(&core)).map(|batch| batch.items))
        };
        let _replies = (submit(&core, 1), submit(&core, 2));
        assert_eq!(flusher.join().unwrap(), Some(vec![1, 2]));
    });
}

/// A thread answers two batches while their callers begin to wait, and the task
/// that is to wake them is dropped at some point: both are answered, and woken.
/// Turns red when `tell` does not look at `lives`, and when `end` does not help.
///
/// Two preemptions, as above: four threads.
#[test]
fn callers_are_woken_though_the_task_that_wakes_them_is_dropped() {
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(2);
    search.check(|| {
        let core = core(1);
        let replies = [submit(&core, 1).unwrap(), submit(&core, 2).unwrap()];
        core.close();
        let teller = Arc::new(Teller::new());
        teller.begin();
        let [one, two] = replies.map(|reply| thread::spawn(move || block_on(reply)));
        let task = {
            let teller = Arc::clone(&teller);
            thread::spawn(move || {
                // Looks once, and is dropped.
                if let Poll::Ready(Some(slabs)) = teller.poll(&Context::from_waker(Waker::noop())) {
                    slabs.iter().for_each(|slab| slab.wake());
                }
                teller.end();
            })
        };
        block_on(async {
            while let Some(batch) = next(&core).await {
                batch.slab.answer(batch.items.into_iter().map(Ok).collect());
                // As many as make it the task's business.
                teller.tell(&batch.slab, 100);
                teller.ring();
            }
        });
        assert_eq!((one.join().unwrap(), two.join().unwrap()), (Ok(1), Ok(2)));
        task.join().unwrap();
    });
}

/// The task waits while a thread answers and ends: it wakes the caller, and it
/// ends. Turns red when `ring` does not wake it, and when `end` does not.
///
/// Two preemptions: a whole search did not end in two minutes.
#[test]
fn the_task_that_wakes_ends_with_the_thread() {
    let mut search = loom::model::Builder::new();
    search.preemption_bound = Some(2);
    search.check(|| {
        let core = core(1);
        let reply = submit(&core, 1).unwrap();
        core.close();
        let teller = Arc::new(Teller::new());
        teller.begin();
        let task = {
            let teller = Arc::clone(&teller);
            thread::spawn(move || {
                block_on(async {
                    while let Some(slabs) = poll_fn(|cx| teller.poll(cx)).await {
                        slabs.iter().for_each(|slab| slab.wake());
                    }
                });
            })
        };
        let caller = thread::spawn(move || block_on(reply));
        block_on(async {
            while let Some(batch) = next(&core).await {
                batch.slab.answer(batch.items.into_iter().map(Ok).collect());
                teller.tell(&batch.slab, 100);
                teller.ring();
            }
        });
        assert_eq!(caller.join().unwrap(), Ok(1));
        teller.end();
        task.join().unwrap();
    });
}

/// One submits, and waits for the flush of what it submitted, while another
/// flushes: the flush has ended for it, and its answer is there. Turns red when
/// `have_ended` does not look at batches in flight, and when `seal` does not
/// wake.
#[test]
fn a_flush_that_has_ended_has_answered() {
    loom::model(|| {
        let wait = Some(Duration::from_secs(3600));
        let limits = Limits { size: 4, queue: 4, bytes: usize::MAX, wait };
        let core: Arc<Core> = Arc::new(Intake::new(limits));
        let ended = Arc::new(loom::sync::Notify::new());
        let flusher = {
            let (core, ended) = (Arc::clone(&core), Arc::clone(&ended));
            thread::spawn(move || {
                let batch = block_on(next(&core)).expect("it is not closed");
                tell(&batch.slab, batch.items.into_iter().map(Ok).collect());
                core.finished(batch.number);
                ended.notify();
            })
        };
        let mut reply = submit(&core, 1).unwrap();
        let batches = core.seal();
        while !core.have_ended(batches) {
            ended.wait();
        }
        let answer = Pin::new(&mut reply).poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(answer, Poll::Ready(Ok(1)));
        flusher.join().unwrap();
    });
}
