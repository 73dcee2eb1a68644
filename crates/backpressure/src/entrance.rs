//! Places, and how long work may wait for one: what both limits are made of.

use crate::taking::Taking;
use plimsoll_core::{Clock, Deadline, Reason, Rejected, Tick};
use plimsoll_wait::{Arrival, Order, Places};
use std::time::Duration;

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

impl Patience {
    /// More than a clock can count, 584 years, has no end.
    pub(crate) fn at_most(time: Duration) -> Self {
        match u64::try_from(time.as_nanos()) {
            Ok(0) => Self::Never,
            Ok(_) => Self::AtMost(time),
            Err(_) => Self::UntilDeadline,
        }
    }
}

/// A weight as places count it. More than there can be stays more.
#[inline]
pub(crate) fn places(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Whether it is too late for work that must start before `latest`. It never is
/// before the end of time, which stands for no deadline.
pub(crate) fn is_past<K: Clock>(latest: Tick, clock: &K) -> bool {
    latest != Tick::MAX && clock.now() >= latest
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

    /// Takes `n` places now or refuses: also, where it is known how long work
    /// takes, what has too little time left.
    #[inline]
    pub(crate) fn try_take(&self, n: u32, deadline: Option<Deadline>) -> Result<(), Rejected> {
        if self.work_takes.is_some() && self.is_past(self.latest(deadline)) {
            return Err(self.late());
        }
        self.places.try_take(n).map_err(|_| self.full())
    }

    /// Takes `n` places, waiting for them, and makes a ticket of them. Cancel
    /// safe: dropped, it takes none.
    ///
    /// `about` is what the order must know, `deadline` one beside the task's.
    #[inline]
    pub(crate) fn take_as<T>(
        &self,
        n: u32,
        about: O::About,
        deadline: Option<Deadline>,
        ticket: impl Fn(&K) -> T + Send,
    ) -> impl Future<Output = Result<T, Rejected>> + Send {
        Taking::new(self, n, about, deadline, ticket)
    }

    /// Takes `n` places now if they are free and nothing else is to be asked.
    ///
    /// To ask for the task's deadline costs more than a free place, so only where
    /// `work_takes` is set is anybody asked who need not wait.
    #[inline]
    pub(crate) fn take_at_once(&self, n: u32) -> bool {
        self.work_takes.is_none() && self.places.try_take(n).is_ok()
    }

    /// Before which moment work must start: the end of time without a deadline.
    pub(crate) fn latest(&self, deadline: Option<Deadline>) -> Tick {
        let reserve = self.work_takes.unwrap_or_default();
        let ends = [deadline, Deadline::current()].into_iter().flatten();
        ends.min().map_or(Tick::MAX, |deadline| deadline.minus(reserve).tick())
    }

    pub(crate) fn is_past(&self, latest: Tick) -> bool {
        is_past(latest, &self.clock)
    }

    #[cold]
    pub(crate) fn late(&self) -> Rejected {
        Rejected::new(Reason::Deadline, self.name)
    }

    /// No place: all are taken, or there are none.
    #[cold]
    pub(crate) fn full(&self) -> Rejected {
        let none = self.places.limit() == 0;
        Rejected::new(if none { Reason::Closed } else { Reason::Concurrency }, self.name)
    }
}
