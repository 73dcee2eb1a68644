//! A token bucket from which threads draw in advance.

use super::{purse::Purse, state::BucketTicket, token::TokenBucket};
use plimsoll_core::{
    Admit, Clock, ConfigError, DefaultClock, Gate, Load, Outcome, Quota, QuotaState, Rejected,
    Weigh,
};
use std::{
    cell::{Cell, RefCell},
    fmt,
    sync::{Arc, Weak},
};

/// A [`TokenBucket`] for limits so hot that its one word is what costs: each
/// thread takes up to `lease` tokens at once and spends them with neither clock
/// nor shared write. From [`TokenBucket::leased`].
///
/// # What it gives up
///
/// A thread may hold tokens for later. So in a stretch of time more may pass
/// than the bucket would admit: what threads hold when it begins, at most
/// `threads × lease`. And while one thread holds tokens, another may be refused.
///
/// What a thread holds goes back to the bucket when the thread ends, or when it
/// needs the room for another limit (it has room for eight at most), as far as
/// it would still be in the bucket. Work on many short-lived threads gains
/// nothing.
///
/// Waiters stand in the bucket's line and do not lease. Clones share the
/// bucket.
///
/// # Example
///
/// ```
/// use plimsoll_ratelimit::TokenBucket;
/// use std::thread;
///
/// let shared = TokenBucket::per_second(1_000_000).burst(10_000).leased(64);
/// thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| assert!(shared.try_acquire().is_ok()));
///     }
/// });
/// ```
pub struct Leased<K: Clock = DefaultClock> {
    bucket: Arc<TokenBucket<K>>,
    lease: u32,
}

/// What an admission leaves with its permit. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasedTicket(BucketTicket);

/// How many buckets a thread draws from at a time.
const POCKETS: usize = 8;

thread_local! {
    /// What this thread holds. No destructor, so that access is one addition.
    static PURSES: [Cell<Purse>; POCKETS] = const { [const { Cell::new(Purse::of(Purse::NOBODY)) }; POCKETS] };
    /// Where it goes back to when the thread ends.
    static LENDERS: RefCell<Lenders> = const { RefCell::new(Lenders([const { None }; POCKETS])) };
}

struct Lenders([Option<Weak<dyn Lend>>; POCKETS]);

trait Lend: Send + Sync {
    fn take_back(&self, ticket: BucketTicket);
}

impl<K: Clock> Lend for TokenBucket<K> {
    fn take_back(&self, ticket: BucketTicket) {
        self.0.meter.refund(&self.0.state, self.0.clock.now(), ticket);
    }
}

/// A purse taken out of its pocket, and whose it was.
struct Emptied(Purse, Option<Weak<dyn Lend>>);

impl Emptied {
    /// Gives back what is in it.
    fn give_back(self) {
        let Self(purse, lender) = self;
        if let (Some(rest), Some(lender)) = (purse.rest(), lender.and_then(|l| l.upgrade())) {
            lender.take_back(rest);
        }
    }
}

impl Lenders {
    /// Makes a pocket the purse of `owner`, and hands out what was in it.
    fn assign(&mut self, pocket: usize, owner: usize, lender: Option<Weak<dyn Lend>>) -> Emptied {
        let purse = PURSES.with(|purses| purses[pocket].replace(Purse::of(owner)));
        Emptied(purse, std::mem::replace(&mut self.0[pocket], lender))
    }
}

impl Drop for Lenders {
    fn drop(&mut self) {
        for pocket in 0..POCKETS {
            self.assign(pocket, Purse::NOBODY, None).give_back();
        }
    }
}

