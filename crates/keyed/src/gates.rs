//! One gate for each key.

use crate::{
    hash::Seeded,
    keyed::DEFAULT_MAX_KEYS,
    sync::{AtomicUsize, Ordering},
};
use dashmap::{DashMap, Entry};
use plimsoll_core::{Admit, Gate, Outcome, Quota, QuotaState, Reason, Rejected};
use std::{
    borrow::Borrow,
    fmt,
    hash::Hash,
    sync::{Arc, OnceLock},
};

/// The name in refusals of new keys beyond [`KeyedGates::max_keys`].
const NAME: &str = "keyed gates";

/// A whole gate for each key, made when the key is first seen: for keys whose
/// settings differ, such as tenants with different plans.
///
/// Meant for keys that you know, and not too many of them: a key stays until
/// [`remove`](Self::remove), and beyond [`max_keys`](Self::max_keys) new keys
/// are refused. For keys that anybody can invent use [`Keyed`](crate::Keyed).
///
/// A decision clones the key only if it is new, and takes a lock shared with a
/// fraction of the other keys, for as long as it takes to clone an [`Arc`].
///
/// # Example
///
/// ```
/// use plimsoll_core::GateExt;
/// use plimsoll_keyed::KeyedGates;
/// use plimsoll_ratelimit::TokenBucket;
///
/// struct Request { tenant: u32 }
/// fn burst_of(tenant: u32) -> u32 { if tenant == 1 { 100 } else { 1 } }
///
/// let by_tenant = KeyedGates::new(
///     |r: &Request| r.tenant,
///     |tenant| TokenBucket::per_second(1).burst(burst_of(*tenant)),
/// );
/// assert!(by_tenant.try_admit_for(&Request { tenant: 2 }).is_ok());
/// assert!(by_tenant.try_admit_for(&Request { tenant: 2 }).is_err());
/// let admitted = (0..100).filter(|_| by_tenant.try_admit_for(&Request { tenant: 1 }).is_ok());
/// assert_eq!(admitted.count(), 100);
/// ```
///
/// # Cancel safety
///
/// A dropped `enter` leaves no trace if the key's gate leaves none. A gate that
/// was made for it stays.
pub struct KeyedGates<K, G, F, M> {
    gates: DashMap<K, Made<G>, Seeded>,
    /// How many keys there are, kept here since the map would count its shards.
    keys: AtomicUsize,
    max_keys: usize,
    key: F,
    make: M,
}

/// A gate that its first user makes, outside the map's lock; others wait.
type Made<G> = Arc<OnceLock<Arc<G>>>;

/// What a key's work holds in a [`KeyedGates`] gate: its gate, which may have
/// been removed from the table meanwhile, and that gate's ticket.
pub struct KeyedGatesTicket<G: Gate> {
    gate: Arc<G>,
    inner: G::Ticket,
}

impl<K: Hash + Eq + Clone, G, F, M: Fn(&K) -> G> KeyedGates<K, G, F, M> {
    /// Gates by the key that `key` makes out of what is known about the work.
    /// `make` makes the gate of a key that is seen for the first time.
    ///
    /// `key` runs for each decision, so its result should be cheap to make: a
    /// number or an `Arc<str>` rather than a `String`. `make` runs once per key,
    /// while others who ask about this key wait for it; so it must not ask this
    /// table about the same key. If it panics, the next who asks calls it again.
    #[must_use]
    pub fn new<C: ?Sized>(key: F, make: M) -> Self
    where
        F: Fn(&C) -> K,
    {
        let gates = DashMap::with_hasher(Seeded::new());
        Self { gates, keys: AtomicUsize::new(0), max_keys: DEFAULT_MAX_KEYS, key, make }
    }

    /// Keeps at most `keys` gates, and refuses other keys with
    /// [`Reason::Overload`]. 0 refuses everything. By default
    /// [`DEFAULT_MAX_KEYS`].
    #[must_use]
    pub fn max_keys(self, keys: usize) -> Self {
        Self { max_keys: keys, ..self }
    }

