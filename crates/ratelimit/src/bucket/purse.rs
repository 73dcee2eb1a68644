//! What one thread has drawn from one bucket.

use super::{
    meter::Meter,
    state::{BucketState, BucketTicket},
};
use plimsoll_core::{Rejected, Tick};

/// Tokens of one bucket, drawn together. The ticket knows how many are left and
/// what they are worth when they go back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Purse {
    /// The address of the bucket.
    owner: usize,
    left: BucketTicket,
}

impl Purse {
    /// No bucket has this address.
    pub(super) const NOBODY: usize = 0;

    pub(super) const fn of(owner: usize) -> Self {
        Self { owner, left: BucketTicket::NOTHING }
    }

    pub(super) fn is_of(&self, owner: usize) -> bool {
        self.owner == owner
    }

    pub(super) fn is_empty_of(&self, owner: usize) -> bool {
        self.is_of(owner) && self.left.n == 0
    }

    /// What is left.
    pub(super) fn rest(&self) -> Option<BucketTicket> {
        (self.left.n > 0).then_some(self.left)
    }

    /// Spends `n` if they are of this bucket and as many are left.
    #[inline]
    pub(super) fn spend(&mut self, owner: usize, n: u32) -> Option<BucketTicket> {
        if self.owner != owner || self.left.n < n {
            return None;
        }
        self.left.n -= n;
        Some(self.left.part(n))
    }

    /// Draws tokens up to `lease`, but `n` at least, and spends `n`. Only into an
    /// empty purse, so that all it holds was drawn together.
    pub(super) fn refill(
        &mut self,
        meter: &Meter,
        state: &BucketState,
        now: Tick,
        n: u32,
        lease: u32,
    ) -> Result<BucketTicket, Rejected> {
        let drawn = meter.try_take_some(state, now, n, n.max(lease))?;
        self.left = drawn.part(drawn.n - n);
        Ok(drawn.part(n))
    }

    /// Takes tokens back that were spent from it, if nothing was drawn since and
    /// it holds no more than `lease` then.
    pub(super) fn put_back(&mut self, owner: usize, ticket: BucketTicket, lease: u32) -> bool {
        let together = self.owner == owner && self.left.part(ticket.n) == ticket;
        let kept = together && self.left.n.saturating_add(ticket.n) <= lease;
        if kept {
            self.left.n += ticket.n;
        }
        kept
    }
}
