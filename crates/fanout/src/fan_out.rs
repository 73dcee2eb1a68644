//! The stream of `fan_out` and its kin.

use crate::{Answer, LoadHandle, Placed, Work, load::Hints, outlet::Outlet, pool::Bounds};
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// A stream of results, from workers that run in tasks of their own: see
/// [`fan_out`](crate::FanOutExt::fan_out).
///
/// The workers start at the first poll, and are aborted when this is dropped.
#[must_use = "streams do nothing unless they are polled"]
pub struct FanOut<S: Stream, W: Work<S::Item>> {
    state: State<S, W>,
    bounds: Bounds,
    hints: Arc<Hints>,
}

enum State<S: Stream, W: Work<S::Item>> {
    Ready(Pin<Box<S>>, W),
    Running(Outlet<S, W::Output, W::Error>),
    Over,
}

impl<S: Stream, W: Work<S::Item>> FanOut<S, W> {
    pub(crate) fn new(source: S, workers: usize, work: W) -> Result<Self, ConfigError> {
        Ok(Self::within(source, Bounds::new(workers)?, work))
    }

    pub(crate) fn within(source: S, bounds: Bounds, work: W) -> Self {
        Self { state: State::Ready(Box::pin(source), work), bounds, hints: Arc::default() }
    }

    /// Yields the results in the order of the items, instead of that in which
    /// they come. A slow item holds up those after it: they wait inside the
    /// window, and when that is full, nothing more is pulled.
    ///
    /// Has no effect after the first poll.
    pub fn ordered(mut self) -> Self {
        self.bounds.ordered = true;
        self
    }

    /// Bounds the number of items that are pulled and not yet yielded, in
    /// either order.
    ///
    /// By default that is two for each worker: one that it works on and one
    /// that waits to be yielded. Items that take next to no time are worked on
    /// in chunks, up to 1,024 and as many as take some 20 µs, and then the
    /// default counts chunks. A window set here counts items, always.
    ///
    /// A window smaller than the number of workers leaves some of them idle. In
    /// order, a larger one keeps the workers busy behind a slower item.
    ///
    /// Has no effect after the first poll.
    ///
    /// # Panics
    ///
    /// When `items` is 0; [`checked_window`](Self::checked_window) returns the
    /// error.
    #[track_caller]
    pub fn window(self, items: usize) -> Self {
        match self.checked_window(items) {
            Ok(fan_out) => fan_out,
            Err(error) => error.panic(),
        }
    }

    /// [`window`](Self::window), for a number that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `items` is 0.
    pub fn checked_window(mut self, items: usize) -> Result<Self, ConfigError> {
        self.bounds.set_window(items)?;
        Ok(self)
    }

    /// A handle that reads how many items are pulled and not yet yielded, and
    /// of how many that may be.
    #[must_use]
    pub fn load_handle(&self) -> LoadHandle {
        LoadHandle { hints: Arc::clone(&self.hints), window: self.bounds.window }
    }
}

impl<S, W> FanOut<S, W>
where
    S: Stream + Send + 'static,
    S::Item: Send + 'static,
    W: Work<S::Item>,
{
    /// The next result, and the place of its item in the source.
    #[inline]
    pub(crate) fn poll_placed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Placed<W::Output, W::Error>>> {
        if let State::Ready(..) = self.state {
            self.start();
        }
        let State::Running(outlet) = &mut self.state else { return Poll::Ready(None) };
        let next = outlet.poll_next(cx);
        if matches!(next, Poll::Ready(None)) {
            self.state = State::Over;
        }
        next
    }

    #[cold]
    fn start(&mut self) {
        if let State::Ready(source, work) = mem::replace(&mut self.state, State::Over) {
            self.state = State::Running(work.start(source, self.bounds, &self.hints));
        }
    }

    /// Ends it, and returns when nothing of it runs any more.
    pub(crate) async fn shut(self) {
        if let State::Running(outlet) = self.state {
            outlet.shut().await;
        }
    }
}

// The items are moved, never pinned.
impl<S: Stream, W: Work<S::Item>> Unpin for FanOut<S, W> {}

impl<S, W> Stream for FanOut<S, W>
where
    S: Stream + Send + 'static,
    S::Item: Send + 'static,
    W: Work<S::Item>,
{
    type Item = Answer<W::Output, W::Error>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_placed(cx).map(|next| next.map(|(_, result)| result))
    }
}

impl<S: Stream, W: Work<S::Item>> fmt::Debug for FanOut<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut")
            .field("bounds", &self.bounds)
            .field("load", &self.load_handle())
            .finish_non_exhaustive()
    }
}
