//! What the handles and the task of a batcher share.

use crate::{
    intake::{Due, Intake},
    output::Results,
    settings::Settings,
    slab::Slab,
    sync::{Arc, AtomicU64, Ordering},
};
use std::{pin::Pin, task::Context};
use tokio::{sync::Semaphore, time::Instant};

/// A flush function without its type.
pub(crate) type Flush<T, R, E> = Box<dyn Fn(Vec<T>) -> Flight<R, E> + Send + Sync>;
pub(crate) type Flight<R, E> = Pin<Box<dyn Future<Output = Results<R, E>> + Send>>;

pub(crate) struct Shared<T, R, E> {
    pub(crate) intake: Intake<T, R, E>,
    /// One for each item that the queue can take. Whoever submits takes one, and
    /// the task gives it back when it takes the batch. Closed with the intake.
    pub(crate) places: Semaphore,
    pub(crate) settings: Settings<T, R, E>,
    pub(crate) flush: Flush<T, R, E>,
    /// Has no permits, and is closed when the task has ended.
    ended: Semaphore,
    /// Items that failed, and nobody was told.
    unheard: AtomicU64,
}

impl<T, R, E> Shared<T, R, E> {
    pub(crate) fn new(flush: Flush<T, R, E>, settings: Settings<T, R, E>) -> Self {
        Self {
            intake: Intake::new(settings.limits()),
            places: Semaphore::new(settings.queue()),
            settings,
            flush,
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
        self.intake.accept(item, bytes, pushed, Instant::now, seen)
    }

    /// What is due, and its places given back.
    pub(crate) fn next(&self, cx: &Context<'_>, now: Option<Instant>) -> Due<T, R, E> {
        let due = self.intake.next(cx, now);
        if let Due::Now(batch) = &due {
            self.places.add_permits(batch.callers);
        }
        due
    }

    /// Accepts nothing more.
    pub(crate) fn close(&self) {
        self.intake.close();
        self.places.close();
    }

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
