//! The most important, or the most urgent, first.

use super::Discipline;
use crate::entrance::is_past;
use plimsoll_core::{Clock, Deadline, Priority, Tick};
use plimsoll_wait::{Line, Next, Order, Spot, Waiter};
use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

/// The highest [`Priority`] first, and of the same first come, first served. Made
/// by [`ConcurrencyLimit::by_priority`](crate::ConcurrencyLimit::by_priority).
///
/// A full line refuses its lowest, the newest of them, to make room for somebody
/// higher. What is low waits for as long as what is higher keeps coming: give it a
/// patience or a deadline.
///
/// Told a priority and a weight, it takes so many places; while they are too few
/// for whoever is first, nobody lower passes:
///
/// ```
/// use plimsoll_backpressure::ConcurrencyLimit;
/// use plimsoll_core::{GateExt, Priority};
///
/// struct Query { priority: Priority, tables: u64 }
///
/// let limit = ConcurrencyLimit::new(10).by_priority().by(|q: &Query| (q.priority, q.tables));
/// let permit = limit.try_admit_for(&Query { priority: Priority::NORMAL, tables: 4 })?;
/// assert_eq!(limit.get_ref().in_flight(), 4);
/// # drop(permit);
/// # Ok::<(), plimsoll_core::Rejected>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ByPriority;

impl Discipline for ByPriority {
    type Order<K: Clock> = Ranked<Reverse<Priority>, K>;

    fn order<K: Clock>(&self, clock: K) -> Self::Order<K> {
        Ranked::new(clock, Duration::ZERO)
    }
}

/// The earliest [`Deadline`] first, and nobody whose deadline has passed. Made by
/// [`ConcurrencyLimit::by_deadline`](crate::ConcurrencyLimit::by_deadline).
///
/// As long as all can be served in time, this order does it. A full line refuses
/// its latest, to make room for somebody earlier. Told a deadline and a weight, it
/// takes so many places, as [`ByPriority`] does.
///
/// Source: C. L. Liu and J. W. Layland, "Scheduling Algorithms for
/// Multiprogramming in a Hard-Real-Time Environment", Journal of the ACM 20(1),
/// 1973.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDeadline {
    /// Whoever has no more than this left is refused.
    pub(crate) work_takes: Duration,
}

impl Discipline for ByDeadline {
    type Order<K: Clock> = Ranked<Deadline, K>;

    fn order<K: Clock>(&self, clock: K) -> Self::Order<K> {
        Ranked::new(clock, self.work_takes)
    }
}

/// What those who wait are ordered by, the least first.
pub trait Rank: Copy + Ord + Send {
    /// Before which moment work with this rank must start.
    fn latest(self, _work_takes: Duration) -> Tick {
        Tick::MAX
    }
}

impl Rank for Reverse<Priority> {}

impl Rank for Deadline {
    fn latest(self, work_takes: Duration) -> Tick {
        self.minus(work_takes).tick()
    }
}

/// What the line asks.
#[derive(Debug)]
pub struct Ranked<R, K> {
    /// By rank, and then by when they came.
    waiting: BTreeMap<(R, u64), Spot>,
    came: u64,
    work_takes: Duration,
    clock: K,
}

impl<R: Rank, K: Clock> Ranked<R, K> {
    fn new(clock: K, work_takes: Duration) -> Self {
        Self { waiting: BTreeMap::new(), came: 0, work_takes, clock }
    }
}

impl<R: Rank, K: Clock> Order for Ranked<R, K> {
    type About = R;
    type Key = (R, u64);

    fn key(&mut self, rank: R) -> (R, u64) {
        self.came += 1;
        (rank, self.came)
    }

    fn joined(&mut self, key: (R, u64), spot: Spot) {
        self.waiting.insert(key, spot);
    }

    fn left(&mut self, key: (R, u64)) {
        self.waiting.remove(&key);
    }

    fn next(&mut self, _: &Line<Waiter<(R, u64)>>, _: u32) -> Option<Next> {
        let (&(rank, _), &spot) = self.waiting.first_key_value()?;
        let late = is_past(rank.latest(self.work_takes), &self.clock);
        Some(if late { Next::Refuse(spot) } else { Next::Serve(spot) })
    }

    fn displaced(&self, _: &Line<Waiter<(R, u64)>>, key: (R, u64)) -> Option<Spot> {
        let (last, &spot) = self.waiting.last_key_value()?;
        // The same rank does not displace: who came first stays.
        (last.0 > key.0).then_some(spot)
    }
}
