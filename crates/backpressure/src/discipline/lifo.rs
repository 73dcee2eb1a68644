//! Last come, first served, while there are too many.

use super::Discipline;
use plimsoll_core::{Clock, Tick};
use plimsoll_wait::{Line, Next, Order, Spot, Waiter};
use std::time::Duration;

/// First come, first served, until the line has not been empty for a while; then
/// last come, first served. Made by
/// [`ConcurrencyLimit::lifo`](crate::ConcurrencyLimit::lifo).
///
/// A line that empties is a burst, and fairness suits it. One that does not is an
/// overload: whoever has waited longest is next to giving up, and serving it first
/// makes everybody wait that long. The newest are still in time. While it lasts,
/// a full line refuses its oldest rather than the newcomer.
///
/// Source: B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015, where it is called
/// adaptive LIFO.
#[derive(Clone, Copy, Debug)]
pub struct Lifo {
    pub(crate) after: Duration,
}

impl Discipline for Lifo {
    type Order<K: Clock> = Newest<K>;

    fn order<K: Clock>(&self, clock: K) -> Newest<K> {
        Newest { after: self.after, busy_since: Tick::ZERO, waiting: 0, clock }
    }
}

/// What the line asks.
#[derive(Debug)]
pub struct Newest<K> {
    after: Duration,
    /// Since when the line has not been empty.
    busy_since: Tick,
    waiting: usize,
    clock: K,
}

impl<K: Clock> Newest<K> {
    fn is_overloaded(&self) -> bool {
        self.waiting > 0 && self.clock.now().since(self.busy_since) > self.after
    }
}

impl<K: Clock> Order for Newest<K> {
    type About = ();
    type Key = ();

    fn key(&mut self, (): ()) {}

    fn joined(&mut self, (): (), _: Spot) {
        if self.waiting == 0 {
            self.busy_since = self.clock.now();
        }
        self.waiting += 1;
    }

    fn left(&mut self, (): ()) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    fn next(&mut self, line: &Line<Waiter<()>>, _: u32) -> Option<Next> {
        let next = if self.is_overloaded() { line.back() } else { line.front() };
        next.map(Next::Serve)
    }

    fn displaced(&self, line: &Line<Waiter<()>>, (): ()) -> Option<Spot> {
        if self.is_overloaded() { line.front() } else { None }
    }
}
