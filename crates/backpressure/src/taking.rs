//! Waiting for places: the future of both limits.
//!
//! Written by hand, and not in several `async fn`s, because work that finds a
//! place free must not pay for the futures of work that waits: one inlined
//! decision, and everything else behind a call.

use crate::entrance::{Entrance, Patience};
use plimsoll_core::{Clock, Deadline, Reason, Rejected, Tick};
use plimsoll_wait::{NoPlace, Order, Take};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// The future of [`Entrance::take_as`].
pub(crate) struct Taking<'a, K: Clock, O: Order, F> {
    entrance: &'a Entrance<K, O>,
    n: u32,
    about: O::About,
    deadline: Option<Deadline>,
    /// What is made of places that were had.
    ticket: F,
    wait: Option<Wait<'a, O>>,
}

/// Somebody in line, until patience or time runs out.
struct Wait<'a, O: Order> {
    take: Take<'a, O>,
    /// Work that starts later is of no use.
    latest: Tick,
    end: End,
    /// Armed only by who must wait, and not for ever.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What ends a wait, and how long after its beginning.
#[derive(Clone, Copy)]
enum End {
    Never,
    Patience(Duration),
    Deadline(Duration),
}

impl<'a, K: Clock, O: Order, F> Taking<'a, K, O, F> {
    #[inline]
    pub(crate) fn new(
        entrance: &'a Entrance<K, O>,
        n: u32,
        about: O::About,
        deadline: Option<Deadline>,
        ticket: F,
    ) -> Self {
        Self { entrance, n, about, deadline, ticket, wait: None }
    }

    /// What there is to do when places were not taken at once.
    #[cold]
    #[inline(never)]
    fn poll_slowly(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        let polled = match &mut self.wait {
            Some(wait) => wait.poll(self.entrance, self.n, cx),
            None => match self.begin() {
                Ok(Some(wait)) => self.wait.insert(wait).poll(self.entrance, self.n, cx),
                Ok(None) => Poll::Ready(Ok(())),
                Err(refusal) => Poll::Ready(Err(refusal)),
            },
        };
        if polled.is_ready() {
            // Out of the line now, and not when the future is dropped.
            self.wait = None;
        }
        polled
    }

    /// Whether to wait; `None` if it has its places after all.
    fn begin(&self) -> Result<Option<Wait<'a, O>>, Rejected> {
        let entrance = self.entrance;
        // Looked up late: a refusal without patience costs less than that.
        let latest = || entrance.latest(self.deadline);
        if entrance.work_takes.is_some() && entrance.is_past(latest()) {
            return Err(entrance.late());
        }
        match entrance.places.try_take(self.n) {
            Ok(()) => return Ok(None),
            Err(NoPlace::Full) => {}
            Err(_) => return Err(entrance.full()),
        }
        let patience = match entrance.patience {
            Patience::Never => return Err(entrance.full()),
            Patience::AtMost(time) => End::Patience(time),
            Patience::UntilDeadline => End::Never,
        };
        let latest = latest();
        let end = if latest == Tick::MAX {
            // Patience alone needs no clock but the timer's.
            patience
        } else {
            let left = latest.since(entrance.clock.now());
            match patience {
                _ if left.is_zero() => return Err(entrance.late()),
                End::Patience(time) if time < left => patience,
                _ => End::Deadline(left),
            }
        };
        let take = entrance.places.take_as(self.n, self.about);
        Ok(Some(Wait { take, latest, end, timer: None }))
    }
}

impl<O: Order> Wait<'_, O> {
    fn poll<K: Clock>(
        &mut self,
        entrance: &Entrance<K, O>,
        n: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejected>> {
        // First the line: who is given a place as the timer rings has it.
        if let Poll::Ready(taken) = Pin::new(&mut self.take).poll(cx) {
            let late = entrance.is_past(self.latest);
            return Poll::Ready(match taken {
                Err(_) if late => Err(entrance.late()),
                Err(NoPlace::Dropped) => Err(Rejected::new(Reason::Overload, entrance.name)),
                Err(_) => Err(entrance.full()),
                // Woken late: the work would be done for nobody.
                Ok(()) if late => {
                    entrance.places.give_back(n);
                    Err(entrance.late())
                }
                Ok(()) => Ok(()),
            });
        }
        let (End::Patience(time) | End::Deadline(time)) = self.end else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(time)));
        timer.as_mut().poll(cx).map(|()| {
            let patience = matches!(self.end, End::Patience(_));
            Err(if patience { entrance.full() } else { entrance.late() })
        })
    }
}

/// It is never pinned to anything inside.
impl<K: Clock, O: Order, F> Unpin for Taking<'_, K, O, F> {}

impl<K: Clock, O: Order, T, F: Fn(&K) -> T> Future for Taking<'_, K, O, F> {
    type Output = Result<T, Rejected>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let at_once = this.wait.is_none() && this.entrance.take_at_once(this.n);
        let taken = if at_once { Poll::Ready(Ok(())) } else { this.poll_slowly(cx) };
        taken.map(|taken| taken.map(|()| (this.ticket)(&this.entrance.clock)))
    }
}
