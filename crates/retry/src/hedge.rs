//! What people type: a `Hedge` and its settings.

use crate::{EveryError, RetryBudget, Unobserved, error::or_panic, quantile::Quantile};
use plimsoll_core::{Clock, ConfigError, DefaultClock};
use std::{fmt, sync::Arc, time::Duration};

/// Calls a second time what takes long, takes the answer that comes first, and
/// drops the other call.
///
/// It cuts off the slow tail that comes of one slow server, a lost packet or a
/// pause somewhere, for a few calls more. Only for calls that may be made twice,
/// and to a dependency that has more than one server: one that is slow because
/// it is overloaded is not helped, which is why hedges are paid for from a
/// [`RetryBudget`].
///
/// | | by default |
/// |---|---|
/// | calls for one answer, the first included | 2 |
/// | budget | [`RetryBudget::default`]: a fifth of the successes, and 10 a second |
/// | errors | every error is transient |
///
/// # What happens when
///
/// * *The delay is over*: another call is made beside those under way, and the
///   delay begins anew, up to [`at_most`](Self::at_most) calls in all.
/// * *A call fails before that*: the next is made at once.
/// * *A call fails for good* ([`stop_if`](Self::stop_if)): its error is the
///   answer, and no other is waited for.
/// * *The budget is spent*: no more calls are made; those under way go on.
/// * *A call succeeds*: all others are dropped, and then the answer is returned.
/// * *All have failed*: the error that came last is the answer. Earlier ones are
///   dropped: whoever wants all of them sees them in the calls themselves.
///
/// The error is the calls' own and not wrapped, so that a
/// [`Retry`](crate::Retry) around it judges it as it would without a hedge.
///
/// Source: J. Dean and L. A. Barroso, *The Tail at Scale*, Communications of the
/// ACM 56(2), 2013.
///
/// # Example
///
/// ```
/// use plimsoll_retry::Hedge;
/// use std::{cell::Cell, io, time::Duration};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> io::Result<()> {
/// let calls = Cell::new(0);
/// let get = || async {
///     calls.set(calls.get() + 1);
///     if calls.get() == 1 {
///         std::future::pending::<()>().await; // its server is gone
///     }
///     io::Result::Ok(42)
/// };
/// let answer = Hedge::after(Duration::from_millis(50)).run(get).await?;
/// assert_eq!((answer, calls.get()), (42, 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Hedge<J = EveryError, O = Unobserved, K = DefaultClock> {
    pub(crate) delay: Delay,
    /// The first included.
    pub(crate) calls: u32,
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) judge: J,
    pub(crate) observer: O,
    pub(crate) clock: K,
}

/// How long a call may take until another is made.
#[derive(Clone, Debug)]
pub(crate) enum Delay {
    Fixed(Duration),
    Measured { quantile: Arc<Quantile>, least: Duration },
}

impl Delay {
    /// The delay, if it is known.
    pub(crate) fn get(&self) -> Option<Duration> {
        match self {
            Self::Fixed(delay) => Some(*delay),
            Self::Measured { quantile, least } => Some(quantile.get()?.max(*least)),
        }
    }

    /// Where latencies are recorded, if they are.
    pub(crate) fn quantile(&self) -> Option<&Quantile> {
        match self {
            Self::Fixed(_) => None,
            Self::Measured { quantile, .. } => Some(quantile),
        }
    }
}

