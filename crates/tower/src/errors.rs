//! Boxed errors, which most layers of tower want.

use plimsoll_core::Error;

/// A boxed error, as tower's own layers have it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Boxes a refusal, or hands out the error that was boxed already.
///
/// [`Error`] is an error itself only where what it holds is one, and a boxed
/// error is none. So where a service behind a gate has boxed errors, and a layer
/// before the gate wants them boxed, this goes between.
/// [`Rejected::find`](plimsoll_core::Rejected::find) sees the refusal.
///
/// # Example
///
/// ```
/// use plimsoll_core::testing::Places;
/// use plimsoll_tower::{GateLayer, into_box_error};
/// use std::time::Duration;
/// use tower::{ServiceBuilder, service_fn};
///
/// let service = ServiceBuilder::new()
///     .timeout(Duration::from_secs(1)) // wants errors that can be boxed
///     .map_err(into_box_error)
///     .layer(GateLayer::new(Places::new(100)))
///     .timeout(Duration::from_millis(500)) // has boxed errors
///     .service(service_fn(async |n: u32| Ok::<_, std::io::Error>(n + 1)));
/// # let _ = tower::ServiceExt::<u32>::oneshot(service, 1);
/// ```
#[must_use]
pub fn into_box_error(error: Error<BoxError>) -> BoxError {
    match error {
        Error::Rejected(refusal) => Box::new(refusal),
        Error::Inner(inner) => inner,
    }
}
