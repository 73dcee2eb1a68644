//! Places, and how long work may wait for one: what both limits are made of.

use plimsoll_core::{Clock, Deadline, Reason, Rejected, Tick};
use plimsoll_wait::{Arrival, NoPlace, Order, Places};
use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};
use tokio::time::{Sleep, sleep};

/// How many may wait unless `queue` says otherwise.
pub(crate) const QUEUE: usize = 1_024;

/// How long work waits for a place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Not at all.
    Never,
    AtMost(Duration),
    /// As long as its deadline allows.
    UntilDeadline,
}

/// The word of the places on a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Entrance<K, O: Order = Arrival> {
    pub(crate) places: Places<O>,
    pub(crate) queue: usize,
    pub(crate) patience: Patience,
    /// Work that has less than this left of its deadline is not started, even
    /// where a place is free. `None` asks only those who wait, for zero.
    pub(crate) work_takes: Option<Duration>,
    pub(crate) clock: K,
    pub(crate) name: &'static str,
}

impl<K: Clock> Entrance<K> {
    /// With other places: all free, and nobody in line.
    pub(crate) fn with_places(self, limit: u32, queue: usize) -> Self {
        Self { places: Places::new(limit, queue), queue, ..self }
    }
}

impl<K: Clock, O: Order> Entrance<K, O> {
    /// By another clock and in another order: all places free, nobody in line.
    pub(crate) fn with_order<L: Clock, P: Order>(self, clock: L, order: P) -> Entrance<L, P> {
        let Self { places, queue, patience, work_takes, clock: _, name } = self;
        let places = Places::ordered(places.limit(), queue, order);
        Entrance { places, queue, patience, work_takes, clock, name }
    }

    /// Takes `n` places now or refuses.
    #[inline]
    pub(crate) fn try_take(&self, n: u32) -> Result<(), Rejected> {
        self.places.try_take(n).map_err(|_| self.full())
    }

    /// Takes `n` places, waiting for them. Cancel safe: dropped, it takes none.
    pub(crate) async fn take(&self, n: u32) -> Result<(), Rejected>
    where
        O: Order<About = ()>,
    {
        self.take_as(n, (), None).await
    }

    /// [`take`](Self::take) by somebody of whom the order must know, and by a
    /// deadline of its own.
    pub(crate) async fn take_as(
        &self,
        n: u32,
        about: O::About,
        deadline: Option<Deadline>,
    ) -> Result<(), Rejected> {
        match self.take_at_once(n) {
            Ok(()) => Ok(()),
            Err(why) => self.take_slowly(n, about, deadline, why).await,
        }
    }

    /// Takes `n` places now if they are free and nothing else is to be asked.
    ///
    /// To ask for the task's deadline costs more than a free place, so only where
    /// `work_takes` is set is anybody asked who need not wait.
    #[inline]
    fn take_at_once(&self, n: u32) -> Result<(), NoPlace> {
        if self.work_takes.is_some() { Err(NoPlace::Full) } else { self.places.try_take(n) }
    }

    /// What there is to do when places were not taken at once.
    async fn take_slowly(
        &self,
        n: u32,
        about: O::About,
        deadline: Option<Deadline>,
        mut why: NoPlace,
    ) -> Result<(), Rejected> {
        let latest = self.latest(deadline);
        if self.work_takes.is_some() {
            if self.clock.now() >= latest {
                return Err(self.late());
            }
            match self.places.try_take(n) {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        match why {
            NoPlace::Full => self.wait(n, about, latest).await,
            _ => Err(self.full()),
        }
    }

    /// Before which moment work must start: the end of time without a deadline.
    fn latest(&self, deadline: Option<Deadline>) -> Tick {
        let reserve = self.work_takes.unwrap_or_default();
        let ends = [deadline, Deadline::current()].into_iter().flatten();
        ends.min().map_or(Tick::MAX, |deadline| deadline.minus(reserve).tick())
    }

    /// Waits in line until patience or time runs out.
    async fn wait(&self, n: u32, about: O::About, latest: Tick) -> Result<(), Rejected> {
        let until = match self.patience {
            Patience::Never => return Err(self.full()),
            Patience::AtMost(time) => latest.min(self.clock.now() + time),
            Patience::UntilDeadline => latest,
        };
        if self.is_past(latest) {
            return Err(self.late());
        }
        let too_late = || if until == latest { self.late() } else { self.full() };
        let mut take = pin!(self.places.take_as(n, about));
        let mut timer = pin!(None::<Sleep>);
        poll_fn(|cx| {
            // First the line: who is given a place as the timer rings has it.
            if let Poll::Ready(taken) = take.as_mut().poll(cx) {
                return Poll::Ready(match taken {
                    Err(_) if self.is_past(latest) => Err(self.late()),
                    Err(NoPlace::Dropped) => Err(Rejected::new(Reason::Overload, self.name)),
                    Err(_) => Err(self.full()),
                    // Woken late: the work would be done for nobody.
                    Ok(()) if self.is_past(latest) => {
                        self.places.give_back(n);
                        Err(self.late())
                    }
                    Ok(()) => Ok(()),
                });
            }
            if until == Tick::MAX {
                return Poll::Pending;
            }
            if timer.is_none() {
                timer.set(Some(sleep(until.since(self.clock.now()))));
            }
            match timer.as_mut().as_pin_mut() {
                Some(timer) => timer.poll(cx).map(|()| Err(too_late())),
                None => Poll::Pending,
            }
        })
        .await
    }

    fn is_past(&self, latest: Tick) -> bool {
        latest != Tick::MAX && self.clock.now() >= latest
    }

    #[cold]
    pub(crate) fn late(&self) -> Rejected {
        Rejected::new(Reason::Deadline, self.name)
    }

    /// No place: all are taken, or there are none.
    #[cold]
    fn full(&self) -> Rejected {
        let none = self.places.limit() == 0;
        Rejected::new(if none { Reason::Closed } else { Reason::Concurrency }, self.name)
    }
}
