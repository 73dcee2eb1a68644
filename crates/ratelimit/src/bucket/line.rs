//! Those who wait for tokens: one line for each state, all behind one lock.
//!
//! Nobody takes tokens ahead of time. Who stands where says when each is due:
//! the empty mark, moved on by what everybody up to there costs. So a waiter
//! that leaves moves everybody behind it up, and there is nothing to refund.
//!
//! One waiter keeps the time, the *leader*: the first who is awake to it, that
//! is, not a reservation that nobody awaits. It sleeps until the front is due,
//! and serves everybody who is. Whenever a line changes, its leader is woken to
//! set its timer anew.

use super::{
    dial::Version,
    scale::Scale,
    state::{BucketState, BucketTicket},
};
use plimsoll_core::{Reason, Rejected, Tick};
use plimsoll_wait::{Line, Spot};
use std::{collections::BTreeMap, task::Waker, time::Duration};

/// The lines, found by the address of the state they are for. A line exists
/// while anybody is in it.
#[derive(Debug)]
pub(super) struct Hall {
    lines: BTreeMap<usize, Queue>,
    bound: usize,
}

#[derive(Debug)]
struct Queue {
    line: Line<Entry>,
    /// What everybody waiting asks for, together.
    weight: u64,
}

#[derive(Debug)]
struct Entry {
    n: u32,
    deadline: Tick,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Without a waker: a reservation that nobody awaits yet.
    Waits(Option<Waker>),
    Granted(BucketTicket),
    /// A change of the rate has put its turn behind its deadline.
    Late,
}

/// What came of joining.
pub(super) enum Joined {
    Granted(BucketTicket),
    InLine(Spot),
}

/// What one in line is to do.
pub(super) enum Turn {
    Granted(BucketTicket),
    /// Its turn would come too late.
    Refused(Rejected),
    /// Look again at this time. `None`: only a change of the rate helps.
    Lead(Option<Tick>),
    /// Wait to be woken.
    Follow,
}

/// Whom to wake once the lock is released.
#[derive(Debug, Default)]
#[must_use = "a lost wake-up is a lost waiter"]
pub(super) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(super) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }

    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }
}

impl Hall {
    pub(super) fn new(bound: usize) -> Self {
        Self { lines: BTreeMap::new(), bound }
    }

    /// How many may wait for one state.
    pub(super) fn bound(&self) -> usize {
        self.bound
    }

    /// Only while nobody waits.
    pub(super) fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    pub(super) fn is_full(&self, state: &BucketState) -> bool {
        self.waiting(state) >= self.bound
    }

    pub(super) fn waiting(&self, state: &BucketState) -> usize {
        self.lines.get(&state.address()).map_or(0, |queue| queue.line.len())
    }

    /// How many tokens are waited for.
    pub(super) fn weight(&self, state: &BucketState) -> u64 {
        self.lines.get(&state.address()).map_or(0, |queue| queue.weight)
    }

    /// Joins the line; `None` if it is full.
    pub(super) fn join(&mut self, state: &BucketState, n: u32, deadline: Tick) -> Option<Spot> {
        let queue = self
            .lines
            .entry(state.address())
            .or_insert_with(|| Queue { line: Line::new(self.bound), weight: 0 });
        let entry = Entry { n, deadline, stage: Stage::Waits(None) };
        let spot = queue.line.join(entry).ok()?;
        queue.weight += u64::from(n);
        Some(spot)
    }

    /// Whoever is at `spot` waits there with this waker.
    pub(super) fn attend(&mut self, state: &BucketState, spot: Spot, waker: &Waker) {
        let entry = self.lines.get_mut(&state.address()).and_then(|q| q.line.get_mut(spot));
        if let Some(Entry { stage: Stage::Waits(told), .. }) = entry {
            if !told.as_ref().is_some_and(|told| told.will_wake(waker)) {
                *told = Some(waker.clone());
            }
        }
    }

    /// Serves everybody who is due, and opens the bucket to all when nobody is
    /// left. Everything that touches a line ends with this.
    pub(super) fn advance(
        &mut self,
        state: &BucketState,
        scale: &Scale,
        version: Version,
        now: Tick,
    ) -> Wakers {
        let mut wakers = Wakers::default();
        let Some(queue) = self.lines.get_mut(&state.address()) else { return wakers };
        let word = state.load();
        if !word.somebody_waits() {
            return wakers;
        }
        let mut empty = word.empty_mark();
        let clock = scale.at(now);
        let mut served = false;
        while let Some(front) = queue.line.front() {
            let Some(entry) = queue.line.get_mut(front) else { break };
            let cost = scale.cost(entry.n);
            let awaited = matches!(entry.stage, Stage::Waits(Some(_)));
            let Ok(mark) = scale.take_in_line(empty, clock, cost, awaited) else { break };
            empty = mark;
            let ticket = BucketTicket::new(entry.n, version, empty);
            queue.weight -= u64::from(entry.n);
            let before = std::mem::replace(&mut entry.stage, Stage::Granted(ticket));
            if let Stage::Waits(Some(waker)) = before {
                wakers.0.push(waker);
            }
            queue.line.serve();
            served = true;
        }
        if served {
            // Nobody else changes a word that says that somebody waits.
            let _ = state.replace_mark(word, empty);
            queue.open_if_empty(state);
            wakers.extend(self.leader(state));
        }
        wakers
    }

