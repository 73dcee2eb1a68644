//! One gate for many keys.

use crate::{
    hash::Seeded,
    key::{ByReference, ByValue, KeyOf},
    sync::{AtomicU64, Ordering},
    table::{Index, Place, Table, Tag},
};
use plimsoll_core::{
    Admit, ConfigError, Gate, Outcome, PerKey, PerKeyQuota, Quota, QuotaState, Rejected, Tick,
};
use std::{fmt, future::poll_fn, hash::Hash, pin::pin, task::Poll};

/// How many keys a table is made for unless it is told: 1.3 MB with a state of
/// one word.
pub const DEFAULT_MAX_KEYS: usize = 65_536;
const MOST_KEYS: usize = 1 << 30;

/// Gives each key a state of its own in a [`PerKey`] gate.
pub trait PerKeyExt: PerKey + Sized {
    /// One state per key, where `key` makes the key out of what is known about
    /// the work. The gate's settings are shared by all keys.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::GateExt;
    /// use plimsoll_keyed::PerKeyExt;
    /// use plimsoll_ratelimit::TokenBucket;
    ///
    /// struct Request { client_id: u64 }
    ///
    /// let limiter = TokenBucket::per_second(1).burst(1).keyed(|r: &Request| r.client_id);
    /// assert!(limiter.try_admit_for(&Request { client_id: 1 }).is_ok());
    /// assert!(limiter.try_admit_for(&Request { client_id: 1 }).is_err());
    /// assert!(limiter.try_admit_for(&Request { client_id: 2 }).is_ok());
    /// ```
    fn keyed<C: ?Sized, K: Hash, F>(self, key: F) -> Keyed<Self, ByValue<F>>
    where
        F: Fn(&C) -> K + Send + Sync,
    {
        Keyed::new(self, ByValue(key))
    }

    /// One state per key, where the key is a part of what is known about the
    /// work, and may be unsized.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::GateExt;
    /// use plimsoll_keyed::PerKeyExt;
    /// use plimsoll_ratelimit::TokenBucket;
    ///
    /// struct Request { tenant: String }
    ///
    /// let limiter = TokenBucket::per_second(1).burst(1).keyed_ref(|r: &Request| r.tenant.as_str());
    /// let request = Request { tenant: "acme".into() };
    /// assert!(limiter.try_admit_for(&request).is_ok());
    /// assert!(limiter.try_admit_for(&request).is_err());
    /// ```
    fn keyed_ref<C: ?Sized, K: Hash + ?Sized, F>(self, key: F) -> Keyed<Self, ByReference<F>>
    where
        F: Fn(&C) -> &K + Send + Sync,
    {
        Keyed::new(self, ByReference(key))
    }
}

impl<G: PerKey> PerKeyExt for G {}

/// One gate for many keys: shared settings, and one state for each key. Made by
/// [`PerKeyExt`].
///
/// The table is allocated once and never grows. A key that finds no slot, since
/// every state in reach is in use, shares one *overflow* state with all others
/// in that position: see [`overflowed`](Self::overflowed).
///
/// # What a gate must do
///
/// A slot goes to another key when [`is_fresh`](PerKey::is_fresh) says that
/// nobody would miss the state. So that no admission is forgotten which happens
/// at that moment, the changes that `try_enter_in` and `enter_in` make to a
/// state, and the reads of `is_fresh`, must stand in one order that all threads
/// agree on: changes by [`SeqCst`](std::sync::atomic::Ordering::SeqCst)
/// read-modify-writes and reads by `SeqCst` loads, or both under one lock.
///
/// # Cancel safety
///
/// A dropped `enter` leaves no trace if the gate's own leaves none.
pub struct Keyed<G: PerKey, F> {
    gate: G,
    key: F,
    seeded: Seeded,
    table: Table<G::State>,
    overflow: G::State,
    overflowed: AtomicU64,
}

/// What a key's work holds in a [`Keyed`] gate.
pub struct KeyedTicket<T> {
    inner: T,
    /// `None` in the overflow state.
    slot: Option<(Index, Tag)>,
}

