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
    /// A reservation that nobody awaits yet.
    Reserved,
    /// Without a waker once it has been woken and until it looks.
    Waits(Option<Waker>),
    Granted(BucketTicket),
    /// Its turn comes, or came, after its deadline.
    Late,
}

impl Stage {
    /// Ends the wait and returns whom to wake.
    fn conclude(&mut self, end: Self) -> Option<Waker> {
        match std::mem::replace(self, end) {
            Self::Waits(waker) => waker,
            Self::Reserved | Self::Granted(_) | Self::Late => None,
        }
    }
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

/// Whom to wake once the lock is released: wakers are others' code, and are
/// neither woken nor cloned nor dropped under it.
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
        let entry = Entry { n, deadline, stage: Stage::Reserved };
        let spot = queue.line.join(entry).ok()?;
        queue.weight += u64::from(n);
        Some(spot)
    }

    /// Takes the waker of the one at `spot`, who is awake.
    pub(super) fn disarm(&mut self, state: &BucketState, spot: Spot) -> Option<Waker> {
        match &mut self.lines.get_mut(&state.address())?.line.get_mut(spot)?.stage {
            Stage::Waits(waker) => waker.take(),
            _ => None,
        }
    }

    /// Whoever is at `spot` waits there with this waker, if it waits. Returns
    /// the waker that is not needed.
    pub(super) fn attend(
        &mut self,
        state: &BucketState,
        spot: Spot,
        waker: Waker,
    ) -> Option<Waker> {
        let entry = self.lines.get_mut(&state.address()).and_then(|q| q.line.get_mut(spot));
        match entry.map(|entry| &mut entry.stage) {
            Some(Stage::Waits(told)) => told.replace(waker),
            Some(stage @ Stage::Reserved) => {
                *stage = Stage::Waits(Some(waker));
                None
            }
            _ => Some(waker),
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
        let (mut moved, mut late) = (false, false);
        while let Some(front) = queue.line.front() {
            let Some(entry) = queue.line.get_mut(front) else { break };
            let cost = scale.cost(entry.n);
            let awaited = matches!(entry.stage, Stage::Waits(_));
            let Ok(mark) = scale.take_in_line(empty, clock, cost, awaited) else { break };
            let end = if entry.deadline < now {
                Stage::Late
            } else {
                // What was not caught up puts everybody's turn off.
                late |= mark > empty + cost;
                empty = mark;
                Stage::Granted(BucketTicket::new(entry.n, version, empty))
            };
            queue.weight -= u64::from(entry.n);
            wakers.0.extend(entry.stage.conclude(end));
            queue.line.serve();
            moved = true;
        }
        if moved {
            // Nobody else changes a word that says that somebody waits.
            let _ = state.replace_mark(word, empty);
            queue.open_if_empty(state);
            if late {
                wakers.extend(self.dismiss_late(state, scale, now));
            }
            wakers.extend(self.leader(state));
        }
        wakers
    }

    /// The waker of the one who keeps the time, unless it has been woken and has
    /// not looked yet.
    pub(super) fn leader(&mut self, state: &BucketState) -> Wakers {
        let queue = self.lines.get_mut(&state.address());
        let waker = queue.and_then(|queue| {
            let leader = queue.leader()?;
            match &mut queue.line.get_mut(leader)?.stage {
                Stage::Waits(waker) => waker.take(),
                _ => None,
            }
        });
        Wakers(waker.into_iter().collect())
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
            if queue.leader().is_some_and(|leader| leader != spot) {
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

    /// Takes the one at `spot` out, and returns what it was given, and the waker
    /// that is not needed any more.
    pub(super) fn quit(
        &mut self,
        state: &BucketState,
        spot: Spot,
    ) -> (Option<BucketTicket>, Option<Waker>) {
        let Some(queue) = self.lines.get_mut(&state.address()) else { return (None, None) };
        let waited = queue.line.is_waiting(spot);
        let Some(entry) = queue.line.remove(spot) else { return (None, None) };
        if waited {
            queue.weight -= u64::from(entry.n);
        }
        queue.open_if_empty(state);
        self.forget_if_deserted(state);
        match entry.stage {
            Stage::Granted(ticket) => (Some(ticket), None),
            Stage::Waits(waker) => (None, waker),
            Stage::Reserved | Stage::Late => (None, None),
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
            wakers.0.extend(entry.stage.conclude(Stage::Late));
            queue.line.dismiss(spot);
        }
        queue.open_if_empty(state);
        wakers
    }

    /// What the one in front asks for, if anybody waits.
    pub(super) fn front(&self, state: &BucketState) -> Option<u32> {
        let line = &self.lines.get(&state.address())?.line;
        line.front().and_then(|front| line.get(front)).map(|entry| entry.n)
    }

    /// The most that anybody in line asks for.
    pub(super) fn largest(&self, state: &BucketState) -> u32 {
        let queue = self.lines.get(&state.address());
        let asked = queue.into_iter().flat_map(|queue| queue.line.iter());
        asked.map(|(_, entry)| entry.n).max().unwrap_or(0)
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
    fn leader(&self) -> Option<Spot> {
        let awaited = |entry: &Entry| matches!(entry.stage, Stage::Waits(_));
        self.line.iter().find_map(|(spot, entry)| awaited(entry).then_some(spot))
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
