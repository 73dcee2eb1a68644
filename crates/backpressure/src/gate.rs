//! The concurrency limit as a gate.

use crate::{
    ConcurrencyLimit,
    discipline::{ByDeadline, ByPriority, Discipline, Fifo},
};
use plimsoll_core::{
    Admit, Clock, Deadline, Gate, Load, Outcome, Priority, Reason, Rejected, Weigh,
};
use plimsoll_wait::Order;
use std::cmp::Reverse;

/// What a permit of a [`ConcurrencyLimit`] holds: so many places. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitTicket(u32);

impl<D: Discipline, K: Clock> Gate for ConcurrencyLimit<D, K> {
    type Ticket = LimitTicket;

    #[inline]
    fn leave(&self, ticket: LimitTicket, _: Outcome) {
        self.entrance.places.give_back(ticket.0);
    }
}

/// Of disciplines that need know nothing of the work.
impl<C: ?Sized, D, K: Clock> Admit<C> for ConcurrencyLimit<D, K>
where
    D: Discipline<Order<K>: Order<About = ()>>,
{
    #[inline]
    fn try_enter(&self, _: &C) -> Result<LimitTicket, Rejected> {
        self.entrance.try_take(1).map(|()| LimitTicket(1))
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
        self.entrance.take(1, move |_| make(LimitTicket(1)))
    }
}

/// In places. A weight of 0 always passes.
impl<K: Clock> Weigh for ConcurrencyLimit<Fifo, K> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<LimitTicket, Rejected> {
        let n = weight(self, n)?;
        self.entrance.try_take(n).map(|()| LimitTicket(n))
    }

    async fn enter_n(&self, n: u64) -> Result<LimitTicket, Rejected> {
        let n = weight(self, n)?;
        self.entrance.take(n, move |_| LimitTicket(n)).await
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
        self.entrance.try_take(1).map(|()| LimitTicket(1))
    }

    #[inline]
    fn enter<'a>(
        &'a self,
        priority: &'a Priority,
    ) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + 'a {
        self.entrance.take_as(1, Reverse(*priority), None, |_| LimitTicket(1))
    }
}

/// What it is told is a deadline; the task's own counts too.
impl<K: Clock> Admit<Deadline> for ConcurrencyLimit<ByDeadline, K> {
    #[inline]
    fn try_enter(&self, deadline: &Deadline) -> Result<LimitTicket, Rejected> {
        let latest = deadline.minus(self.entrance.work_takes.unwrap_or_default());
        if latest.expired_on(&self.entrance.clock) {
            return Err(self.entrance.late());
        }
        self.entrance.try_take(1).map(|()| LimitTicket(1))
    }

    #[inline]
    fn enter<'a>(
        &'a self,
        deadline: &'a Deadline,
    ) -> impl Future<Output = Result<LimitTicket, Rejected>> + Send + 'a {
        self.entrance.take_as(1, *deadline, Some(*deadline), |_| LimitTicket(1))
    }
}

/// A weight as places count; what does not fit a `u32` never passes.
#[inline]
fn weight<K: Clock>(limit: &ConcurrencyLimit<Fifo, K>, n: u64) -> Result<u32, Rejected> {
    u32::try_from(n).map_err(|_| Rejected::new(Reason::Concurrency, limit.entrance.name))
}
