//! Which errors may be retried.

use crate::{Hedge, Retry};
use plimsoll_core::{AsRejected, Reason};
use std::time::Duration;

/// What an error says about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The same call would fail in the same way: do not.
    Permanent,
    /// It may pass.
    Transient,
    /// It may pass after this time, and not before.
    NotBefore(Duration),
}

/// Who says which errors may be retried.
///
/// [`Refusals`] unless [`retry_if`](crate::Retry::retry_if) or another method
/// says otherwise; implement it for a judge that has a name.
///
/// # Example
///
/// ```
/// use plimsoll_retry::{Judge, Retry, Verdict};
/// use std::{io, time::Duration};
///
/// /// Lost connections are opened anew; a busy server wants some rest.
/// struct Database;
///
/// impl Judge<io::Error> for Database {
///     fn judge(&self, error: &io::Error) -> Verdict {
///         match error.kind() {
///             io::ErrorKind::ConnectionReset => Verdict::Transient,
///             io::ErrorKind::ResourceBusy => Verdict::NotBefore(Duration::from_secs(1)),
///             _ => Verdict::Permanent,
///         }
///     }
/// }
///
/// let retry: Retry<Database> = Retry::exponential(Duration::from_millis(100)).judge(Database);
/// # let _ = retry;
/// ```
#[diagnostic::on_unimplemented(
    message = "it is not known which errors `{E}` may be retried",
    label = "no judge for `{E}`",
    note = "say which with `.retry_if(|error: &{E}| …)`, or implement `plimsoll_core::AsRejected` \
            for it; `plimsoll_core::Error<_>`, boxed errors and `Rejected` need neither"
)]
pub trait Judge<E: ?Sized> {
    /// What `error` says about trying again.
    fn judge(&self, error: &E) -> Verdict;

    /// Whether the work may have begun before it ended in `error`: unless that is
    /// sure, what must not be done twice is not tried again. By default it may.
    fn may_have_begun(&self, error: &E) -> bool {
        let _ = error;
        true
    }
}

/// Retries every error but the refusals of an open breaker or a closed gate, and
/// other refusals not before the time that they name.
///
/// The judge of a [`Retry`] that was given no other. It finds the
/// refusal through [`AsRejected`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusals {
    pub(crate) also_open: bool,
}

// Else the compiler would ask for `AsRejected` alone, and not tell of `retry_if`.
#[diagnostic::do_not_recommend]
impl<E: AsRejected> Judge<E> for Refusals {
    fn judge(&self, error: &E) -> Verdict {
        let Some(refusal) = error.as_rejected() else { return Verdict::Transient };
        match (refusal.reason(), refusal.retry_after()) {
            (Reason::Closed, _) => Verdict::Permanent,
            (Reason::Open, _) if !self.also_open => Verdict::Permanent,
            (_, Some(wait)) => Verdict::NotBefore(wait),
            (_, None) => Verdict::Transient,
        }
    }

    /// What was refused never began; a deadline may also cut off what did.
    fn may_have_begun(&self, error: &E) -> bool {
        error.as_rejected().is_none_or(|refusal| refusal.reason() == Reason::Deadline)
    }
}

/// Takes every error for transient, of any type. The judge of a
/// [`Hedge`] that was given no other.
#[derive(Clone, Copy, Debug, Default)]
pub struct EveryError;

impl<E: ?Sized> Judge<E> for EveryError {
    fn judge(&self, _: &E) -> Verdict {
        Verdict::Transient
    }
}

/// Retries what a function says, and nothing else. See
/// [`Retry::retry_if`](crate::Retry::retry_if).
#[derive(Clone, Copy, Debug)]
pub struct RetryIf<F>(pub(crate) F);

impl<E: ?Sized, F: Fn(&E) -> bool> Judge<E> for RetryIf<F> {
    fn judge(&self, error: &E) -> Verdict {
        if (self.0)(error) { Verdict::Transient } else { Verdict::Permanent }
    }
}

/// Retries what another judge does, but for what a function says. See
/// [`Retry::stop_if`](crate::Retry::stop_if).
#[derive(Clone, Copy, Debug)]
pub struct StopIf<J, F>(pub(crate) J, pub(crate) F);

impl<E: ?Sized, J: Judge<E>, F: Fn(&E) -> bool> Judge<E> for StopIf<J, F> {
    fn judge(&self, error: &E) -> Verdict {
        if (self.1)(error) { Verdict::Permanent } else { self.0.judge(error) }
    }

    fn may_have_begun(&self, error: &E) -> bool {
        self.0.may_have_begun(error)
    }
}

/// Retries what another judge does, but not before the time that a function
/// reads from the error. See [`Retry::retry_after`](crate::Retry::retry_after).
#[derive(Clone, Copy, Debug)]
pub struct RetryAfter<J, F>(pub(crate) J, pub(crate) F);

