//! The adaptive limit's API.

use super::{
    aimd::Aimd,
    gradient::Gradient,
    probing::Probing,
    settings::{Settings, literal, nanos, time},
    tuner::Law,
    vegas::Vegas,
    windows::{Ended, Windows},
};
use crate::entrance::{Entrance, places};
use plimsoll_core::{
    Admit, Clock, ConfigError, DefaultClock, Gate, Load, Outcome, Rejected, Tick, Weigh,
};
use std::{fmt, time::Duration};

/// A concurrency limit that finds itself, from how long work takes and how it
/// ends.
///
/// A fixed limit is right for the day on which it was measured. This one goes up
/// while what is behind it keeps up, and down when latency or failures say that
/// it does not.
///
/// | made by | goes by | fits |
/// |---|---|---|
/// | [`aimd`](Self::aimd) | latency over a target that you name | you know what your callers are promised |
/// | [`vegas`](Self::vegas) | how many queue, by the best latency of the last minute | one kind of work whose cost is steady |
/// | [`gradient`](Self::gradient) | latency over its average of the last minutes | latency that drifts, no target at hand |
/// | [`probing`](Self::probing) | latency over that under almost no load, measured now and then | the same, where a second of little throughput does no harm |
///
/// # What counts
///
/// | the work ended with | and counts as |
/// |---|---|
/// | [`Outcome::Success`] | a sample of the latency, from admission to end |
/// | [`Outcome::Failure`] | a failure; its latency says nothing |
/// | [`Outcome::Ignored`], [`Outcome::Unused`] | nothing: a caller that went away is no congestion |
///
/// There is no channel to the side that drops samples under load and no task: the
/// first release after a window's end closes it, computes the next limit, and opens
/// the next window, while others go on. Of those that count these few are left out:
///
/// * the first after a time in which nothing happened, see below;
/// * what was admitted before [`probing`](Self::probing) began to measure;
/// * what ended before it began, by a clock that went back;
/// * what comes when 49,152 of the same threads have not been collected, because
///   whoever is about to is held up.
///
/// # Rules that all algorithms share
///
/// * A window with fewer than [`min_samples`](Self::min_samples) results decides
///   nothing and goes on until it has them. If nothing happens for as long as a
///   window, what was there is forgotten, and with it the first result that comes
///   in afterwards, which only says that there is work again.
/// * A window in which more than [a tenth](Self::tolerate_failures) of the results
///   were failures, or that was slower than [`healthy_below`](Self::healthy_below),
///   is congested: the limit goes down by a tenth, and no algorithm learns from it.
/// * The limit grows only if it was what held work back: if at some moment of the
///   window at least half of it was under way. How many are under way is counted
///   when work ends.
/// * It stays within its [`range`](Self::range), but while
///   [`probing`](Self::probing) measures.
///
/// # Refusals
///
/// They are called `adaptive limit`; reasons are those of a
/// [`ConcurrencyLimit`](crate::ConcurrencyLimit#refusals).
///
/// # Weights
///
/// [`weighted`](plimsoll_core::GateExt::weighted) work takes several places at
/// once, and the limit is one of places. Its latency is one sample like any other,
/// so weights are for work that needs more of what is behind the limit, and not
/// for work that merely takes longer.
///
/// What weighs more than the limit of the moment is refused, and does not wait
/// for it to rise. Begin the [`range`](Self::range) at the heaviest weight, and it
/// is never refused for that; by [`probing`](Self::probing) it is all the same
/// while the limit is 3.
///
/// # What does not belong in it
///
/// Streams that stay open for hours, health checks that cost nothing: let them
/// pass beside it, or end them with [`Outcome::Ignored`], or the latency is an
/// average over two things. An hour-long stream occupies its place all the same.
///
/// # Example
///
/// ```
/// use plimsoll_backpressure::AdaptiveLimit;
/// use plimsoll_core::{GateExt, ManualClock, Outcome};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let limit = AdaptiveLimit::aimd(Duration::from_millis(50)).range(10..=500).clock(clock.clone());
/// assert_eq!(limit.limit(), 20);
///
/// // For two seconds all places are in use, and work takes 20 ms.
/// for _ in 0..100 {
///     let permits: Vec<_> = std::iter::from_fn(|| limit.try_admit().ok()).collect();
///     clock.advance(Duration::from_millis(20));
///     permits.into_iter().for_each(|permit| permit.finish(Outcome::Success));
/// }
/// assert_eq!(limit.limit(), 24);
/// ```
pub struct AdaptiveLimit<K: Clock = DefaultClock> {
    pub(super) settings: Settings,
    pub(super) entrance: Entrance<K>,
    pub(super) windows: Windows,
}

