//! Tokens spoken for.

use super::{
    limiter::{Limiter, Place},
    state::BucketTicket,
};
use plimsoll_core::Clock;
use std::{fmt, time::Duration};

/// A place in the line for tokens, from [`TokenBucket::reserve`].
///
/// It stands in the one line in which everybody waits: those who came first
/// pass first, and whoever leaves in front of it moves it up. Dropped, it is
/// [cancelled](Self::cancel).
///
/// A reservation may be held without being awaited. When its turn comes it
/// holds its tokens; those behind it go on.
///
/// [`TokenBucket::reserve`]: crate::TokenBucket::reserve
#[must_use = "a reservation that is dropped is cancelled"]
pub struct Reservation<'a, K: Clock> {
    limiter: &'a Limiter<K>,
    held: Held<'a, K>,
}

enum Held<'a, K: Clock> {
    Tokens(BucketTicket),
    Place(Place<'a, K>),
    Nothing,
}

impl<'a, K: Clock> Reservation<'a, K> {
    pub(super) fn of_tokens(limiter: &'a Limiter<K>, ticket: BucketTicket) -> Self {
        Self { limiter, held: Held::Tokens(ticket) }
    }

    pub(super) fn in_line(limiter: &'a Limiter<K>, place: Place<'a, K>) -> Self {
        Self { limiter, held: Held::Place(place) }
    }

    /// How long until its turn, if nobody in front leaves and the rate stays:
    /// zero once it has its tokens, [`Duration::MAX`] if its turn never comes
    /// at the present rate.
    pub fn delay(&self) -> Duration {
        match &self.held {
            Held::Tokens(_) | Held::Nothing => Duration::ZERO,
            Held::Place(place) => place.delay().map_or(Duration::MAX, Duration::from_nanos),
        }
    }

    /// Waits for its turn and takes the tokens.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers, if it has to wait.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it cancels the reservation.
    pub async fn ready(mut self) {
        if let Held::Place(place) = std::mem::replace(&mut self.held, Held::Nothing) {
            // A reservation has no deadline, so it is not refused.
            let _ = place.granted().await;
        }
        self.held = Held::Nothing;
    }

    /// Gives the place up, or the tokens if it has them by now: those that
    /// would still be in the bucket, not those that would have run over.
    pub fn cancel(self) {}
}

impl<K: Clock> Drop for Reservation<'_, K> {
    fn drop(&mut self) {
        if let Held::Tokens(ticket) = self.held {
            self.limiter.meter.refund(&self.limiter.state, self.limiter.clock.now(), ticket);
        }
    }
}

impl<K: Clock> fmt::Debug for Reservation<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = matches!(self.held, Held::Tokens(_));
        f.debug_struct("Reservation").field("holds_its_tokens", &held).finish_non_exhaustive()
    }
}
