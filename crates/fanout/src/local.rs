//! The stream of `fan_out_local`.

use crate::{Answer, Failure, caught::caught, group::Group};
use futures_core::Stream;
use plimsoll_core::ConfigError;
use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// A stream of results whose work runs in the task that polls it: see
/// [`fan_out_local`](crate::FanOutExt::fan_out_local).
#[must_use = "streams do nothing unless they are polled"]
pub struct FanOutLocal<S: Stream, F, Fut: Future> {
    /// `None` when it has ended.
    source: Option<Pin<Box<S>>>,
    work: F,
    running: Group<Fut>,
    /// By the place in the group, that in `finished`, counted from the start.
    places: Vec<u64>,
    /// In the order in which they are yielded. In order, a result that is not
    /// there yet holds up those behind it.
    finished: VecDeque<Option<Answer<Fut::Output>>>,
    /// How many were yielded from the front of `finished`.
    gone: u64,
    most: usize,
    window: usize,
    ordered: bool,
}

impl<S: Stream, F, Fut: Future> FanOutLocal<S, F, Fut> {
    pub(crate) fn new(source: S, most: usize, work: F) -> Result<Self, ConfigError> {
        if most == 0 {
            return Err(ConfigError::new("workers", most, "at least 1"));
        }
        Ok(Self {
            source: Some(Box::pin(source)),
            work,
            running: Group::new(),
            places: Vec::new(),
            finished: VecDeque::new(),
            gone: 0,
            most,
            window: most.saturating_mul(2),
            ordered: false,
        })
    }

    /// As [`FanOut::ordered`](crate::FanOut::ordered). To be set before the first
    /// poll.
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// As [`FanOut::window`](crate::FanOut::window), and always counted in items:
    /// by default two for each of `n`.
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
        if items == 0 {
            return Err(ConfigError::new("window", items, "at least 1"));
        }
        self.window = items;
        Ok(self)
    }

    fn put(&mut self, place: Option<u64>, result: Answer<Fut::Output>) {
        let index = place.and_then(|place| usize::try_from(place - self.gone).ok());
        match index.and_then(|index| self.finished.get_mut(index)) {
            Some(space) => *space = Some(result),
            None => self.finished.push_back(Some(result)),
        }
    }
}

impl<S, F, Fut> FanOutLocal<S, F, Fut>
where
    S: Stream,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
{
    /// Starts as much as may run.
    fn fill(&mut self, cx: &mut Context<'_>) {
        while let Some(source) = &mut self.source {
            let waiting = if self.ordered { 0 } else { self.running.len() };
            let held = self.finished.len() + waiting;
            if self.running.len() >= self.most || held >= self.window {
                return;
            }
            let item = match caught(|| source.as_mut().poll_next(cx)) {
                Ok(Poll::Pending) => return,
                Ok(Poll::Ready(Some(item))) => item,
                Ok(Poll::Ready(None)) => {
                    self.source = None;
                    return;
                }
                Err(panic) => {
                    self.source = None;
                    return self.put(None, Err(Failure::Panicked(panic)));
                }
            };
            match caught(|| (self.work)(item)) {
                Ok(future) => self.start(future),
                Err(panic) => self.put(None, Err(Failure::Panicked(panic))),
            }
        }
    }

    fn start(&mut self, future: Fut) {
        let place = self.running.add(future);
        if self.places.len() <= place {
            self.places.resize(place + 1, 0);
        }
        if self.ordered {
            self.places[place] = self.gone + self.finished.len() as u64;
            self.finished.push_back(None);
        }
    }
}

// What is pinned is boxed.
impl<S: Stream, F, Fut: Future> Unpin for FanOutLocal<S, F, Fut> {}

impl<S, F, Fut> Stream for FanOutLocal<S, F, Fut>
where
    S: Stream,
    F: Fn(S::Item) -> Fut,
    Fut: Future,
{
    type Item = Answer<Fut::Output>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            this.fill(cx);
            let ended = this.running.poll_next(cx);
            if let Poll::Ready((place, output)) = ended {
                let place = this.ordered.then(|| this.places[place]);
                this.put(place, output.map_err(Failure::Panicked));
                continue;
            }
            if let Some(Some(_)) = this.finished.front() {
                this.gone += 1;
                return Poll::Ready(this.finished.pop_front().flatten());
            }
            let over = this.source.is_none() && this.running.len() == 0;
            return if over { Poll::Ready(None) } else { Poll::Pending };
        }
    }
}

impl<S: Stream, F, Fut: Future> fmt::Debug for FanOutLocal<S, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOutLocal")
            .field("running", &self.running.len())
            .field("most", &self.most)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}
