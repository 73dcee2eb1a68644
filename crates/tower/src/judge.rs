//! What the result of a service means to the gate before it.

use plimsoll_core::Outcome;

/// Says what a result means: a success, a failure, or nothing.
///
/// Functions and closures from `&Result<T, E>` to [`Outcome`] are judges,
/// [`verdict::of`](plimsoll_core::verdict::of) among them.
pub trait Judge<T, E> {
    /// The outcome that the gate hears.
    fn judge(&self, result: &Result<T, E>) -> Outcome;
}

impl<T, E, F: Fn(&Result<T, E>) -> Outcome> Judge<T, E> for F {
    fn judge(&self, result: &Result<T, E>) -> Outcome {
        self(result)
    }
}

/// `Ok` is a success and `Err` a failure: what [`GateLayer`](crate::GateLayer)
/// takes results for unless it is told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct OkOrFailure;

impl<T, E> Judge<T, E> for OkOrFailure {
    fn judge(&self, result: &Result<T, E>) -> Outcome {
        if result.is_ok() { Outcome::Success } else { Outcome::Failure }
    }
}
