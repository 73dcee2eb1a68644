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
    /// The address of the bucket, 0 for none.
    owner: usize,
    left: BucketTicket,
}

impl Purse {
    pub(super) const EMPTY: Self = Self { owner: 0, left: BucketTicket::NOTHING };

    pub(super) fn of(owner: usize) -> Self {
        Self { owner, ..Self::EMPTY }
    }

    pub(super) fn is_of(&self, owner: usize) -> bool {
        self.owner == owner
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

    /// Draws tokens up to `lease`, but `n` at least, and spends `n`. The few
    /// that were left go back first, so that all it holds was drawn together.
    pub(super) fn refill(
        &mut self,
        meter: &Meter,
        state: &BucketState,
        now: Tick,
        n: u32,
        lease: u32,
    ) -> Result<BucketTicket, Rejected> {
        let left = std::mem::replace(&mut self.left, BucketTicket::NOTHING);
        meter.refund(state, now, left);
        let drawn = meter.try_take_some(state, now, n, n.max(lease))?;
        self.left = drawn.part(drawn.n - n);
        Ok(drawn.part(n))
    }

    /// Takes tokens back that were spent from it, if nothing was drawn since.
    pub(super) fn put_back(&mut self, owner: usize, ticket: BucketTicket) -> bool {
        let together = self.left.part(ticket.n) == ticket;
        if self.owner == owner && together {
            self.left.n += ticket.n;
        }
        self.owner == owner && together
    }
}
