//! What the handles and the flusher of a batcher share.

use crate::{
    intake::{Due, Intake},
    settings::Settings,
    slab::Slab,
    sync::{Arc, AtomicU64, Ordering},
    teller::Teller,
};
use std::task::Context;
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

pub(crate) struct Shared<T, R, E> {
    pub(crate) intake: Intake<T, R, E>,
    /// One for each item that the queue can take. Whoever submits takes one, and
    /// the flusher gives it back when it takes the batch. Closed with the intake.
    pub(crate) places: Semaphore,
    pub(crate) settings: Settings<T, R, E>,
    pub(crate) teller: std::sync::Arc<Teller<R, E>>,
    /// Told when a batch has ended.
    batch_ended: Notify,
    /// Has no permits, and is closed when the flusher has ended.
    ended: Semaphore,
    /// Items that failed, and nobody was told.
    unheard: AtomicU64,
}

impl<T, R, E> Shared<T, R, E> {
    pub(crate) fn new(settings: Settings<T, R, E>) -> Self {
        Self {
            intake: Intake::new(settings.limits()),
            places: Semaphore::new(settings.queue()),
            settings,
            teller: std::sync::Arc::new(Teller::new()),
            batch_ended: Notify::new(),
            ended: Semaphore::new(0),
            unheard: AtomicU64::new(0),
        }
    }

    pub(crate) fn queue(&self) -> usize {
        self.intake.limits().queue
    }

    pub(crate) fn accept(
        &self,
        item: T,
        bytes: usize,
        pushed: bool,
    ) -> Result<(Arc<Slab<R, E>>, usize), T> {
        let seen = || self.settings.seen.as_ref().map(|seen| seen());
        // A thread keeps real time, whatever a test's runtime does.
        let now = || {
            if self.settings.has_thread { std::time::Instant::now().into() } else { Instant::now() }
        };
        self.intake.accept(item, bytes, pushed, now, seen)
    }

    /// What is due, and its places given back.
    pub(crate) fn next(&self, cx: &Context<'_>, now: Option<Instant>) -> Due<T, R, E> {
        let due = self.intake.next(cx, now);
        if let Due::Now(batch) = &due {
            self.places.add_permits(batch.callers);
        }
        due
    }

    /// Flushes what was accepted until now, and waits until that has ended.
    pub(crate) async fn flushed(&self) {
        let batches = self.intake.seal();
        loop {
            // Before the look, so that no end in between is missed.
            let ended = self.batch_ended.notified();
            if self.intake.have_ended(batches) {
                return;
            }
            ended.await;
        }
    }

    /// The callers of a batch have been told.
    pub(crate) fn finished(&self, number: u64) {
        self.intake.finished(number);
        self.batch_ended.notify_waiters();
    }

    /// Accepts nothing more.
    pub(crate) fn close(&self) {
        self.intake.close();
        self.places.close();
    }

    /// The flusher is gone, and everybody has been told.
    pub(crate) fn end(&self) {
        self.ended.close();
    }

    pub(crate) async fn ended(&self) {
        // Fails when closed, and cannot succeed.
        let _ = self.ended.acquire().await;
    }

    pub(crate) fn unheard(&self) -> u64 {
        self.unheard.load(Ordering::Relaxed)
    }

    pub(crate) fn count_unheard(&self, items: usize) {
        self.unheard.fetch_add(items as u64, Ordering::Relaxed);
    }
}
