//! A budget of bytes.

use crate::sync::{AtomicU64, Ordering};
use plimsoll_core::{Admit, Gate, Load, Outcome, Reason, Rejected, Weigh};
use std::{fmt, sync::Arc};

/// What its refusals are called.
const NAME: &str = "byte budget";

/// At most so many bytes in use at once, over everything that holds a part of
/// them: bodies, buffers, cached answers.
///
/// A count of requests bounds memory only if all are of one size. A budget lets
/// ten thousand small requests in, or four large ones, and refuses what would
/// not fit before anything is allocated.
///
/// Two words: an admission is one compare-and-swap, the end one subtraction.
/// Weights and limit are 64 bits wide, and no sum of them wraps.
///
/// # Global and per part
///
/// [`part`](Self::part) makes a budget within this one: what it admits counts in
/// both, and it is refused where either is full. So one kind of work can use up
/// its own share, and all together never more than the whole. The shares may add
/// up to more than that. A part may be divided again.
///
/// What the whole refuses takes nothing of the part: the whole is looked at first.
/// Only if others fill it up in between, a few nanoseconds, are bytes of the part
/// in use that are given back at once, and another request of that part may be
/// refused for them. Never is one admitted that does not fit.
///
/// # It does not wait
///
/// Memory in use comes free when work ends, and a request that is already in
/// memory makes it worse by waiting there. Where bytes should be waited for, put
/// them through a channel [bounded by weight](crate::bounded_by), or take a
/// [`ConcurrencyLimit`](crate::ConcurrencyLimit) weighted in KiB, which waits
/// fairly.
///
/// # Refusals
///
/// They are called `byte budget` and give [`Reason::Concurrency`]. A weight of 0
/// always passes.
///
/// # Example
///
/// ```
/// use plimsoll_backpressure::ByteBudget;
/// use plimsoll_core::GateExt;
/// use std::sync::Arc;
///
/// struct Request { content_length: u64 }
///
/// let memory = Arc::new(ByteBudget::new(64 << 20));
/// let uploads = memory.part(48 << 20).weighted(|r: &Request| r.content_length);
///
/// let permit = uploads.try_admit_for(&Request { content_length: 40 << 20 })?;
/// assert!(uploads.try_admit_for(&Request { content_length: 20 << 20 }).is_err());
/// assert_eq!(memory.in_use(), 40 << 20);
/// drop(permit);
/// assert_eq!(memory.in_use(), 0);
/// # Ok::<(), plimsoll_core::Rejected>(())
/// ```
pub struct ByteBudget {
    used: AtomicU64,
    limit: AtomicU64,
    whole: Option<Arc<Self>>,
}

/// What a permit of a [`ByteBudget`] holds: so many bytes. Plain data, given back
/// once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "its bytes stay in use until it is given back"]
pub struct ByteTicket(u64);

impl ByteBudget {
    /// At most `limit` bytes. 0 refuses all that weighs anything.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { used: AtomicU64::new(0), limit: AtomicU64::new(limit), whole: None }
    }

    /// At most `limit` bytes, which count in this budget too.
    #[must_use]
    pub fn part(self: &Arc<Self>, limit: u64) -> Self {
        Self { whole: Some(Arc::clone(self)), ..Self::new(limit) }
    }

    /// From now on `limit` bytes. Fewer take effect as work ends; nothing that
    /// is in use is taken away.
    pub fn resize(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// How many bytes there are.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many are in use: more than there are for a while after a
    /// [`resize`](Self::resize) to fewer.
    #[must_use]
    pub fn in_use(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `n` more would fit beside those in use, here and in the whole.
    fn fits(&self, n: u64) -> bool {
        self.sum(self.in_use(), n).is_some() && self.whole.as_ref().is_none_or(|w| w.fits(n))
    }

    /// The sum of those in use and `n` more, if it is within the limit.
    #[inline]
    fn sum(&self, used: u64, n: u64) -> Option<u64> {
        used.checked_add(n).filter(|&sum| n == 0 || sum <= self.limit())
    }

    #[inline]
    fn try_take(&self, n: u64) -> Result<(), Rejected> {
        // Before anything is taken of the part, which others of it would miss.
        let asks = self.whole.as_ref().is_none_or(|whole| whole.fits(n));
        if asks && self.take(n) { Ok(()) } else { Err(refusal()) }
    }

    #[inline]
    fn take(&self, n: u64) -> bool {
        let taken = self.take_own(n);
        let Some(whole) = self.whole.as_ref().filter(|_| taken) else { return taken };
        let taken = whole.take(n);
        if !taken {
            self.used.fetch_sub(n, Ordering::Release);
        }
        taken
    }

    #[inline]
    fn take_own(&self, n: u64) -> bool {
        // Acquire: what the last holder did comes before what this one does.
        let (won, lost) = (Ordering::Acquire, Ordering::Relaxed);
        self.used.fetch_update(won, lost, |used| self.sum(used, n)).is_ok()
    }
}

#[cold]
fn refusal() -> Rejected {
    Rejected::new(Reason::Concurrency, NAME)
}

impl Gate for ByteBudget {
    type Ticket = ByteTicket;

    #[inline]
    fn leave(&self, ticket: ByteTicket, outcome: Outcome) {
        self.used.fetch_sub(ticket.0, Ordering::Release);
        if let Some(whole) = &self.whole {
            whole.leave(ticket, outcome);
        }
    }
}

impl Weigh for ByteBudget {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<ByteTicket, Rejected> {
        self.try_take(n).map(|()| ByteTicket(n))
    }
}

/// One byte, unless it is [`weighted`](plimsoll_core::GateExt::weighted).
impl<C: ?Sized> Admit<C> for ByteBudget {
    #[inline]
    fn try_enter(&self, _: &C) -> Result<ByteTicket, Rejected> {
        self.try_enter_n(1)
    }
}

/// The bytes in use, and how many there are: the first may be the larger.
impl Load for ByteBudget {
    fn load(&self) -> usize {
        usize::try_from(self.in_use()).unwrap_or(usize::MAX)
    }

    fn capacity(&self) -> Option<usize> {
        Some(usize::try_from(self.limit()).unwrap_or(usize::MAX))
    }
}

impl fmt::Debug for ByteBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteBudget")
            .field("limit", &self.limit())
            .field("in_use", &self.in_use())
            .field("whole", &self.whole)
            .finish()
    }
}