/// What a permit of an [`AdaptiveLimit`] holds: so many places, and since when.
/// Plain data, given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "its places stay taken until it is given back"]
pub struct AdaptiveTicket {
    started: Tick,
    places: u32,
}

impl AdaptiveLimit {
    /// Keeps latency near `target`: over 1.1 times as much, and the limit goes
    /// down by a tenth; under 0.8 times, up by a tenth; once a window.
    ///
    /// Source: D.-M. Chiu and R. Jain, "Analysis of the Increase and Decrease
    /// Algorithms for Congestion Avoidance in Computer Networks", 1989.
    ///
    /// # Panics
    ///
    /// When `target` is zero or over 584 years. [`try_aimd`](Self::try_aimd)
    /// returns the error.
    #[track_caller]
    #[must_use]
    pub fn aimd(target: Duration) -> Self {
        literal(Self::try_aimd(target))
    }

    /// [`aimd`](Self::aimd) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `target` is zero or over 584 years.
    pub fn try_aimd(target: Duration) -> Result<Self, ConfigError> {
        time("target", target)?;
        Self::of(Law::Aimd(Aimd { target: nanos(target) }))
    }

    /// Keeps a few in the queue of what is behind it, by the best latency of the
    /// last 30 to 60 windows.
    ///
    /// Sources: L. Brakmo and L. Peterson, "TCP Vegas: End to End Congestion
    /// Avoidance on a Global Internet", 1995; Netflix's
    /// [concurrency-limits](https://github.com/Netflix/concurrency-limits).
    #[must_use]
    pub fn vegas() -> Self {
        literal(Self::of(Law::Vegas(Vegas::new())))
    }

    /// Goes by the ratio of the average latency of the last 600 windows to that
    /// of the present one; up to 1.5 times as slow is no sign of a queue.
    ///
    /// What lasts for minutes becomes the average: see
    /// [`healthy_below`](Self::healthy_below).
    ///
    /// Source: `Gradient2Limit` of Netflix's
    /// [concurrency-limits](https://github.com/Netflix/concurrency-limits).
    #[must_use]
    pub fn gradient() -> Self {
        literal(Self::of(Law::Gradient(Gradient::new())))
    }

    /// Goes by the ratio of the latency without load to that of the present
    /// window; up to 1.25 times as slow is no sign of a queue.
    ///
    /// The latency without load is measured at the start, `every` so often (plus
    /// up to 15 %, so that instances don't do it together), and when the limit
    /// has been at the bottom of its range for five windows. While it is
    /// measured the limit is 3, whatever the range, until 50 results or a window
    /// are in; only work that was admitted meanwhile counts.
    ///
    /// Source: the gradient controller of Envoy's
    /// [adaptive concurrency](https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter)
    /// filter.
    ///
    /// # Panics
    ///
    /// When `every` is zero or over 584 years.
    /// [`try_probing`](Self::try_probing) returns the error.
    #[track_caller]
    #[must_use]
    pub fn probing(every: Duration) -> Self {
        literal(Self::try_probing(every))
    }

    /// [`probing`](Self::probing) from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `every` is zero or over 584 years.
    pub fn try_probing(every: Duration) -> Result<Self, ConfigError> {
        time("interval", every)?;
        Self::of(Law::Probing(Probing::new(every)))
    }