type Ticket<G> = KeyedTicket<<G as Gate>::Ticket>;

impl<G: PerKey, F> Keyed<G, F> {
    fn new(gate: G, key: F) -> Self {
        let table = Table::for_keys(DEFAULT_MAX_KEYS, || gate.fresh());
        Self::over(gate, key, table)
    }

    pub(crate) fn over(gate: G, key: F, table: Table<G::State>) -> Self {
        let (overflow, overflowed) = (gate.fresh(), AtomicU64::new(0));
        Self { gate, key, seeded: Seeded::new(), table, overflow, overflowed }
    }

    /// Makes room for `keys` keys at once, at most 2^30.
    ///
    /// The table has room for a quarter more, and allocates it now: 20 bytes per
    /// key with a state of one word. When `keys` keys are in use, about 2 in
    /// 10,000 find no slot. 0 makes all keys share one state. By default
    /// [`DEFAULT_MAX_KEYS`]. Forgets the keys seen so far.
    ///
    /// # Panics
    ///
    /// When `keys` is over 2^30. [`try_max_keys`](Self::try_max_keys) returns
    /// the error.
    #[track_caller]
    #[must_use]
    pub fn max_keys(self, keys: usize) -> Self {
        self.try_max_keys(keys).unwrap_or_else(|error| error.panic())
    }

    /// [`max_keys`](Self::max_keys), for values from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `keys` is over 2^30.
    pub fn try_max_keys(self, keys: usize) -> Result<Self, ConfigError> {
        if keys > MOST_KEYS {
            return Err(ConfigError::new("max_keys", keys, "0 to 1073741824"));
        }
        let table = Table::for_keys(keys, || self.gate.fresh());
        Ok(Self::over(self.gate, self.key, table))
    }

    /// How many decisions were made in the overflow state, because every slot
    /// that the key could have was in use.
    ///
    /// If it grows in normal times, [`max_keys`](Self::max_keys) is too low. In
    /// a flood of invented keys it grows by design: they share one limit, and
    /// the clients that already have a slot keep it.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// The gate whose settings all keys share. Users do not get at it: a gate
    /// that converts its own state when a setting changes knows nothing of the
    /// states that are kept here.
    #[cfg(all(test, plimsoll_loom))]
    pub(crate) fn shared(&self) -> &G {
        &self.gate
    }

    #[inline]
    fn tag_of<C: ?Sized>(&self, cx: &C) -> Tag
    where
        F: KeyOf<C>,
    {
        Tag::of(self.key.hash_in(cx, &self.seeded))
    }

    #[inline]
    pub(crate) fn try_enter_as(&self, tag: Tag) -> Result<Ticket<G>, Rejected> {
        let now = self.gate.now();
        while let Some(index) = self.table.find(tag) {
            let slot = self.table.slot(index);
            let entered = self.gate.try_enter_in(&slot.state, now);
            if slot.is_of(tag) {
                return entered.map(|inner| KeyedTicket { inner, slot: Some((index, tag)) });
            }
            self.undo(&slot.state, entered);
        }
        self.try_enter_new(tag, now)
    }

    #[cold]
    fn try_enter_new(&self, tag: Tag, now: Tick) -> Result<Ticket<G>, Rejected> {
        let place = self.table.place(&self.gate, tag, now);
        if let Some(Place { index: Some(index), .. }) = place {
            // Before the place is let go, or another new key might take it.
            let inner = self.gate.try_enter_in(&self.table.slot(index).state, now)?;
            return Ok(KeyedTicket { inner, slot: Some((index, tag)) });
        }
        drop(place);
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        let inner = self.gate.try_enter_in(&self.overflow, now)?;
        Ok(KeyedTicket { inner, slot: None })
    }