    /// The waker of the one who keeps the time.
    pub(super) fn leader(&self, state: &BucketState) -> Wakers {
        let queue = self.lines.get(&state.address());
        let leader = queue.and_then(Queue::leader);
        Wakers(leader.map(|(_, waker)| waker.clone()).into_iter().collect())
    }

    /// What the one at `spot` is to do. Collects it if its wait is over.
    pub(super) fn turn(
        &mut self,
        state: &BucketState,
        scale: &Scale,
        now: Tick,
        spot: Spot,
        name: &'static str,
    ) -> Turn {
        let empty = state.load().empty_mark();
        let refusal = Rejected::new(Reason::Rate, name);
        let Some(queue) = self.lines.get_mut(&state.address()) else {
            return Turn::Refused(refusal);
        };
        if queue.line.is_waiting(spot) {
            if queue.leader().is_some_and(|(first, _)| first != spot) {
                return Turn::Follow;
            }
            let due = queue.line.front().and_then(|front| queue.due(scale, empty, now, front));
            return Turn::Lead(due.map(|nanos| now + Duration::from_nanos(nanos)));
        }
        let (entry, weight) = (queue.line.remove(spot), queue.weight);
        self.forget_if_deserted(state);
        match entry {
            Some(Entry { stage: Stage::Granted(ticket), .. }) => Turn::Granted(ticket),
            Some(Entry { n, .. }) => {
                let due = due(scale, empty, weight, n, now);
                Turn::Refused(due.map_or(refusal, |nanos| refusal.retry_in_nanos(nanos)))
            }
            None => Turn::Refused(refusal),
        }
    }

    /// How long until the one at `spot` is due, zero once it was served, `None`
    /// if never at this rate.
    pub(super) fn delay(
        &self,
        state: &BucketState,
        scale: &Scale,
        now: Tick,
        spot: Spot,
    ) -> Option<u64> {
        let empty = state.load().empty_mark();
        match self.lines.get(&state.address()) {
            Some(queue) if queue.line.is_waiting(spot) => queue.due(scale, empty, now, spot),
            _ => Some(0),
        }
    }

    /// Takes the one at `spot` out, and returns what it was given.
    pub(super) fn quit(&mut self, state: &BucketState, spot: Spot) -> Option<BucketTicket> {
        let queue = self.lines.get_mut(&state.address())?;
        let waited = queue.line.is_waiting(spot);
        let entry = queue.line.remove(spot)?;
        if waited {
            queue.weight -= u64::from(entry.n);
        }
        queue.open_if_empty(state);
        self.forget_if_deserted(state);
        match entry.stage {
            Stage::Granted(ticket) => Some(ticket),
            Stage::Waits(_) | Stage::Late => None,
        }
    }

    /// Takes everybody out of the order whose turn now comes after its
    /// deadline.
    pub(super) fn dismiss_late(&mut self, state: &BucketState, scale: &Scale, now: Tick) -> Wakers {
        let mut wakers = Wakers::default();
        let empty = state.load().empty_mark();
        let Some(queue) = self.lines.get_mut(&state.address()) else { return wakers };
        let (mut ahead, mut next) = (0, queue.line.front());
        while let Some(spot) = next {
            next = queue.line.behind(spot);
            let Some(entry) = queue.line.get_mut(spot) else { break };
            let due = due(scale, empty, ahead, entry.n, now);
            let in_time =
                due.is_some_and(|nanos| now + Duration::from_nanos(nanos) <= entry.deadline);
            if in_time || entry.deadline == Tick::MAX {
                ahead += u64::from(entry.n);
                continue;
            }
            queue.weight -= u64::from(entry.n);
            if let Stage::Waits(Some(waker)) = std::mem::replace(&mut entry.stage, Stage::Late) {
                wakers.0.push(waker);
            }
            queue.line.dismiss(spot);
        }
        queue.open_if_empty(state);
        wakers
    }

    fn forget_if_deserted(&mut self, state: &BucketState) {
        let address = state.address();
        if self.lines.get(&address).is_some_and(|queue| queue.line.is_deserted()) {
            self.lines.remove(&address);
        }
    }
}

impl Queue {
    /// Who keeps the time.
    fn leader(&self) -> Option<(Spot, &Waker)> {
        self.line.iter().find_map(|(spot, entry)| match &entry.stage {
            Stage::Waits(Some(waker)) => Some((spot, waker)),
            _ => None,
        })
    }

    fn open_if_empty(&self, state: &BucketState) {
        if self.line.is_empty() {
            state.open();
        }
    }

    fn due(&self, scale: &Scale, empty: u64, now: Tick, spot: Spot) -> Option<u64> {
        let mut ahead = 0;
        for (here, entry) in self.line.iter() {
            if here == spot {
                return due(scale, empty, ahead, entry.n, now);
            }
            ahead += u64::from(entry.n);
        }
        None
    }
}

/// How long until somebody who asks for `n` with `ahead` tokens waited for in
/// front is due.
fn due(scale: &Scale, empty: u64, ahead: u64, n: u32, now: Tick) -> Option<u64> {
    let own = scale.upfront(scale.cost(n));
    scale.until(empty.saturating_add(scale.cost_of_all(ahead)).saturating_add(own), now)
}
