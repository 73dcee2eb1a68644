//! What token bucket and leaky bucket are to those who compose gates.

use super::{state::BucketState, token::TokenBucket};
use plimsoll_core::{Clock, PerKeyQuota, Quota, QuotaState, Tick};

/// Implements the traits of the core crate for a bucket around a `Limiter`.
macro_rules! gate {
    ($bucket:ident) => {
        impl<K: Clock> Gate for $bucket<K> {
            type Ticket = BucketTicket;

            #[inline]
            fn leave(&self, ticket: BucketTicket, outcome: Outcome) {
                self.leave_in(&self.0.state, ticket, outcome);
            }
        }

        impl<C: ?Sized, K: Clock> Admit<C> for $bucket<K> {
            #[inline]
            fn try_enter(&self, _: &C) -> Result<BucketTicket, Rejected> {
                self.0.try_take(&self.0.state, self.0.clock.now(), 1)
            }

            async fn enter<'a>(&'a self, _: &'a C) -> Result<BucketTicket, Rejected>
            where
                C: Sync,
            {
                self.0.take(&self.0.state, 1, None).await
            }
        }

        impl<K: Clock> Weigh for $bucket<K> {
            #[inline]
            fn try_enter_n(&self, n: u64) -> Result<BucketTicket, Rejected> {
                self.0.try_take(&self.0.state, self.0.clock.now(), self.0.weight(n)?)
            }

            async fn enter_n(&self, n: u64) -> Result<BucketTicket, Rejected> {
                self.0.take(&self.0.state, self.0.weight(n)?, None).await
            }
        }

        /// One word per key. All keys share the settings, the clock and the lock
        /// of the lines; each has a line of its own.
        impl<K: Clock> PerKey for $bucket<K> {
            type State = BucketState;

            #[inline]
            fn now(&self) -> Tick {
                self.0.clock.now()
            }

            fn fresh(&self) -> BucketState {
                BucketState::fresh()
            }

            #[inline]
            fn is_fresh(&self, state: &BucketState, now: Tick) -> bool {
                self.0.meter.is_full(state, now)
            }

            #[inline]
            fn try_enter_in(
                &self,
                state: &BucketState,
                now: Tick,
            ) -> Result<BucketTicket, Rejected> {
                self.0.try_take(state, now, 1)
            }

            async fn enter_in<'a>(
                &'a self,
                state: &'a BucketState,
            ) -> Result<BucketTicket, Rejected> {
                self.0.take(state, 1, None).await
            }

            #[inline]
            fn leave_in(&self, state: &BucketState, ticket: BucketTicket, outcome: Outcome) {
                if outcome == Outcome::Unused {
                    self.0.meter.refund(state, self.0.clock.now(), ticket);
                }
            }
        }

        /// Those who wait, reservations among them, and how many may.
        impl<K: Clock> Load for $bucket<K> {
            fn load(&self) -> usize {
                self.0.meter.waiting(&self.0.state, self.0.clock.now())
            }

            fn capacity(&self) -> Option<usize> {
                Some(self.0.meter.queue())
            }
        }
    };
}

pub(super) use gate;

impl<C: ?Sized, K: Clock> Quota<C> for TokenBucket<K> {
    fn quota(&self, _: &C) -> QuotaState {
        self.quota_in(&self.0.state, self.0.clock.now())
    }
}

impl<K: Clock> PerKeyQuota for TokenBucket<K> {
    fn quota_in(&self, state: &BucketState, now: Tick) -> QuotaState {
        self.0.meter.quota(state, now)
    }
}