    fn of(law: Law) -> Result<Self, ConfigError> {
        Settings::new(law).build(DefaultClock::new())
    }
}

impl<K: Clock> AdaptiveLimit<K> {
    /// How many places may be taken at present.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.entrance.places.limit()
    }

    /// How many places are taken: more than may be for a while after the limit
    /// went down.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.entrance.places.used()
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entrance.places.waiting()
    }
}

impl<K: Clock> Gate for AdaptiveLimit<K> {
    type Ticket = AdaptiveTicket;

    /// What work waits for behind the limit is no latency of what the limit protects.
    #[inline]
    fn begin(&self, ticket: &mut AdaptiveTicket) {
        ticket.started = self.entrance.clock.now();
    }

    #[inline]
    fn leave(&self, ticket: AdaptiveTicket, outcome: Outcome) {
        let in_flight = self.entrance.places.give_back(ticket.places);
        let succeeded = match outcome {
            Outcome::Success => true,
            Outcome::Failure => false,
            Outcome::Ignored | Outcome::Unused => return,
        };
        let now = self.entrance.clock.now();
        let ended = Ended { started: ticket.started, now, in_flight, succeeded };
        self.windows.count(&ended, |limit| self.entrance.places.resize(limit));
    }
}

impl<K: Clock> AdaptiveLimit<K> {
    /// Waits for places, and makes something of the ticket.
    #[inline]
    fn places_as<'a, T: 'a>(
        &'a self,
        n: u64,
        make: impl Fn(AdaptiveTicket) -> T + Send + 'a,
    ) -> impl Future<Output = Result<T, Rejected>> + Send + 'a {
        let places = places(n);
        // The latency begins when it has its place, not when it began to wait.
        let ticket = move |clock: &K| make(AdaptiveTicket { started: clock.now(), places });
        self.entrance.take_as(places, (), None, ticket)
    }
}

impl<C: ?Sized, K: Clock> Admit<C> for AdaptiveLimit<K> {
    #[inline]
    fn try_enter(&self, _: &C) -> Result<AdaptiveTicket, Rejected> {
        self.try_enter_n(1)
    }

    #[inline]
    fn enter<'a>(
        &'a self,
        cx: &'a C,
    ) -> impl Future<Output = Result<AdaptiveTicket, Rejected>> + Send + 'a
    where
        C: Sync,
    {
        self.enter_as(cx, |ticket| ticket)
    }

    #[inline]
    fn enter_as<'a, T, F>(
        &'a self,
        _: &'a C,
        make: F,
    ) -> impl Future<Output = Result<T, Rejected>> + Send + 'a
    where
        C: Sync,
        T: 'a,
        F: Fn(AdaptiveTicket) -> T + Send + 'a,
    {
        self.places_as(1, make)
    }
}

/// In places. A weight of 0 always passes.
impl<K: Clock> Weigh for AdaptiveLimit<K> {
    #[inline]
    fn try_enter_n(&self, n: u64) -> Result<AdaptiveTicket, Rejected> {
        let places = places(n);
        self.entrance.try_take(places, None)?;
        Ok(AdaptiveTicket { started: self.entrance.clock.now(), places })
    }

    #[inline]
    fn enter_n(
        &self,
        n: u64,
    ) -> impl Future<Output = Result<AdaptiveTicket, Rejected>> + Send + '_ {
        self.places_as(n, |ticket| ticket)
    }
}

/// Those under way, and how many may be: the first may be the larger.
impl<K: Clock> Load for AdaptiveLimit<K> {
    fn load(&self) -> usize {
        self.in_flight() as usize
    }

    fn capacity(&self) -> Option<usize> {
        Some(self.limit() as usize)
    }
}

impl<K: Clock> fmt::Debug for AdaptiveLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveLimit")
            .field("limit", &self.limit())
            .field("in_flight", &self.in_flight())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
