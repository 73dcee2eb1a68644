//! The tasks of a pipeline, and who owns them.

use crate::{
    error::{Cause, message},
    stats::{Meter, Registry},
    sync::{AtomicBool, Ordering::Relaxed},
    work::Fatal,
};
use plimsoll_channel::LoadHandle;
use std::{
    future::poll_fn,
    mem,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, JoinSet},
};

/// What a worker knows of its stage and its pipeline.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) registry: Arc<Registry>,
    pub(crate) meter: Arc<Meter>,
    /// Which worker of its stage it is.
    pub(crate) worker: usize,
    /// With how many it shares its input.
    pub(crate) workers: usize,
    stage: usize,
    /// The first stage that may be before it.
    branch: usize,
    /// A worker of the stage has failed: no other takes anything new.
    cut: Arc<AtomicBool>,
    failures: UnboundedSender<Failed>,
}

impl Control {
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    /// What a call gave. That it failed is told at once: to hand over what went
    /// well before it may take a while.
    pub(crate) fn told<Y>(&self, result: Result<Y, Fatal>) -> Option<Y> {
        let fail = |Fatal { stage, error }| self.fail(Cause::Failed { stage, error });
        result.map_err(fail).ok()
    }

    /// Each worker fails twice at most, which is what bounds this queue.
    fn fail(&self, cause: Cause) {
        self.cut.store(true, Relaxed);
        let _ = self.failures.send((self.branch..self.stage, cause));
    }
}

/// Which stages are before the one that failed, and why it did.
type Failed = (Range<usize>, Cause);

/// All tasks. Dropped, they end.
pub struct Crew {
    tasks: JoinSet<()>,
    handles: Vec<(usize, AbortHandle)>,
    failed: UnboundedReceiver<Failed>,
    failures: UnboundedSender<Failed>,
    /// The first stage of the branch that is being started.
    branch: usize,
    pub(crate) registry: Arc<Registry>,
}

impl Crew {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        let (failures, failed) = unbounded_channel();
        let registry = Arc::clone(registry);
        Self { tasks: JoinSet::new(), handles: Vec::new(), failed, failures, branch: 0, registry }
    }

    /// A stage with so many workers to each of its queues.
    pub(crate) fn stage(
        &self,
        name: Arc<str>,
        workers: usize,
        queues: Vec<LoadHandle>,
    ) -> Vec<Control> {
        let all = workers * queues.len().max(1);
        let control = self.control(name, all, queues);
        (0..all).map(|worker| Control { worker, workers, ..control.clone() }).collect()
    }

    /// A stage of one task, whatever it reads from.
    pub(crate) fn single(&self, name: Arc<str>, queues: Vec<LoadHandle>) -> Control {
        self.control(name, 1, queues)
    }

    fn control(&self, name: Arc<str>, workers: usize, queues: Vec<LoadHandle>) -> Control {
        let (stage, meter) = self.registry.stage(name, workers, queues);
        let (registry, failures) = (Arc::clone(&self.registry), self.failures.clone());
        let (branch, cut) = (self.branch, Arc::default());
        Control { registry, meter, worker: 0, workers, stage, branch, cut, failures }
    }

    /// Starts a branch beside the stages that there are: they are not before its
    /// own.
    pub(crate) fn beside<R>(&mut self, start: impl FnOnce(&mut Self) -> R) -> R {
        let outer = mem::replace(&mut self.branch, self.registry.stages().len());
        let started = start(self);
        self.branch = outer;
        started
    }

    /// Starts a worker.
    pub(crate) fn spawn<F>(&mut self, control: &Control, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let of = control.stage;
        let control = control.clone();
        let task = async move {
            if let Err(message) = caught(work).await {
                let stage = Arc::clone(&control.meter.name);
                control.fail(Cause::Panicked { stage, message });
            }
        };
        self.handles.push((of, self.tasks.spawn(task)));
    }

    /// The next failure, or that every task has ended.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        // Ended well, failed, which it has told, or cut off by us.
        while let Poll::Ready(Some(_)) = self.tasks.poll_join_next(cx) {}
        let failed = if self.tasks.is_empty() {
            Poll::Ready(self.failed.try_recv().ok())
        } else {
            self.failed.poll_recv(cx)
        };
        failed.map(|failed| match failed {
            Some((before, cause)) => Ended::Failed(before, cause),
            None => Ended::All,
        })
    }

    /// Cuts off these stages.
    pub(crate) fn cut(&self, stages: &Range<usize>) {
        for (_, handle) in self.handles.iter().filter(|(of, _)| stages.contains(of)) {
            handle.abort();
        }
    }

    /// Cuts off everything.
    pub(crate) fn cut_all(&mut self) {
        self.tasks.abort_all();
    }
}

/// What a crew has to say.
pub(crate) enum Ended {
    /// A worker failed; these stages are before it.
    Failed(Range<usize>, Cause),
    /// Nobody works any more.
    All,
}

/// The output of a future, or the message of its panic. What the future holds
/// is dropped before this returns.
async fn caught<F: Future>(work: F) -> Result<F::Output, Arc<str>> {
    let mut work = Box::pin(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(message(panic))),
    })
    .await
}
