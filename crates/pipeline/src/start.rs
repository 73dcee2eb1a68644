//! What is around a run, and how it starts.

use crate::{
    Pipeline,
    crew::Crew,
    error::RunError,
    flow::{Flow, Then},
    item::Item,
    stats::{Drainer, Report, Stats},
    stream::Results,
    supervisor::{Stall, Supervisor, Watchdog},
};
use plimsoll_channel::Receiver;
use plimsoll_core::{Clock, ConfigError};
use std::{future::poll_fn, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// # Around the run
impl<L: Flow> Pipeline<L> {
    /// How long a pipeline that was told to stop, or has failed, may take to
    /// finish what is inside. Then it is cut off, and the error names the stages
    /// that were still at work. By default as long as it takes.
    pub fn drain_within(mut self, time: Duration) -> Self {
        self.extras.drain_within = Some(time);
        self
    }

    /// Calls `tell` when a worker of some stage has been at one item, or at one
    /// chunk of quick ones, for longer than `after`: once for each time that it
    /// is stuck, and at most half of `after`, or a few milliseconds, late. A stage
    /// that waits for its neighbours is not stuck.
    ///
    /// It is called by whoever polls the run: if it panics, so does that.
    ///
    /// # Panics
    ///
    /// When `after` is zero; [`try_on_stall`](Self::try_on_stall) returns the
    /// error.
    #[track_caller]
    pub fn on_stall(self, after: Duration, tell: impl Fn(&Stall) + Send + 'static) -> Self {
        match self.try_on_stall(after, tell) {
            Ok(pipeline) => pipeline,
            Err(error) => error.panic(),
        }
    }

    /// [`on_stall`](Self::on_stall), for a time that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `after` is zero.
    pub fn try_on_stall(
        mut self,
        after: Duration,
        tell: impl Fn(&Stall) + Send + 'static,
    ) -> Result<Self, ConfigError> {
        if after.is_zero() {
            return Err(ConfigError::new("after", format!("{after:?}"), "more than zero"));
        }
        self.extras.watchdog = Some(Watchdog::new(after, Box::new(tell)));
        Ok(self)
    }

    /// What measures the times in the report. By default a
    /// [`DefaultClock`](plimsoll_core::DefaultClock).
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.extras.clock = Some(Arc::new(clock));
        self
    }

    /// Shows on `bar` how many source items have ended, and what the bottleneck
    /// is, ten times a second. A source that knows its length sets the bar's.
    #[cfg(feature = "indicatif")]
    pub fn progress(mut self, bar: indicatif::ProgressBar) -> Self {
        self.extras.progress = Some(bar);
        self
    }

    /// A handle that tells how far the pipeline has come.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats(Arc::clone(&self.life.0))
    }

    /// A handle that drains the pipeline, for whoever shuts the service down.
    #[must_use]
    pub fn drainer(&self) -> Drainer {
        Drainer(Arc::clone(&self.life.0))
    }

    /// Runs a pipeline that ends in a sink.
    ///
    /// Cancelling `token` *drains*: the source stops, and what is inside is
    /// finished. Dropping the future *aborts*: everything is cut off where it is,
    /// and a [`Stats`] handle taken before still tells what was inside.
    ///
    /// # Errors
    ///
    /// [`RunError`] with the report, when a stage failed or panicked, or when
    /// draining took longer than [`drain_within`](Self::drain_within). Stages
    /// before the one that failed are cut off, those behind it finish what has
    /// reached them.
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime with timers.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped, it aborts.
    pub async fn run(self, token: CancellationToken) -> Result<Report, RunError>
    where
        L: Flow<Item = ()>,
    {
        if token.is_cancelled() {
            self.life.0.stop(); // before any task can take something
        }
        let (mut supervisor, _) = self.launch(Then::End, Some(token));
        poll_fn(|cx| supervisor.poll_end(cx)).await
    }

    /// Makes the pipeline a stream of what comes out of its last part, so that
    /// any combinator of streams applies. It starts at once, and works ahead as
    /// far as its queues allow. Dropped, everything is cut off.
    ///
    /// Items are `Ok`. A run that fails ends in one `Err`, after everything
    /// that had passed the stage that failed.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with timers.
    pub fn into_stream(mut self) -> Results<L> {
        self.last.settings().merged = true;
        let (supervisor, receivers) = self.launch(Then::More, None);
        Results::new(supervisor, receivers)
    }

    #[expect(clippy::type_complexity, reason = "the parts of what is started, used at once")]
    fn launch(
        self,
        then: Then,
        token: Option<CancellationToken>,
    ) -> (Supervisor, Vec<Receiver<Item<L::Item, L::Mark>>>) {
        let Self { last, mut extras, life } = self;
        life.0.start(extras.clock.take());
        let mut crew = Crew::new(&life.0);
        let receivers = last.launch(&mut crew, then);
        (Supervisor::new(crew, extras, life, token), receivers)
    }
}