impl Hedge {
    /// Calls again what takes longer than `delay`. Zero makes all calls at once.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self::with(Delay::Fixed(delay))
    }

    /// Calls again what takes longer than the share `p` of the calls before it:
    /// 0.95 hedges one in twenty.
    ///
    /// The percentile is a moving one, in one atomic word that clones share. Where
    /// latencies keep their distribution it is within 17 % of the right one nine
    /// times in ten; where they change, it doubles within some tens of calls, and
    /// halves within some hundreds. Until a hundred calls have been measured,
    /// none are hedged. First calls that succeeded are measured, and those that
    /// were hedged count as slow: if they were left out, the percentile would
    /// sink. Measuring costs two readings of the clock and an atomic change.
    ///
    /// # Panics
    ///
    /// When `p` is not over 0 and under 1.
    /// [`try_percentile`](Self::try_percentile) returns the error.
    #[track_caller]
    #[must_use]
    pub fn percentile(p: f64) -> Self {
        or_panic(Self::try_percentile(p))
    }

    /// [`percentile`](Self::percentile) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `p` is not over 0 and under 1.
    pub fn try_percentile(p: f64) -> Result<Self, ConfigError> {
        let quantile = Arc::new(Quantile::new(p)?);
        Ok(Self::with(Delay::Measured { quantile, least: Duration::ZERO }))
    }

    fn with(delay: Delay) -> Self {
        Self {
            delay,
            calls: 2,
            budget: Some(RetryBudget::default()),
            judge: EveryError,
            observer: Unobserved,
            clock: DefaultClock::new(),
        }
    }
}

impl<J, O, K> Hedge<J, O, K> {
    /// At most so many calls for one answer, the first included: 1 never hedges.
    /// By default 2.
    ///
    /// # Panics
    ///
    /// When `calls` is 0. [`try_at_most`](Self::try_at_most) returns the error.
    #[track_caller]
    #[must_use]
    pub fn at_most(self, calls: u32) -> Self {
        or_panic(self.try_at_most(calls))
    }

    /// [`at_most`](Self::at_most) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `calls` is 0.
    pub fn try_at_most(self, calls: u32) -> Result<Self, ConfigError> {
        if calls == 0 {
            return Err(ConfigError::new("at_most", 0, "at least 1: the first is one"));
        }
        Ok(Self { calls, ..self })
    }

    /// Waits at least `delay` before it hedges, whatever was measured or said
    /// before. Timers keep a millisecond.
    #[must_use]
    pub fn no_sooner_than(self, delay: Duration) -> Self {
        let delay = match self.delay {
            Delay::Fixed(fixed) => Delay::Fixed(fixed.max(delay)),
            Delay::Measured { quantile, least } => {
                Delay::Measured { quantile, least: least.max(delay) }
            }
        };
        Self { delay, ..self }
    }

    /// The delay after which it would hedge now; `None` while too few calls have
    /// been measured.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        self.delay.get()
    }

    /// Pays for hedges from a budget that others may share: all that call the
    /// same dependency, retries included.
    ///
    /// Each success earns, here as in a [`Retry`](crate::Retry): a call that
    /// passes both with one budget earns twice. Halve the ratio there, or give
    /// each its own.
    #[must_use]
    pub fn budget(self, budget: &RetryBudget) -> Self {
        Self { budget: Some(budget.clone()), ..self }
    }

    /// Hedges with no budget: when a dependency becomes slow, load is multiplied
    /// by the number of calls.
    #[must_use]
    pub fn without_budget(self) -> Self {
        Self { budget: None, ..self }
    }

    /// For layers, which judge results and not errors: the judge, and all else.
    #[doc(hidden)]
    pub fn into_parts(self) -> (J, Hedge<EveryError, O, K>) {
        let Self { delay, calls, budget, judge, observer, clock } = self;
        (judge, Hedge { delay, calls, budget, judge: EveryError, observer, clock })
    }

    /// For layers: how many calls there may be for one answer.
    #[doc(hidden)]
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// The same by another clock, by which latencies and the budget are measured.
    ///
    /// Delays are slept on the tokio timer, whatever the clock: give
    /// [`TokioClock`](plimsoll_core::TokioClock) in paused time.
    #[must_use]
    pub fn clock<L: Clock>(self, clock: L) -> Hedge<J, O, L> {
        let Self { delay, calls, budget, judge, observer, .. } = self;
        Hedge { delay, calls, budget, judge, observer, clock }
    }
}

impl<J, O, K> fmt::Debug for Hedge<J, O, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge")
            .field("delay", &self.delay)
            .field("at_most", &self.calls)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}