impl<K: Clock + 'static> Leased<K> {
    pub(super) fn new(bucket: TokenBucket<K>, lease: u32) -> Result<Self, ConfigError> {
        if lease == 0 {
            return Err(ConfigError::new("lease", lease, "at least 1"));
        }
        Ok(Self { bucket: Arc::new(bucket), lease })
    }

    /// The bucket behind it, to change its settings or to read them. What
    /// threads hold is not in it.
    #[must_use]
    pub fn bucket(&self) -> &TokenBucket<K> {
        &self.bucket
    }

    /// Takes a token, the thread's own if it has one.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when neither the thread nor the bucket has one.
    #[inline]
    pub fn try_acquire(&self) -> Result<(), Rejected> {
        self.try_take(1).map(drop)
    }

    /// Takes `n` tokens, all or none. Zero always passes.
    ///
    /// # Errors
    ///
    /// As [`TokenBucket::try_acquire_many`].
    #[inline]
    pub fn try_acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.try_take(n).map(drop)
    }

    /// Takes a token, waiting for it in the bucket's line.
    ///
    /// # Errors
    ///
    /// As [`TokenBucket::acquire_many`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the line and takes nothing.
    pub async fn acquire(&self) -> Result<(), Rejected> {
        self.take(1).await.map(drop)
    }

    /// Takes `n` tokens, all or none, waiting for them in the bucket's line.
    ///
    /// # Errors
    ///
    /// As [`TokenBucket::acquire_many`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the line and takes nothing.
    pub async fn acquire_many(&self, n: u32) -> Result<(), Rejected> {
        self.take(n).await.map(drop)
    }

    /// The address of the bucket. A pocket that names it also has a weak
    /// reference to it, so no other bucket gets the address.
    #[inline]
    fn owner(&self) -> usize {
        Arc::as_ptr(&self.bucket).addr()
    }

    #[inline]
    fn pocket(&self) -> usize {
        // Buckets lie 64 bytes apart at least.
        (self.owner() >> 7) % POCKETS
    }

    #[inline]
    fn try_take(&self, n: u32) -> Result<LeasedTicket, Rejected> {
        let (owner, pocket) = (self.owner(), self.pocket());
        let spent = PURSES.with(|purses| {
            let mut purse = purses[pocket].get();
            let ticket = purse.spend(owner, n)?;
            purses[pocket].set(purse);
            Some(ticket)
        });
        match spent {
            Some(ticket) => Ok(LeasedTicket(ticket)),
            None => self.lease(n),
        }
    }

    /// Draws tokens from the bucket, and spends `n` of them.
    #[cold]
    fn lease(&self, n: u32) -> Result<LeasedTicket, Rejected> {
        let limiter = &self.bucket.0;
        if n == 0 {
            return Ok(LeasedTicket(BucketTicket::NOTHING));
        }
        let (owner, pocket, now) = (self.owner(), self.pocket(), limiter.clock.now());
        if !self.open_purse() {
            // Past the thread's end nothing is kept for later.
            return limiter.try_take(&limiter.state, now, n).map(LeasedTicket);
        }
        let mut purse = Purse::of(owner);
        let ticket = purse.refill(&limiter.meter, &limiter.state, now, n, self.lease)?;
        // While it was drawn others' code may have run, and leased as well.
        let kept = PURSES.with(|purses| {
            let free = purses[pocket].get().is_empty_of(owner);
            if free {
                purses[pocket].set(purse);
            }
            free
        });
        if let Some(rest) = purse.rest().filter(|_| !kept) {
            self.bucket.take_back(rest);
        }
        Ok(LeasedTicket(ticket))
    }

    /// Makes the pocket this bucket's purse, empty; what was in it goes back.
    /// False past the thread's end.
    fn open_purse(&self) -> bool {
        let (owner, pocket) = (self.owner(), self.pocket());
        let purse = PURSES.with(|purses| purses[pocket].get());
        if purse.is_of(owner) {
            PURSES.with(|purses| purses[pocket].set(Purse::of(owner)));
            if let Some(rest) = purse.rest() {
                self.bucket.take_back(rest);
            }
            return true;
        }
        let lender: Weak<dyn Lend> = Arc::<TokenBucket<K>>::downgrade(&self.bucket);
        let emptied =
            LENDERS.try_with(|lenders| lenders.borrow_mut().assign(pocket, owner, Some(lender)));
        // Outside the borrow: the bucket it goes back to may run others' code.
        emptied.map(Emptied::give_back).is_ok()
    }

    async fn take(&self, n: u32) -> Result<LeasedTicket, Rejected> {
        if let Ok(ticket) = self.try_take(n) {
            return Ok(ticket);
        }
        self.bucket.0.take(&self.bucket.0.state, n, None).await.map(LeasedTicket)
    }
}

impl<K: Clock> Clone for Leased<K> {
    fn clone(&self) -> Self {
        Self { bucket: Arc::clone(&self.bucket), lease: self.lease }
    }
}

impl<K: Clock + 'static> Gate for Leased<K> {
    type Ticket = LeasedTicket;

    #[inline]
    fn leave(&self, LeasedTicket(ticket): LeasedTicket, outcome: Outcome) {
        if outcome != Outcome::Unused {
            return;
        }
        let (owner, pocket) = (self.owner(), self.pocket());
        let kept = PURSES.with(|purses| {
            let mut purse = purses[pocket].get();
            let kept = purse.put_back(owner, ticket, self.lease);
            purses[pocket].set(purse);
            kept
        });
        if !kept {
            self.bucket.take_back(ticket);
        }
    }
}

impl<C: ?Sized, K: Clock + 'static> Admit<C> for Leased<K> {
    #[inline]
    fn try_enter(&self, _: &C) -> Result<LeasedTicket, Rejected> {
        self.try_take(1)
    }

    async fn enter<'a>(&'a self, _: &'a C) -> Result<LeasedTicket, Rejected>
    where
        C: Sync,
    {
        self.take(1).await
    }
}

impl<K: Clock + 'static> Weigh for Leased<K> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<LeasedTicket, Rejected> {
        self.try_take(self.bucket.0.weight(n)?)
    }

    async fn enter_n(&self, n: u64) -> Result<LeasedTicket, Rejected> {
        self.take(self.bucket.0.weight(n)?).await
    }
}

/// The bucket's: what threads hold is not counted.
impl<C: ?Sized, K: Clock> Quota<C> for Leased<K> {
    fn quota(&self, cx: &C) -> QuotaState {
        self.bucket.quota(cx)
    }
}

/// Those who wait in the bucket's line, and how many may.
impl<K: Clock> Load for Leased<K> {
    fn load(&self) -> usize {
        self.bucket.load()
    }

    fn capacity(&self) -> Option<usize> {
        self.bucket.capacity()
    }
}

impl<K: Clock> fmt::Debug for Leased<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leased").field("bucket", &self.bucket).field("lease", &self.lease).finish()
    }
}
