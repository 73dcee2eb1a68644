//! Waiting for places.

use super::{NoPlace, Places};
use crate::{Arrival, Order, Spot};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// The future of [`Places::take`].
#[must_use = "nothing is taken before it is awaited"]
pub struct Take<'a, O: Order = Arrival> {
    places: &'a Places<O>,
    n: u32,
    about: O::About,
    stand: Stand,
}

impl<'a, O: Order> Take<'a, O> {
    pub(super) fn new(places: &'a Places<O>, n: u32, about: O::About) -> Self {
        Self { places, n, about, stand: Stand::Outside }
    }
}

#[derive(Debug)]
enum Stand {
    Outside,
    InLine(Spot),
    Done,
}

/// It is never pinned to anything inside.
impl<O: Order> Unpin for Take<'_, O> {}

impl<O: Order> Future for Take<'_, O> {
    type Output = Result<(), NoPlace>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = match self.stand {
            Stand::Outside => match self.places.try_take(self.n) {
                Err(NoPlace::Full) => match self.places.join(self.n, self.about, cx.waker()) {
                    Ok(Some(spot)) => {
                        self.stand = Stand::InLine(spot);
                        return Poll::Pending;
                    }
                    joined => joined.map(drop),
                },
                taken => taken,
            },
            Stand::InLine(spot) => match self.places.look(spot, cx.waker()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(result) => result,
            },
            // Polled after it was ready: a mistake of the caller's, who gets
            // no second place for it.
            Stand::Done => return Poll::Pending,
        };
        self.stand = Stand::Done;
        Poll::Ready(result)
    }
}

impl<O: Order> Drop for Take<'_, O> {
    fn drop(&mut self) {
        if let Stand::InLine(spot) = self.stand {
            self.places.leave(spot);
        }
    }
}

impl<O: Order> fmt::Debug for Take<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Take")
            .field("n", &self.n)
            .field("stand", &self.stand)
            .finish_non_exhaustive()
    }
}
