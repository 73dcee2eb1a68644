//! Who hears of retries and of hedges.

use crate::{Hedge, Retry, Stop};
use std::time::Duration;

/// Who hears of retries: metrics, logs, traces. Called with no lock held.
pub trait Observe<E: ?Sized> {
    /// The attempt `failed`, 1 for the first, ended in `error`; the next begins
    /// after `pause`. Called before the pause. By default nobody hears of it.
    fn retrying(&self, failed: u32, error: &E, pause: Duration) {
        let _ = (failed, error, pause);
    }

    /// The call was given up after so many attempts, the last of which ended in
    /// `error`. By default nobody hears of it.
    fn gave_up(&self, attempts: u32, error: &E, why: Stop) {
        let _ = (attempts, error, why);
    }
}

/// Nobody hears of retries, or of hedges.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl<E: ?Sized> Observe<E> for Unobserved {}

/// A function hears of retries, after whoever heard of them before. See
/// [`Retry::on_retry`].
#[derive(Clone, Copy, Debug)]
pub struct OnRetry<O, F>(O, F);

impl<E: ?Sized, O: Observe<E>, F: Fn(u32, &E, Duration)> Observe<E> for OnRetry<O, F> {
    fn retrying(&self, failed: u32, error: &E, pause: Duration) {
        self.0.retrying(failed, error, pause);
        (self.1)(failed, error, pause);
    }

    fn gave_up(&self, attempts: u32, error: &E, why: Stop) {
        self.0.gave_up(attempts, error, why);
    }
}

/// A function hears of calls that were given up, after whoever heard of them
/// before. See [`Retry::on_give_up`].
#[derive(Clone, Copy, Debug)]
pub struct OnGiveUp<O, F>(O, F);

impl<E: ?Sized, O: Observe<E>, F: Fn(u32, &E, Stop)> Observe<E> for OnGiveUp<O, F> {
    fn retrying(&self, failed: u32, error: &E, pause: Duration) {
        self.0.retrying(failed, error, pause);
    }

    fn gave_up(&self, attempts: u32, error: &E, why: Stop) {
        self.0.gave_up(attempts, error, why);
        (self.1)(attempts, error, why);
    }
}

/// Observers. Others who were told before still are.
impl<J, O, K> Retry<J, O, K> {
    /// Tells `hear` of each retry before its pause: the number of the attempt
    /// that failed, 1 for the first, its error, and the pause.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::Error;
    /// use plimsoll_retry::Retry;
    /// use std::{io, time::Duration};
    ///
    /// let retry = Retry::exponential(Duration::from_millis(100))
    ///     .on_retry(|attempt, error: &Error<io::Error>, _| eprintln!("{attempt}: {error}"));
    /// # let _ = retry;
    /// ```
    #[must_use]
    pub fn on_retry<E: ?Sized, F>(self, hear: F) -> Retry<J, OnRetry<O, F>, K>
    where
        F: Fn(u32, &E, Duration),
    {
        self.observed(|before| OnRetry(before, hear))
    }

    /// Tells `hear` of each call that is given up: after how many attempts, the
    /// error of the last one, and why there is no further one.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::Error;
    /// use plimsoll_retry::Retry;
    /// use std::{io, time::Duration};
    ///
    /// let retry = Retry::exponential(Duration::from_millis(100))
    ///     .on_give_up(|_, _: &Error<io::Error>, why| eprintln!("gave up: {}", why.as_str()));
    /// # let _ = retry;
    /// ```
    #[must_use]
    pub fn on_give_up<E: ?Sized, F>(self, hear: F) -> Retry<J, OnGiveUp<O, F>, K>
    where
        F: Fn(u32, &E, Stop),
    {
        self.observed(|before| OnGiveUp(before, hear))
    }
}

/// What became of a hedged call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HedgeEvent {
    /// Another call is made: this is its number, 2 for the first hedge. Behind a
    /// layer, it may have to wait until its service is ready.
    Made(u32),
    /// Another call was due, and the budget did not grant it.
    Unpaid,
    /// The call with this number answered, after hedges or without any.
    Won(u32),
}

/// Who hears of hedges: metrics, logs, traces.
pub trait ObserveHedge {
    /// Called as it happens, with no lock held.
    fn hedging(&self, event: HedgeEvent);
}

impl ObserveHedge for Unobserved {
    fn hedging(&self, _: HedgeEvent) {}
}

/// A function hears of hedges, after whoever heard of them before. See
/// [`Hedge::on_hedge`].
#[derive(Clone, Copy, Debug)]
pub struct OnHedge<O, F>(O, F);

impl<O: ObserveHedge, F: Fn(HedgeEvent)> ObserveHedge for OnHedge<O, F> {
    fn hedging(&self, event: HedgeEvent) {
        self.0.hedging(event);
        (self.1)(event);
    }
}

impl<J, O, K> Hedge<J, O, K> {
    /// Tells `hear` of each call beside the first, of those that were not paid
    /// for, and of which one answered. Others who were told before still are.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_retry::{Hedge, HedgeEvent};
    /// use std::time::Duration;
    ///
    /// let hedge = Hedge::after(Duration::from_millis(50)).on_hedge(|event| match event {
    ///     HedgeEvent::Made(_) => println!("hedged"),
    ///     HedgeEvent::Won(2..) => println!("it helped"),
    ///     _ => {}
    /// });
    /// # let _ = hedge;
    /// ```
    #[must_use]
    pub fn on_hedge<F: Fn(HedgeEvent)>(self, hear: F) -> Hedge<J, OnHedge<O, F>, K> {
        let Self { delay, calls, budget, judge, observer, clock } = self;
        Hedge { delay, calls, budget, judge, observer: OnHedge(observer, hear), clock }
    }
}