impl<E: ?Sized, J: Judge<E>, F: Fn(&E) -> Option<Duration>> Judge<E> for RetryAfter<J, F> {
    fn judge(&self, error: &E) -> Verdict {
        match (self.0.judge(error), (self.1)(error)) {
            (Verdict::NotBefore(one), Some(other)) => Verdict::NotBefore(one.max(other)),
            (Verdict::Transient, Some(wait)) => Verdict::NotBefore(wait),
            (verdict, _) => verdict,
        }
    }

    fn may_have_begun(&self, error: &E) -> bool {
        self.0.may_have_begun(error)
    }
}

/// What is retried.
impl<J, O, K> Retry<J, O, K> {
    /// Retries the errors for which `transient` holds, and no others, instead of
    /// what was said before. For errors of any type.
    ///
    /// The function decides about refusals too, and what they say of when to come
    /// back is not read. Where errors may be refusals, use
    /// [`stop_if`](Self::stop_if).
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_retry::Retry;
    /// use std::time::Duration;
    ///
    /// struct Answer { status: u16, retry_after: Option<Duration> }
    ///
    /// let retry = Retry::exponential(Duration::from_millis(100))
    ///     .retry_if(|answer: &Answer| matches!(answer.status, 429 | 500..=599))
    ///     .retry_after(|answer: &Answer| answer.retry_after);
    /// # let _ = retry;
    /// ```
    #[must_use]
    pub fn retry_if<E: ?Sized, F: Fn(&E) -> bool>(self, transient: F) -> Retry<RetryIf<F>, O, K> {
        self.judged(|_| RetryIf(transient))
    }

    /// Retries what was retried before, but for errors for which `permanent`
    /// holds.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::Error;
    /// use plimsoll_retry::Retry;
    /// use std::{io, time::Duration};
    ///
    /// // Refusals are judged as ever, and of other errors one is permanent.
    /// let retry = Retry::exponential(Duration::from_millis(100)).stop_if(
    ///     |error: &Error<io::Error>| matches!(error, Error::Inner(e) if e.kind() == io::ErrorKind::NotFound),
    /// );
    /// # let _ = retry;
    /// ```
    #[must_use]
    pub fn stop_if<E: ?Sized, F: Fn(&E) -> bool>(self, permanent: F) -> Retry<StopIf<J, F>, O, K> {
        self.judged(|before| StopIf(before, permanent))
    }

    /// Waits at least as long as `wait` reads from an error: a server's answer
    /// that says when to come back. The later of this and what a refusal says
    /// counts.
    ///
    /// The pause is never shorter; with jitter, it is longer by what was drawn,
    /// so that those who were told the same time do not come back together. A
    /// time of zero, or one that has passed, leaves the pause as it was drawn.
    /// Over [`wait_at_most`](Self::wait_at_most), there is no retry.
    #[must_use]
    pub fn retry_after<E: ?Sized, F>(self, wait: F) -> Retry<RetryAfter<J, F>, O, K>
    where
        F: Fn(&E) -> Option<Duration>,
    {
        self.judged(|before| RetryAfter(before, wait))
    }

    /// Asks `judge`, and nobody else.
    #[must_use]
    pub fn judge<M>(self, judge: M) -> Retry<M, O, K> {
        self.judged(|_| judge)
    }

    fn judged<M>(self, new: impl FnOnce(J) -> M) -> Retry<M, O, K> {
        let Self { plan, budget, judge, observer, draws, clock } = self;
        Retry { plan, budget, judge: new(judge), observer, draws, clock }
    }
}

impl<O, K> Retry<Refusals, O, K> {
    /// Also retries refusals of an open breaker, not before the time that they
    /// name.
    ///
    /// For work that nobody waits for: it sleeps until the breaker lets a probe
    /// through. By default an open breaker ends the call at once.
    #[must_use]
    pub fn retry_open(self) -> Self {
        Self { judge: Refusals { also_open: true }, ..self }
    }
}

/// What ends a hedged call.
impl<J, O, K> Hedge<J, O, K> {
    /// An error for which `permanent` holds is the answer, and ends all other
    /// calls.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_retry::Hedge;
    /// use std::{io, time::Duration};
    ///
    /// let hedge = Hedge::after(Duration::from_millis(50))
    ///     .stop_if(|error: &io::Error| error.kind() == io::ErrorKind::NotFound);
    /// # let _ = hedge;
    /// ```
    #[must_use]
    pub fn stop_if<E: ?Sized, F: Fn(&E) -> bool>(self, permanent: F) -> Hedge<StopIf<J, F>, O, K> {
        self.judged(|before| StopIf(before, permanent))
    }

    /// Asks `judge`, and nobody else. An error that is [permanent] is the answer;
    /// after one that asks for a pause no call is made at once, and those under
    /// way go on.
    ///
    /// [permanent]: crate::Verdict::Permanent
    #[must_use]
    pub fn judge<M>(self, judge: M) -> Hedge<M, O, K> {
        self.judged(|_| judge)
    }

    fn judged<M>(self, new: impl FnOnce(J) -> M) -> Hedge<M, O, K> {
        let Self { delay, calls, budget, judge, observer, clock } = self;
        Hedge { delay, calls, budget, judge: new(judge), observer, clock }
    }
}
