//! The pipeline as people write it, and where its items come from.

use crate::{
    ack::Ack,
    feed::{FromAcked, FromChannel, FromIter, FromStream},
    flow::{Settings, Source},
    stats::Registry,
    supervisor::{Extras, Life},
};
use futures_core::Stream;
use plimsoll_channel::Receiver;
use std::{fmt, sync::Arc};

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
    ///     .map("parse", |text: &str| text.parse::<u32>())
    ///     .filter_map("known", |number| Ok::<_, std::fmt::Error>(number.ok()))
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
    /// `.stage_sync("rows", |row| row)` with a policy for errors takes them
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
    pub(crate) fn with_last<L2>(self, last: impl FnOnce(L) -> L2) -> Pipeline<L2> {
        let Self { last: before, extras, life } = self;
        Pipeline { last: last(before), extras, life }
    }
}

impl<L> fmt::Debug for Pipeline<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").finish_non_exhaustive()
    }
}
