//! Loom models of the core, intake and slab, without the runtime:
//! `cargo xtask loom plimsoll-batch`. Searched whole but for the one that says
//! otherwise.

use crate::{
    Reply, SubmitError,
    intake::{Batch, Due, Intake, Limits},
};
use loom::{future::block_on, sync::Arc, thread};
use std::{
    future::poll_fn,
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
            batch.slab.answer(batch.items.into_iter().map(Ok));
        }
        flushed
    })
}

/// Two submit while a third flushes: each gets its own answer, in one batch or
/// in two. Turns red when `accept` wakes nobody, when `next` leaves no waker
/// behind, when `Slab::poll` leaves none, and when `answer` drops those it finds.
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
            batch.slab.answer([Err(SubmitError::Abandoned)].into_iter());
        }
        let answer = submitter.join().unwrap();
        assert!(matches!(answer, None | Some(Err(SubmitError::Abandoned))));
    });
}

/// One submitter looks once and goes away while its batch is answered: the other
/// one of the batch gets its answer. Turns red when `answer` ends at the first
/// whom nobody waits for.
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
