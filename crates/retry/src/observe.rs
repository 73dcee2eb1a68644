//! Who hears of retries.

use std::time::Duration;

/// Who hears of retries: metrics, logs, traces.
pub trait Observe<E: ?Sized> {
    /// The attempt `failed`, 1 for the first, ended in `error`; the next begins
    /// after `pause`. Called before the pause, with no lock held.
    fn retrying(&self, failed: u32, error: &E, pause: Duration);
}

/// Nobody hears of retries.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl<E: ?Sized> Observe<E> for Unobserved {
    fn retrying(&self, _: u32, _: &E, _: Duration) {}
}

/// A function hears of retries, after whoever heard of them before. See
/// [`Retry::on_retry`](crate::Retry::on_retry).
#[derive(Clone, Copy, Debug)]
pub struct OnRetry<O, F>(pub(crate) O, pub(crate) F);

impl<E: ?Sized, O: Observe<E>, F: Fn(u32, &E, Duration)> Observe<E> for OnRetry<O, F> {
    fn retrying(&self, failed: u32, error: &E, pause: Duration) {
        self.0.retrying(failed, error, pause);
        (self.1)(failed, error, pause);
    }
}
