//! The pipeline as people write it: where it starts and how it runs.

use crate::{
    ack::Ack,
    crew::Crew,
    error::RunError,
    feed::{FromAcked, FromChannel, FromIter, FromStream},
    flow::{Flow, Settings, Source, Then},
    stats::{Drainer, Registry, Report, Stats},
    stream::Results,
    supervisor::{Extras, Life, Stall, Supervisor, Watchdog},
};
use futures_core::Stream;
use plimsoll_channel::Receiver;
use plimsoll_core::{Clock, ConfigError};
use std::{fmt, future::poll_fn, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Stages in a row, each in a task of its own, with a bounded queue between each
/// two: see the [crate's documentation](crate).
///
/// Nothing runs before [`run`](Self::run) or [`into_stream`](Self::into_stream).
/// What those start belongs to them: dropped, it ends.
#[must_use = "a pipeline does nothing unless it is run"]
pub struct Pipeline<L> {
    pub(crate) last: L,
    pub(crate) extras: Extras,
    pub(crate) life: Life,
}

/// # Sources
impl<I: Iterator<Item: Send + 'static> + Send + 'static> Pipeline<Source<FromIter<I>>> {
    /// The items of an iterator, which is called in the source's task: one that
    /// blocks belongs in front of a channel, on a thread of its own.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_pipeline::{CancellationToken, Pipeline};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), plimsoll_pipeline::RunError> {
    /// let report = Pipeline::from_iter(["7", "x", "8"])
    ///     .stage_sync("parse", |text: &str| Ok::<_, std::fmt::Error>(text.parse::<u32>().ok()))
    ///     .filter_map("known", |number| Ok::<_, std::fmt::Error>(number))
    ///     .sink("print", |number: u32| async move {
    ///         println!("{number}");
    ///         Ok::<_, std::fmt::Error>(())
    ///     })
    ///     .run(CancellationToken::new())
    ///     .await?;
    /// assert_eq!((report.read, report.written, report.filtered), (3, 2, 1));
    /// # Ok(())
    /// # }
    /// ```
    #[expect(clippy::should_implement_trait, reason = "a pipeline is no collection")]
    pub fn from_iter(items: impl IntoIterator<IntoIter = I>) -> Self {
        let items = items.into_iter();
        let expected = match items.size_hint() {
            (least, Some(most)) if least == most => u64::try_from(most).ok(),
            _ => None,
        };
        Self::of(FromIter(items), expected)
    }
}

impl<S: Stream<Item: Send + 'static> + Send + 'static> Pipeline<Source<FromStream<S>>> {
    /// The items of a stream, which is boxed once. Drained, it is not polled any
    /// more.
    ///
    /// A stream of `Result`s is a source of results: a first
    /// `.stage_sync("source", |item| item)` with a policy for errors takes them
    /// apart.
    pub fn from_stream(stream: S) -> Self {
        Self::of(FromStream(Box::pin(stream)), None)
    }
}

impl<T: Send + 'static> Pipeline<Source<FromChannel<T>>> {
    /// What comes out of a channel, until it is closed and empty.
    ///
    /// Drained, the pipeline closes it: senders get back what they could not
    /// send, and what is inside was accepted and is processed.
    pub fn from_channel(rx: Receiver<T>) -> Self {
        Self::of(FromChannel(rx), None)
    }
}

impl<S, T, A> Pipeline<Source<FromAcked<S>>>
where
    S: Stream<Item = (T, A)> + Send + 'static,
    T: Send + 'static,
    A: Ack,
{
    /// Items, each with what tells its source that it is done with, so that a
    /// queue that delivers until it hears so loses nothing when the process dies
    /// in the middle: see [`Ack`].
    ///
    /// # Example
    ///
    /// ```
    /// use futures::stream;
    /// use plimsoll_pipeline::{CancellationToken, Pipeline};
    /// use std::sync::{Arc, Mutex};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), plimsoll_pipeline::RunError> {
    /// let done = Arc::new(Mutex::new(Vec::new()));
    /// let jobs: Vec<_> = (0..3)
    ///     .map(|job| {
    ///         let done = Arc::clone(&done);
    ///         (job, move || done.lock().unwrap().push(job))
    ///     })
    ///     .collect();
    /// Pipeline::from_acked(stream::iter(jobs))
    ///     .sink_sync("work", |_job| Ok::<_, std::fmt::Error>(()))
    ///     .run(CancellationToken::new())
    ///     .await?;
    /// assert_eq!(*done.lock().unwrap(), [0, 1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_acked(stream: S) -> Self {
        Self::of(FromAcked(Box::pin(stream)), None)
    }
}

impl<F> Pipeline<Source<F>> {
    fn of(feed: F, expected: Option<u64>) -> Self {
        let last = Source { feed, settings: Settings::new() };
        let life = Life(Arc::new(Registry::new(expected)));
        Self { last, extras: Extras::default(), life }
    }
}

impl<L> Pipeline<L> {
    /// The same pipeline with another last part.
    pub(crate) fn map<L2>(self, last: impl FnOnce(L) -> L2) -> Pipeline<L2> {
        let Self { last: before, extras, life } = self;
        Pipeline { last: last(before), extras, life }
    }
}

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
    /// is stuck, and at most half of `after` late. A stage that waits for its
    /// neighbours is not stuck.
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
    ) -> (Supervisor, Vec<Receiver<crate::item::Item<L::Item, L::Mark>>>) {
        let Self { last, mut extras, life } = self;
        life.0.start(extras.clock.take());
        let mut crew = Crew::new(&life.0);
        let receivers = last.launch(&mut crew, then);
        (Supervisor::new(crew, extras, life, token), receivers)
    }
}

impl<L> fmt::Debug for Pipeline<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}
