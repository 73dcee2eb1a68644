//! The concurrency limit as a gate.

use crate::{
    ConcurrencyLimit,
    discipline::{ByDeadline, ByPriority, Discipline},
    entrance::places,
};
use plimsoll_core::{Admit, Clock, Deadline, Gate, Load, Outcome, Priority, Rejected, Weigh};
use plimsoll_wait::Order;
use std::cmp::Reverse;

/// What a permit of a [`ConcurrencyLimit`] holds: so many places. Plain data, and
/// given back once:
///
/// ```compile_fail,E0382
/// use plimsoll_backpressure::ConcurrencyLimit;
/// use plimsoll_core::{Admit, Gate, Outcome};
///
/// let limit = ConcurrencyLimit::new(1);
/// let ticket = limit.try_enter(&()).unwrap();
/// limit.leave(ticket, Outcome::Success);
/// limit.leave(ticket, Outcome::Success); // it has been moved
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "its places stay taken until it is given back"]
pub struct LimitTicket(u32);

impl<D: Discipline, K: Clock> Gate for ConcurrencyLimit<D, K> {
    type Ticket = LimitTicket;

    #[inline]
    fn leave(&self, ticket: LimitTicket, _: Outcome) {
        self.entrance.places.give_back(ticket.0);
    }
}

impl<D: Discipline, K: Clock> ConcurrencyLimit<D, K> {
    #[inline]
    fn try_places(&self, n: u64, deadline: Option<Deadline>) -> Result<LimitTicket, Rejected> {
        let n = places(n);
        self.entrance.try_take(n, deadline).map(|()| LimitTicket(n))
    }

    /// Waits for places, and makes something of the ticket.
    #[inline]
    fn places_as<'a, T: 'a>(
        &'a self,
        n: u64,
        about: <D::Order<K> as Order>::About,
        deadline: Option<Deadline>,
        make: impl Fn(LimitTicket) -> T + Send + 'a,
    ) -> impl Future<Output = Result<T, Rejected>> + Send + 'a {
        let n = places(n);
        self.entrance.take_as(n, about, deadline, move |_| make(LimitTicket(n)))
    }
}

/// Of disciplines that need know nothing of the work.
impl<C: ?Sized, D, K: Clock> Admit<C> for ConcurrencyLimit<D, K>
where
    D: Discipline<Order<K>: Order<About = ()>>,
{
    #[inline]
    fn try_enter(&self, _: &C) -> Result<LimitTicket, Rejected> {
        self.try_places(1, None)
    }

    #[inline]
    fn enter<'a>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        self.enter_as(cx, |ticket| ticket)
    }

    #[inline]
    fn enter_as<'a, T, F>(
        &'a self,
        _: &'a C,
        make: F,
    ) -> impl Future<Output = Result<T, Rejected>> + Send + 'a
    where
        C: Sync,
        T: 'a,
        F: Fn(LimitTicket) -> T + Send + 'a,
    {
        self.places_as(1, (), None, make)
    }
}

/// In places. A weight of 0 always passes.
///
/// Whoever is next by the discipline and does not fit yet is waited for: nobody
/// smaller passes, so that places come together for it.
impl<D, K: Clock> Weigh for ConcurrencyLimit<D, K>
where
    D: Discipline<Order<K>: Order<About = ()>>,
{
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<LimitTicket, Rejected> {
        self.try_places(n, None)
    }

    #[inline]
    fn enter_n(&self, n: u64) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + '_ {
        self.places_as(n, (), None, |ticket| ticket)
    }
}

/// The places taken, and how many there are: the first may be the larger.
impl<D: Discipline, K: Clock> Load for ConcurrencyLimit<D, K> {
    fn load(&self) -> usize {
        self.in_flight() as usize
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.limit() as usize)
    }
}

/// What it is told is a priority.
impl<K: Clock> Admit<Priority> for ConcurrencyLimit<ByPriority, K> {
    #[inline]
    fn try_enter(&self, _: &Priority) -> Result<LimitTicket, Rejected> {
        self.try_places(1, None)
    }

    fn enter<'a>(
        &'a self,
        &priority: &'a Priority,
    ) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + 'a {
        self.places_as(1, Reverse(priority), None, |ticket| ticket)
    }
}

/// What it is told is a priority, and how many places it takes.
impl<K: Clock> Admit<(Priority, u64)> for ConcurrencyLimit<ByPriority, K> {
    #[inline]
    fn try_enter(&self, &(_, n): &(Priority, u64)) -> Result<LimitTicket, Rejected> {
        self.try_places(n, None)
    }

    fn enter<'a>(
        &'a self,
        &(priority, n): &'a (Priority, u64),
    ) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + 'a {
        self.places_as(n, Reverse(priority), None, |ticket| ticket)
    }
}

/// What it is told is a deadline; the task's own counts too.
impl<K: Clock> Admit<Deadline> for ConcurrencyLimit<ByDeadline, K> {
    #[inline]
    fn try_enter(&self, &deadline: &Deadline) -> Result<LimitTicket, Rejected> {
        self.try_enter(&(deadline, 1))
    }

    fn enter<'a>(
        &'a self,
        &deadline: &'a Deadline,
    ) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + 'a {
        self.places_as(1, deadline, Some(deadline), |ticket| ticket)
    }
}

/// What it is told is a deadline, and how many places it takes.
impl<K: Clock> Admit<(Deadline, u64)> for ConcurrencyLimit<ByDeadline, K> {
    #[inline]
    fn try_enter(&self, &(deadline, n): &(Deadline, u64)) -> Result<LimitTicket, Rejected> {
        self.try_places(n, Some(deadline))
    }

    fn enter<'a>(
        &'a self,
        &(deadline, n): &'a (Deadline, u64),
    ) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + 'a {
        self.places_as(n, deadline, Some(deadline), |ticket| ticket)
    }
}
