//! First come, first served, and shedding while waits don't come down.

use super::Discipline;
use plimsoll_core::{Clock, Tick};
use plimsoll_wait::{Line, Next, Order, Spot, Waiter};
use std::time::Duration;

/// First come, first served; when everybody has waited longer than `target` for
/// an `interval`, some in front are refused, more and more of them until the
/// waits come down. Made by
/// [`ConcurrencyLimit::codel`](crate::ConcurrencyLimit::codel).
///
/// It tells a line that is a burst from one that stands: not by its length, but by
/// whether even the shortest wait is too long. The last one in a line is never
/// refused, so that at least somebody is served. Weights change nothing in this:
/// the law goes by waits, and counts those who wait, not their places.
///
/// Source: K. Nichols and V. Jacobson, "Controlling Queue Delay", ACM Queue 10(5),
/// 2012; RFC 8289.
#[derive(Clone, Copy, Debug)]
pub struct CoDel {
    pub(crate) target: Duration,
    pub(crate) interval: Duration,
}

impl Discipline for CoDel {
    type Order<K: Clock> = Shedding<K>;

    fn order<K: Clock>(&self, clock: K) -> Shedding<K> {
        Shedding { law: Law::new(*self), waiting: 0, clock }
    }
}

/// What the line asks.
#[derive(Debug)]
pub struct Shedding<K> {
    law: Law,
    waiting: usize,
    clock: K,
}

impl<K: Clock> Order for Shedding<K> {
    type About = ();
    /// Since when it waits.
    type Key = Tick;

    fn key(&mut self, (): ()) -> Tick {
        self.clock.now()
    }

    fn joined(&mut self, _: Tick, _: Spot) {
        self.waiting += 1;
    }

    fn left(&mut self, _: Tick) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 {
            self.law.emptied();
        }
    }

    fn next(&mut self, line: &Line<Waiter<Tick>>, free: u32) -> Option<Next> {
        let front = line.front()?;
        let waiter = line.get(front)?;
        // The law goes by how long those waited who leave the line. Who does not
        // fit yet has not waited to the end.
        if waiter.n() > free {
            return Some(Next::Serve(front));
        }
        let now = self.clock.now();
        let waited = now.since(waiter.key());
        let refuse = self.law.refuses(now, waited, line.len());
        Some(if refuse { Next::Refuse(front) } else { Next::Serve(front) })
    }
}

/// The law of control.
#[derive(Clone, Debug)]
struct Law {
    rules: CoDel,
    /// When it will have been above the target for an interval.
    above_until: Option<Tick>,
    dropping: bool,
    /// When the next one is refused.
    next: Tick,
    /// How many have been refused since it began to, and how many before.
    count: u32,
    last_count: u32,
}

/// So many intervals after it stopped refusing, it goes on where it was.
const MEMORY: u32 = 16;

impl Law {
    fn new(rules: CoDel) -> Self {
        Self {
            rules,
            above_until: None,
            dropping: false,
            next: Tick::ZERO,
            count: 0,
            last_count: 0,
        }
    }

    fn emptied(&mut self) {
        self.above_until = None;
        self.dropping = false;
    }

    /// Whether to refuse the one in front, who has waited so long, of so many.
    fn refuses(&mut self, now: Tick, waited: Duration, waiting: usize) -> bool {
        if !self.stands(now, waited, waiting) {
            self.dropping = false;
            return false;
        }
        if !self.dropping {
            self.dropping = true;
            let recent = self.count.saturating_sub(self.last_count);
            let goes_on = recent > 1 && now.since(self.next) < self.rules.interval * MEMORY;
            self.count = if goes_on { recent } else { 1 };
            self.last_count = self.count;
            self.next = now + self.pause();
            return true;
        }
        if now < self.next {
            return false;
        }
        self.count = self.count.saturating_add(1);
        // From when the last one was due, not from now: a late one costs no turn.
        self.next = self.next + self.pause();
        true
    }

    /// Whether waits have been above the target for an interval.
    fn stands(&mut self, now: Tick, waited: Duration, waiting: usize) -> bool {
        if waited < self.rules.target || waiting <= 1 {
            self.above_until = None;
            return false;
        }
        let interval = self.rules.interval;
        now >= *self.above_until.get_or_insert(now + interval)
    }

    /// Shorter with the root of how many were refused.
    fn pause(&self) -> Duration {
        self.rules.interval.div_f64(f64::from(self.count).sqrt())
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);
    const RULES: CoDel =
        CoDel { target: Duration::from_millis(5), interval: Duration::from_millis(100) };

    /// Which milliseconds of `upto` see somebody refused, of a line of ten in
    /// which the one in front has waited for `waited`.
    fn refused(law: &mut Law, upto: std::ops::Range<u64>, waited: Duration) -> Vec<u64> {
        let at = |milli: &u64| Tick::from_nanos(milli * 1_000_000);
        upto.filter(|milli| law.refuses(at(milli), waited, 10)).collect()
    }

    #[test]
    fn nobody_is_refused_before_waits_were_too_long_for_an_interval() {
        let mut law = Law::new(RULES);
        assert!(refused(&mut law, 0..1_000, MILLI * 4).is_empty());
        assert!(refused(&mut law, 1_000..1_100, MILLI * 5).is_empty());
        assert_eq!(refused(&mut law, 1_100..1_101, MILLI * 5), [1_100]);
    }

    #[test]
    fn pauses_become_shorter_with_the_root_and_follow_on_each_other() {
        let mut law = Law::new(RULES);
        let refused = refused(&mut law, 0..500, MILLI * 50);
        // 100, then 100, 100/√2, 100/√3 … later.
        assert_eq!(refused, [100, 200, 271, 329, 379, 424, 464]);
    }

    #[test]
    fn one_short_wait_ends_it_and_soon_after_it_goes_on_where_it_was() {
        let mut law = Law::new(RULES);
        refused(&mut law, 0..470, MILLI * 50);
        assert!(refused(&mut law, 470..471, MILLI).is_empty());
        let again = refused(&mut law, 471..700, MILLI * 50);
        assert_eq!(again, [571, 612, 650, 685], "by pauses of 100/√6 on");
    }

    #[test]
    fn the_last_in_the_line_is_never_refused_and_an_empty_line_forgets() {
        let mut law = Law::new(RULES);
        for milli in 0..1_000 {
            assert!(!law.refuses(Tick::from_nanos(milli * 1_000_000), MILLI * 50, 1));
        }
        refused(&mut law, 1_000..1_050, MILLI * 50);
        law.emptied();
        assert!(refused(&mut law, 1_050..1_150, MILLI * 50).is_empty());
    }
}