    /// The gate of a key that has one.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<G>>
    where
        K: Borrow<Q>,
    {
        self.gates.get(key)?.get().cloned()
    }

    /// Forgets a key, and returns its gate if it had one. What is under way
    /// keeps the gate that it entered; the next work makes a new one.
    pub fn remove<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<G>>
    where
        K: Borrow<Q>,
    {
        let (_, made) = self.gates.remove(key)?;
        self.keys.fetch_sub(1, Ordering::Relaxed);
        made.get().cloned()
    }

    /// How many keys have a gate.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }

    /// Whether no key has a gate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn gate_of(&self, key: &K) -> Result<Arc<G>, Rejected> {
        // No lock of the map is held while a gate is made or asked.
        let known = self.gates.get(key).map(|made| made.get().cloned().ok_or(Arc::clone(&made)));
        let made = match known {
            Some(Ok(gate)) => return Ok(gate),
            Some(Err(being_made)) => being_made,
            None => self.insert(key.clone())?,
        };
        Ok(Arc::clone(made.get_or_init(|| Arc::new((self.make)(key)))))
    }

    fn insert(&self, key: K) -> Result<Made<G>, Rejected> {
        match self.gates.entry(key) {
            Entry::Occupied(met_at_once) => Ok(Arc::clone(met_at_once.get())),
            Entry::Vacant(vacant) => {
                let more = |keys| (keys < self.max_keys).then_some(keys + 1);
                self.keys
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
                    .map_err(|_| Rejected::new(Reason::Overload, NAME))?;
                Ok(Arc::clone(&vacant.insert(Arc::default())))
            }
        }
    }
}

impl<K, G, F, M> Gate for KeyedGates<K, G, F, M>
where
    K: Hash + Eq + Send + Sync,
    G: Gate,
    F: Send + Sync,
    M: Send + Sync,
{
    type Ticket = KeyedGatesTicket<G>;

    #[inline]
    fn begin(&self, ticket: &mut Self::Ticket) {
        ticket.gate.begin(&mut ticket.inner);
    }

    #[inline]
    fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
        ticket.gate.leave(ticket.inner, outcome);
    }
}

impl<C: ?Sized, K, G, F, M> Admit<C> for KeyedGates<K, G, F, M>
where
    K: Hash + Eq + Clone + Send + Sync,
    G: Admit<C>,
    F: Fn(&C) -> K + Send + Sync,
    M: Fn(&K) -> G + Send + Sync,
{
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        let gate = self.gate_of(&(self.key)(cx))?;
        let inner = gate.try_enter(cx)?;
        Ok(KeyedGatesTicket { gate, inner })
    }

    async fn enter<'a>(&'a self, cx: &'a C) -> Result<Self::Ticket, Rejected>
    where
        C: Sync,
    {
        let gate = self.gate_of(&(self.key)(cx))?;
        let inner = gate.enter(cx).await?;
        Ok(KeyedGatesTicket { gate, inner })
    }
}

/// A key that has no gate has what a gate made for it would have; none is kept.
impl<C: ?Sized, K, G, F, M> Quota<C> for KeyedGates<K, G, F, M>
where
    K: Hash + Eq + Clone + Send + Sync,
    G: Quota<C>,
    F: Fn(&C) -> K + Send + Sync,
    M: Fn(&K) -> G + Send + Sync,
{
    fn quota(&self, cx: &C) -> QuotaState {
        let key = (self.key)(cx);
        match self.get(&key) {
            Some(gate) => gate.quota(cx),
            None => (self.make)(&key).quota(cx),
        }
    }
}

impl<G: Gate> fmt::Debug for KeyedGatesTicket<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedGatesTicket").finish_non_exhaustive()
    }
}

impl<K: Hash + Eq, G, F, M> fmt::Debug for KeyedGates<K, G, F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedGates")
            .field("keys", &self.keys)
            .field("max_keys", &self.max_keys)
            .finish_non_exhaustive()
    }
}
