//! The gate around a gate.

use crate::meters::Meters;
use metrics::Histogram;
use plimsoll_core::{
    Admit, Clock, DefaultClock, Gate, Outcome, Quota, QuotaState, Rejected, Tick, Weigh,
};
use std::{borrow::Cow, fmt};

/// A gate that counts what the gate within admits and refuses, and how the work
/// ends.
///
/// It decides nothing and changes nothing: its refusals are those of the gate
/// within, under that gate's name. The [crate documentation](crate) has the
/// table of metrics.
///
/// **Build it after the metrics recorder is installed.** The handles are looked
/// up when it is built; built earlier, it counts nothing for ever.
///
/// # Example
///
/// ```
/// use plimsoll_core::{GateExt, testing::Places};
/// use plimsoll_metered::Metered;
///
/// let gate = Metered::new("search", Places::new(1)).wait_time().service_time();
/// let _permit = gate.try_admit()?;
/// assert_eq!(gate.try_admit().unwrap_err().gate(), "places");
/// # Ok::<(), plimsoll_core::Rejected>(())
/// ```
pub struct Metered<G, K = DefaultClock> {
    gate: G,
    meters: Meters,
    wait: Option<Histogram>,
    service: Option<Histogram>,
    clock: K,
}

/// What a [`Metered`] gate gets back at the end: the inner gate's ticket, and
/// when the work began if its time is measured.
#[derive(Debug)]
pub struct MeteredTicket<T> {
    inner: T,
    since: Tick,
}

impl<G> Metered<G> {
    /// Counts what `gate` does, under the label `gate="name"`.
    ///
    /// Two of one name share their metrics. The name should come from the
    /// program and not from its traffic: each is a set of time series for the
    /// life of the process.
    ///
    /// **Call it after the metrics recorder is installed**; before that, what
    /// it returns counts nothing for ever.
    #[must_use = "a metered gate counts only what passes through it"]
    pub fn new(name: impl Into<Cow<'static, str>>, gate: G) -> Self {
        let name: Cow<'static, str> = name.into();
        let meters = Meters::new(name.into());
        Self { gate, meters, wait: None, service: None, clock: DefaultClock::new() }
    }
}

impl<G, K: Clock> Metered<G, K> {
    /// Also records how long work waits in `enter`, admitted or refused in the
    /// end. Work that is asked about with `try_enter` does not wait and is not
    /// recorded. By default off: it costs two readings of the clock and an
    /// entry in a histogram.
    #[must_use = "this returns the gate, it does not change it in place"]
    pub fn wait_time(self) -> Self {
        Self { wait: Some(self.meters.wait()), ..self }
    }

    /// Also records the time from the beginning of the work to its end, unless it
    /// was never started; it begins when all gates of a tuple have admitted it. By default off: it costs a reading of the clock at
    /// either end and an entry in a histogram.
    #[must_use = "this returns the gate, it does not change it in place"]
    pub fn service_time(self) -> Self {
        Self { service: Some(self.meters.service()), ..self }
    }

    /// Measures time by another clock.
    #[must_use = "this returns the gate, it does not change it in place"]
    pub fn clock<L: Clock>(self, clock: L) -> Metered<G, L> {
        let Self { gate, meters, wait, service, clock: _ } = self;
        Metered { gate, meters, wait, service, clock }
    }

    /// The gate within.
    pub fn get_ref(&self) -> &G {
        &self.gate
    }

    #[inline]
    fn admitted<T>(&self, inner: T) -> MeteredTicket<T> {
        let since = if self.service.is_some() { self.clock.now() } else { Tick::ZERO };
        self.admitted_at(inner, since)
    }

    #[inline]
    fn admitted_at<T>(&self, inner: T, since: Tick) -> MeteredTicket<T> {
        self.meters.admitted();
        MeteredTicket { inner, since }
    }

    #[inline]
    fn decided<T>(&self, result: Result<T, Rejected>) -> Result<MeteredTicket<T>, Rejected> {
        match result {
            Ok(inner) => Ok(self.admitted(inner)),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    #[inline]
    fn refused(&self, refusal: Rejected) -> Rejected {
        self.meters.refusals().count(&refusal);
        refusal
    }

    async fn waited<T>(
        &self,
        entering: impl Future<Output = Result<T, Rejected>> + Send,
    ) -> Result<MeteredTicket<T>, Rejected> {
        let Some(wait) = &self.wait else {
            return self.decided(entering.await);
        };
        let start = self.clock.now();
        let result = entering.await;
        // The end of the wait is the start of the work: one reading for both.
        let now = self.clock.now();
        wait.record(now.since(start));
        match result {
            Ok(inner) => Ok(self.admitted_at(inner, now)),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }
}

impl<G: Gate, K: Clock> Gate for Metered<G, K> {
    type Ticket = MeteredTicket<G::Ticket>;

    #[inline]
    fn begin(&self, ticket: &mut Self::Ticket) {
        self.gate.begin(&mut ticket.inner);
        if self.service.is_some() {
            ticket.since = self.clock.now();
        }
    }

    #[inline]
    fn leave(&self, ticket: Self::Ticket, outcome: Outcome) {
        self.gate.leave(ticket.inner, outcome);
        self.meters.ended(outcome);
        if let (Some(service), false) = (&self.service, outcome == Outcome::Unused) {
            service.record(self.clock.now().since(ticket.since));
        }
    }
}

impl<C: ?Sized, G: Admit<C>, K: Clock> Admit<C> for Metered<G, K> {
    #[inline]
    fn try_enter(&self, cx: &C) -> Result<Self::Ticket, Rejected> {
        self.decided(self.gate.try_enter(cx))
    }

    fn enter<'a>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        self.waited(self.gate.enter(cx))
    }
}

impl<G: Weigh, K: Clock> Weigh for Metered<G, K> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<Self::Ticket, Rejected> {
        self.decided(self.gate.try_enter_n(n))
    }

    fn enter_n(&self, n: u64) -> impl Future<Output = Result<Self::Ticket, Rejected>> + Send + '_ {
        self.waited(self.gate.enter_n(n))
    }
}

impl<C: ?Sized, G: Quota<C>, K: Clock> Quota<C> for Metered<G, K> {
    fn quota(&self, cx: &C) -> QuotaState {
        self.gate.quota(cx)
    }
}

impl<G: fmt::Debug, K> fmt::Debug for Metered<G, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metered")
            .field("name", &self.meters.name())
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