    pub(crate) async fn enter_as(&self, tag: Tag) -> Result<Ticket<G>, Rejected> {
        while let Some(index) = self.table.find(tag).or_else(|| self.place_now(tag)) {
            let slot = self.table.slot(index);
            let mut entering = pin!(self.gate.enter_in(&slot.state));
            let entered = poll_fn(|cx| match entering.as_mut().poll(cx) {
                Poll::Ready(entered) => Poll::Ready(Some(entered)),
                // A state that somebody waits in is not fresh, so if it is still
                // this key's after the first poll, it stays so.
                Poll::Pending if slot.is_of(tag) => Poll::Pending,
                Poll::Pending => Poll::Ready(None),
            });
            let Some(entered) = entered.await else { continue };
            if slot.is_of(tag) {
                return entered.map(|inner| KeyedTicket { inner, slot: Some((index, tag)) });
            }
            self.undo(&slot.state, entered);
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        let inner = self.gate.enter_in(&self.overflow).await?;
        Ok(KeyedTicket { inner, slot: None })
    }

    fn place_now(&self, tag: Tag) -> Option<Index> {
        self.table.place(&self.gate, tag, self.gate.now())?.index
    }

    /// The slot changed hands before its state was entered: that was another
    /// key's decision.
    #[cold]
    fn undo(&self, state: &G::State, entered: Result<G::Ticket, Rejected>) {
        if let Ok(ticket) = entered {
            self.gate.leave_in(state, ticket, Outcome::Unused);
        }
    }
}

impl<G: PerKey, F: Send + Sync> Gate for Keyed<G, F> {
    type Ticket = KeyedTicket<G::Ticket>;

    #[inline]
    fn begin(&self, ticket: &mut Self::Ticket) {
        self.gate.begin(&mut ticket.inner);
    }

    #[inline]
    fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
        let Some((index, tag)) = ticket.slot else {
            return self.gate.leave_in(&self.overflow, ticket.inner, outcome);
        };
        // These two may take from a stranger what it has: they may not reach one.
        let exact = matches!(outcome, Outcome::Unused | Outcome::Failure);
        self.table.leave(index, tag, exact, |state| {
            self.gate.leave_in(state, ticket.inner, outcome);
        });
    }
}

impl<C: ?Sized, G: PerKey, F: KeyOf<C>> Admit<C> for Keyed<G, F> {
    #[inline]
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.try_enter_as(self.tag_of(cx))
    }

    async fn enter<'a>(&'a self, cx: &'a C) -> Result<Self::Ticket, Rejected>
    where
        C: Sync,
    {
        self.enter_as(self.tag_of(cx)).await
    }
}

/// A key that has no slot has what a fresh state has, or what is left in the
/// overflow state if it would get no slot now.
impl<C: ?Sized, G: PerKeyQuota, F: KeyOf<C>> Quota<C> for Keyed<G, F> {
    fn quota(&self, cx: &C) -> QuotaState {
        let (tag, now) = (self.tag_of(cx), self.gate.now());
        while let Some(index) = self.table.find(tag) {
            let slot = self.table.slot(index);
            let quota = self.gate.quota_in(&slot.state, now);
            if slot.is_of(tag) {
                return quota;
            }
        }
        if self.table.has_room(&self.gate, tag, now) {
            self.gate.quota_in(&self.gate.fresh(), now)
        } else {
            self.gate.quota_in(&self.overflow, now)
        }
    }
}

// Without the tag: a hash that is shown gives a hint of the seed.
impl<T: fmt::Debug> fmt::Debug for KeyedTicket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyedTicket").field(&self.inner).finish()
    }
}

impl<G: PerKey + fmt::Debug, F> fmt::Debug for Keyed<G, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("gate", &self.gate)
            .field("slots", &self.table.slots())
            .field("overflowed", &self.overflowed())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, plimsoll_loom))]
impl<G: PerKey, F> Keyed<G, F> {
    /// What the models look at: the key's state if it has a slot, and the rest.
    pub(crate) fn state_of(&self, tag: Tag) -> Option<&G::State> {
        Some(&self.table.slot(self.table.find(tag)?).state)
    }

    pub(crate) fn overflow(&self) -> &G::State {
        &self.overflow
    }
}
