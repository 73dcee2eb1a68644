//! What can be set for a stage.

use crate::{
    Pipeline,
    flow::{Flow, Settings, Step},
    function::Function,
    policy::OnError,
    retry::Retry,
    stages::Staged,
    work::{Fused, Stage},
};
use plimsoll_core::ConfigError;
use std::time::Duration;

/// # What can be set for a stage
impl<P: Flow, W: Send + 'static> Pipeline<Step<P, W>> {
    /// How many items the stage works on at once, each in a task of its own,
    /// from 1 to 1,048,576. The default is 1, and for
    /// [`blocking`](Self::blocking) stages the number of processors.
    ///
    /// Results keep the order of their input, unless the stage is
    /// [`unordered`](Self::unordered).
    ///
    /// # Panics
    ///
    /// When `n` is out of bounds; [`try_workers`](Self::try_workers) returns the error.
    #[track_caller]
    pub fn workers(self, n: usize) -> Self {
        match self.try_workers(n) {
            Ok(pipeline) => pipeline,
            Err(error) => error.panic(),
        }
    }

    /// [`workers`](Self::workers), for a number that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is not 1 to 1,048,576.
    pub fn try_workers(mut self, n: usize) -> Result<Self, ConfigError> {
        if !(1..=1 << 20).contains(&n) {
            return Err(ConfigError::new("workers", n, "1 to 1048576"));
        }
        self.last.settings.workers = n;
        Ok(self)
    }

    /// Results go on as they come: no item waits for a slower one before it.
    pub fn unordered(mut self) -> Self {
        self.last.settings.ordered = false;
        self
    }

    /// How many results may wait for one that comes before them, while several
    /// workers keep the order: beyond that, workers wait for the slow one. The
    /// default is the stage's [`buffer`](Self::buffer). With 0 each worker keeps
    /// its result until it is its turn.
    pub fn reorder(mut self, n: usize) -> Self {
        self.last.settings.reorder = Some(n);
        self
    }
}

impl<P: Flow, F, S, O, R> Pipeline<Staged<P, F, S, O, R>>
where
    F: Function<P::Item>,
{
    /// What becomes of an item whose call fails: [`stop`](crate::stop) is the
    /// default.
    pub fn on_error<O2>(self, policy: O2) -> Pipeline<Staged<P, F, S, O2, R>>
    where
        O2: OnError<P::Item, F::Error>,
    {
        self.rework(|Stage { name, function, shape, attempts, .. }| Stage {
            name,
            function,
            shape,
            on_error: policy,
            attempts,
        })
    }

    /// Calls the function again for an item that failed: after the time that
    /// `policy` gives for the attempt that failed, counted from 1, and its error,
    /// or not if it gives `None`. Each item is cloned before each call.
    ///
    /// What [`on_error`](Self::on_error) says comes after the last attempt.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_pipeline::{CancellationToken, Pipeline};
    /// use std::{sync::atomic::{AtomicU32, Ordering::Relaxed}, time::Duration};
    ///
    /// static CALLS: AtomicU32 = AtomicU32::new(0);
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), plimsoll_pipeline::RunError> {
    /// let report = Pipeline::from_iter([1])
    ///     .sink("send", |_| async {
    ///         if CALLS.fetch_add(1, Relaxed) < 2 { Err("no route") } else { Ok(()) }
    ///     })
    ///     .retry(|attempt, _error| (attempt < 5).then_some(Duration::from_millis(100)))
    ///     .run(CancellationToken::new())
    ///     .await?;
    /// assert_eq!((report.written, report.stages[1].retries), (1, 2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry<A>(self, policy: A) -> Pipeline<Staged<P, F, S, O, Retry<A>>>
    where
        A: Fn(u32, &F::Error) -> Option<Duration> + Send + Sync + 'static,
        P::Item: Clone,
    {
        self.rework(|Stage { name, function, shape, on_error, .. }| Stage {
            name,
            function,
            shape,
            on_error,
            attempts: Retry(policy),
        })
    }
}

impl<P, W> Pipeline<Step<P, W>> {
    fn rework<W2>(self, rework: impl FnOnce(W) -> W2) -> Pipeline<Step<P, W2>> {
        self.with_last(|Step { before, work, settings }| Step {
            before,
            work: rework(work),
            settings,
        })
    }
}

impl<P, A, B> Pipeline<Step<Step<P, A>, B>> {
    /// Runs this stage in the tasks of the stage before it, with no queue
    /// between the two: for stages so cheap that handing an item over costs more.
    ///
    /// The one that they become has the greater number of workers, keeps the
    /// order if either does, and takes its buffer from this one. It stands in
    /// reports under both names. The first of the two must not be a
    /// [`flat_map`](Self::flat_map).
    pub fn fuse(self) -> Pipeline<Step<P, Fused<A, B>>> {
        self.with_last(|Step { before: first, work: second, settings: of_second }| {
            let Step { before, work: first, settings: of_first } = first;
            let settings = Settings {
                workers: of_first.workers.max(of_second.workers),
                ordered: of_first.ordered || of_second.ordered,
                ..of_second
            };
            Step { before, work: Fused { first, second }, settings }
        })
    }
}
