//! Two plain [`PerKey`] gates: one spends tokens, one holds places and waits.
#![allow(dead_code, reason = "each test uses its part")]

use plimsoll_core::{
    Admit, Clock, Gate, ManualClock, Outcome, PerKey, PerKeyQuota, Quota, QuotaState, Reason,
    Rejected, Tick, testing::Places,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// What the tests know about work: who asks.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) client: u64,
    pub(crate) tenant: String,
}

pub(crate) fn from(client: u64) -> Request {
    Request { client, tenant: format!("tenant {client}") }
}

/// A token each millisecond, `burst` at most. The state is when it will be full.
pub(crate) struct Bucket {
    pub(crate) burst: u64,
    pub(crate) clock: ManualClock,
    /// How many states were ever made.
    pub(crate) made: Arc<AtomicUsize>,
}

const PERIOD: u64 = 1_000_000;

impl Bucket {
    pub(crate) fn new(burst: u64, clock: &ManualClock) -> Self {
        Self { burst, clock: clock.clone(), made: Arc::default() }
    }
}

impl Gate for Bucket {
    type Ticket = ();

    fn leave(&self, (): (), _: Outcome) {}
}

impl PerKey for Bucket {
    type State = AtomicU64;

    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn fresh(&self) -> AtomicU64 {
        self.made.fetch_add(1, SeqCst);
        AtomicU64::new(0)
    }

    fn is_fresh(&self, state: &AtomicU64, now: Tick) -> bool {
        state.load(SeqCst) <= now.as_nanos()
    }

    fn try_enter_in(&self, state: &AtomicU64, now: Tick) -> Result<(), Rejected> {
        let now = now.as_nanos();
        let spend = |full_at: u64| {
            let then = full_at.max(now).checked_add(PERIOD)?;
            (then - now <= self.burst * PERIOD).then_some(then)
        };
        let refuse = |full_at: u64| {
            let missing = (full_at.max(now) - now).saturating_add(PERIOD);
            let hint = missing.saturating_sub(self.burst * PERIOD);
            let refusal = Rejected::new(Reason::Rate, "bucket");
            if self.burst == 0 { refusal } else { refusal.retry_in_nanos(hint) }
        };
        state.fetch_update(SeqCst, SeqCst, spend).map(drop).map_err(refuse)
    }

    fn leave_in(&self, state: &AtomicU64, (): (), outcome: Outcome) {
        if outcome == Outcome::Unused {
            state.fetch_sub(PERIOD, SeqCst);
        }
    }
}

impl PerKeyQuota for Bucket {
    fn quota_in(&self, state: &AtomicU64, now: Tick) -> QuotaState {
        let missing = state.load(SeqCst).saturating_sub(now.as_nanos());
        QuotaState {
            limit: self.burst,
            remaining: self.burst - missing.div_ceil(PERIOD).min(self.burst),
            reset: Duration::from_nanos(missing),
            window: Duration::from_nanos(self.burst * PERIOD),
        }
    }
}

/// So that it can be a whole gate of one key too. Spends a state of its own.
pub(crate) struct Alone(pub(crate) Bucket, pub(crate) AtomicU64);

impl Alone {
    pub(crate) fn new(burst: u64, clock: &ManualClock) -> Self {
        Self(Bucket::new(burst, clock), AtomicU64::new(0))
    }
}

impl Gate for Alone {
    type Ticket = ();

    fn leave(&self, (): (), outcome: Outcome) {
        self.0.leave_in(&self.1, (), outcome);
    }
}

impl<C: ?Sized> Admit<C> for Alone {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        self.0.try_enter_in(&self.1, self.0.now())
    }
}

/// `limit` places per key, and a line for them.
pub(crate) struct Desks {
    pub(crate) limit: u64,
    pub(crate) clock: ManualClock,
}

/// One key's places, and how many wait for one.
pub(crate) struct Desk {
    places: Places,
    waiting: AtomicU64,
}

struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Gate for Desks {
    type Ticket = u64;

    fn leave(&self, _: u64, _: Outcome) {}
}

impl PerKey for Desks {
    type State = Desk;

    fn now(&self) -> Tick {
        self.clock.now()
    }

    fn fresh(&self) -> Desk {
        Desk { places: Places::new(self.limit).waiting(), waiting: AtomicU64::new(0) }
    }

    fn is_fresh(&self, desk: &Desk, _: Tick) -> bool {
        desk.waiting.load(SeqCst) == 0 && desk.places.used() == 0
    }

    fn try_enter_in(&self, desk: &Desk, _: Tick) -> Result<u64, Rejected> {
        desk.places.try_enter(&())
    }

    async fn enter_in<'a>(&'a self, desk: &'a Desk) -> Result<u64, Rejected> {
        desk.waiting.fetch_add(1, SeqCst);
        let _waiting = Waiting(&desk.waiting);
        desk.places.enter(&()).await
    }

    fn leave_in(&self, desk: &Desk, ticket: u64, outcome: Outcome) {
        desk.places.leave(ticket, outcome);
    }
}

impl<C: ?Sized> Quota<C> for Alone {
    fn quota(&self, _: &C) -> QuotaState {
        self.0.quota_in(&self.1, self.0.now())
    }
}
