//! A meter with a clock and a timer: what token bucket and leaky bucket share.

use super::{
    line::{Joined, Turn},
    meter::Meter,
    scale::{Kind, Rate},
    state::{BucketState, BucketTicket},
};
use plimsoll_core::{Clock, ConfigError, Deadline, Reason, Rejected, Tick};
use plimsoll_wait::Spot;
use std::{
    future::poll_fn,
    pin::pin,
    task::{Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// How many may wait for one bucket unless [`queue`](super::TokenBucket::queue)
/// says otherwise.
pub(super) const QUEUE: usize = 1_024;

/// The word and what decides on it, on one cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Limiter<K> {
    pub(super) state: BucketState,
    pub(super) meter: Meter,
    pub(super) clock: K,
    pub(super) name: &'static str,
}

impl<K: Clock> Limiter<K> {
    pub(super) fn new(
        name: &'static str,
        n: u32,
        period: Duration,
        kind: Kind,
        clock: K,
    ) -> Result<Self, ConfigError> {
        let meter = Meter::new(name, Rate::new(n, period)?, kind, QUEUE);
        Ok(Self { state: BucketState::fresh(), meter, clock, name })
    }

    /// With another meter, full and with nobody in line.
    pub(super) fn with_meter(self, meter: Meter) -> Self {
        Self { state: BucketState::fresh(), meter, ..self }
    }

    pub(super) fn with_clock<L: Clock>(self, clock: L) -> Limiter<L> {
        let meter = self.meter.with(|_| {});
        Limiter { state: BucketState::fresh(), meter, clock, name: self.name }
    }

    /// A weight as the bucket counts; what does not fit a `u32` never passes.
    #[inline]
    pub(super) fn weight(&self, n: u64) -> Result<u32, Rejected> {
        u32::try_from(n).map_err(|_| Rejected::new(Reason::Rate, self.name))
    }

    /// Takes `n` now or refuses.
    #[inline]
    pub(super) fn try_take(
        &self,
        state: &BucketState,
        now: Tick,
        n: u32,
    ) -> Result<BucketTicket, Rejected> {
        if n == 0 { Ok(BucketTicket::NOTHING) } else { self.meter.try_take(state, now, n) }
    }

    /// Takes `n`, waiting for them until `deadline`, by default the task's own.
    pub(super) async fn take(
        &self,
        state: &BucketState,
        n: u32,
        deadline: Option<Deadline>,
    ) -> Result<BucketTicket, Rejected> {
        let now = self.clock.now();
        if let Ok(ticket) = self.try_take(state, now, n) {
            return Ok(ticket);
        }
        let deadline = deadline.or_else(Deadline::current).map_or(Tick::MAX, Deadline::tick);
        if deadline <= now {
            return Err(Rejected::new(Reason::Deadline, self.name));
        }
        match self.meter.join(state, now, n, deadline)? {
            Joined::Granted(ticket) => Ok(ticket),
            Joined::InLine(spot) => Place::new(self, state, spot).granted().await,
        }
    }

    /// Joins the line without waiting.
    pub(super) fn reserve(&self, n: u32) -> Result<Joined, Rejected> {
        if n == 0 {
            return Ok(Joined::Granted(BucketTicket::NOTHING));
        }
        self.meter.join(&self.state, self.clock.now(), n, Tick::MAX)
    }
}

/// A place in the line, given up when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a, K: Clock> {
    limiter: &'a Limiter<K>,
    state: &'a BucketState,
    /// `None` once the wait is over.
    spot: Option<Spot>,
}

impl<'a, K: Clock> Place<'a, K> {
    pub(super) fn new(limiter: &'a Limiter<K>, state: &'a BucketState, spot: Spot) -> Self {
        Self { limiter, state, spot: Some(spot) }
    }

    /// How long until its turn; `None` if only a change of the rate brings it.
    pub(super) fn delay(&self) -> Option<u64> {
        let now = self.limiter.clock.now();
        self.spot.map_or(Some(0), |spot| self.limiter.meter.delay(self.state, now, spot))
    }

    /// Waits for its turn. Cancel safe: dropped, it gives the place up.
    pub(super) async fn granted(mut self) -> Result<BucketTicket, Rejected> {
        let mut timer = pin!(None::<Sleep>);
        let mut set_for = None;
        poll_fn(|cx| {
            let Some(spot) = self.spot else { return Poll::Pending };
            loop {
                let now = self.limiter.clock.now();
                let result = match self.limiter.meter.look(self.state, now, spot, cx.waker()) {
                    Turn::Granted(ticket) => Ok(ticket),
                    Turn::Refused(refusal) => Err(refusal),
                    Turn::Lead(Some(due)) => {
                        if set_for != Some(due) {
                            timer.set(Some(sleep(due.since(now))));
                            set_for = Some(due);
                        }
                        if let Some(timer) = timer.as_mut().as_pin_mut() {
                            ready!(timer.poll(cx));
                        }
                        // The timer's clock and this one may disagree a little.
                        set_for = None;
                        continue;
                    }
                    Turn::Lead(None) | Turn::Follow => {
                        timer.set(None);
                        set_for = None;
                        return Poll::Pending;
                    }
                };
                self.spot = None;
                return Poll::Ready(result);
            }
        })
        .await
    }
}

impl<K: Clock> Drop for Place<'_, K> {
    fn drop(&mut self) {
        if let Some(spot) = self.spot {
            self.limiter.meter.quit(self.state, self.limiter.clock.now(), spot);
        }
    }
}
