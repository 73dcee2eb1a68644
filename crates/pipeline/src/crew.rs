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
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};
use tokio::task::{AbortHandle, JoinSet};

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
    /// A worker of the stage has failed: no other begins anything new.
    cut: Arc<AtomicBool>,
}

impl Control {
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }
}

/// How a task has ended.
struct Exit {
    stage: usize,
    failed: Option<Cause>,
}

/// All tasks. Dropped, they end.
pub struct Crew {
    tasks: JoinSet<Exit>,
    handles: Vec<(usize, AbortHandle)>,
    pub(crate) registry: Arc<Registry>,
}

impl Crew {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self { tasks: JoinSet::new(), handles: Vec::new(), registry: Arc::clone(registry) }
    }

    /// A stage with so many workers to each of its queues.
    pub(crate) fn stage(
        &self,
        name: Arc<str>,
        workers: usize,
        queues: Vec<LoadHandle>,
    ) -> Vec<Control> {
        let all = workers * queues.len().max(1);
        let (stage, meter) = self.registry.stage(name, all, queues);
        let cut = Arc::default();
        let control =
            Control { registry: Arc::clone(&self.registry), meter, worker: 0, workers, stage, cut };
        (0..all).map(|worker| Control { worker, ..control.clone() }).collect()
    }

    /// A stage of one task, whatever it reads from.
    pub(crate) fn single(&self, name: Arc<str>, queues: Vec<LoadHandle>) -> Control {
        let (stage, meter) = self.registry.stage(name, 1, queues);
        let registry = Arc::clone(&self.registry);
        Control { registry, meter, worker: 0, workers: 1, stage, cut: Arc::default() }
    }

    /// Starts a worker.
    pub(crate) fn spawn<F>(&mut self, control: &Control, work: F)
    where
        F: Future<Output = Result<(), Fatal>> + Send + 'static,
    {
        let (stage, cut) = (control.stage, Arc::clone(&control.cut));
        let meter = Arc::clone(&control.meter);
        let task = async move {
            let failed = match caught(work).await {
                Ok(Ok(())) => None,
                Ok(Err(Fatal { stage, error })) => Some(Cause::Failed { stage, error }),
                Err(message) => Some(Cause::Panicked { stage: Arc::clone(&meter.name), message }),
            };
            if failed.is_some() {
                cut.store(true, Relaxed);
            }
            Exit { stage, failed }
        };
        self.handles.push((stage, self.tasks.spawn(task)));
    }

    /// The first failure of all, or `None` when a task, or every task, has ended
    /// well.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            match self.tasks.poll_join_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ended::All),
                Poll::Ready(Some(Ok(Exit { stage, failed: Some(cause) }))) => {
                    return Poll::Ready(Ended::Failed(stage, cause));
                }
                // Ended well, or cut off by us: a panic of theirs is caught further in.
                Poll::Ready(Some(Ok(Exit { failed: None, .. }) | Err(_))) => {}
            }
        }
    }

    /// Cuts off all stages before this one.
    pub(crate) fn cut_before(&self, stage: usize) {
        for (_, handle) in self.handles.iter().filter(|(of, _)| *of < stage) {
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
    /// A worker of that stage failed.
    Failed(usize, Cause),
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
