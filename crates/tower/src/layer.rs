//! A gate before any service; a refusal is an error.

use crate::{Judge, OkOrFailure, WaitLayer, guarded::Guarded};
use pin_project_lite::pin_project;
use plimsoll_core::{Admit, Error, Gate, Permit, Rejected};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a gate before a service; a refusal is an error.
///
/// The gate decides in `call`, about the request, and hears how the response
/// future ended. The service's own readiness is waited for in `poll_ready`, as
/// ever: the gate takes nothing before the service is ready, and a service that
/// is not ready is no overload.
///
/// | the response future | the gate hears |
/// |---|---|
/// | is ready | what the [judge](Self::judged_by) says: `Ok` is a success, `Err` a failure |
/// | was dropped before its first poll | `Unused`: all is given back |
/// | was dropped later | `Ignored` |
/// | panicked | `Failure` |
///
/// The error is [`Error<S::Error>`](Error). Where the layers around it want
/// boxed errors and the service has them already, see
/// [`into_box_error`](crate::into_box_error).
///
/// # Example
///
/// ```
/// use plimsoll_core::{Error, Reason, testing::Places};
/// use plimsoll_tower::GateLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut service = ServiceBuilder::new()
///     .layer(GateLayer::new(Places::new(1)))
///     .service(service_fn(async |n: u32| Ok::<_, std::io::Error>(n + 1)));
///
/// let first = service.ready().await.unwrap().call(1);
/// let second = service.ready().await.unwrap().call(2); // while the first is under way
/// assert_eq!(first.await.unwrap(), 2);
/// let refusal = *second.await.unwrap_err().rejected().unwrap();
/// assert_eq!((refusal.gate(), refusal.reason()), ("places", Reason::Concurrency));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GateLayer<H, J = OkOrFailure> {
    pub(crate) gate: H,
    pub(crate) judge: J,
}

impl<G: Gate> GateLayer<Arc<G>> {
    /// Puts `gate` behind an `Arc`, which every service made by the layer shares.
    #[must_use]
    pub fn new(gate: G) -> Self {
        Self::of(Arc::new(gate))
    }
}

impl<G: Gate> GateLayer<&'static G> {
    /// Keeps `gate` for the life of the process: no count of references is
    /// touched per request, which at many requests per second on several cores
    /// is most of the layer's price.
    #[must_use]
    pub fn leaked(gate: G) -> Self {
        Self::of(Box::leak(Box::new(gate)))
    }
}

impl<H: Gate + Clone> GateLayer<H> {
    /// Takes a cheap handle that is there already: an `Arc`, a `&'static`, an
    /// [`AnyGate`](plimsoll_core::AnyGate).
    #[must_use]
    pub fn of(handle: H) -> Self {
        Self { gate: handle, judge: OkOrFailure }
    }
}

impl<H, J> GateLayer<H, J> {
    /// Lets requests wait where the gate lets work wait, instead of refusing
    /// them at once.
    #[must_use]
    pub fn wait(self) -> WaitLayer<H, J> {
        WaitLayer::new(self)
    }

    /// Says what results mean. By default `Ok` is a success and `Err` a
    /// failure.
    ///
    /// Where the service passes further gates, its error may itself be a
    /// refusal, and a full limit further in would open a breaker here. Judge by
    /// [`verdict::of`](plimsoll_core::verdict::of) then, or put all gates into
    /// one tuple.
    ///
    /// # Example
    ///
    /// ```
    /// use plimsoll_core::{testing::Places, verdict};
    /// use plimsoll_tower::GateLayer;
    /// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut service = ServiceBuilder::new()
    ///     .layer(GateLayer::new(Places::new(8)).judged_by(verdict::of))
    ///     .layer(GateLayer::new(Places::new(1)))
    ///     .service(service_fn(async |n: u32| Ok::<_, std::io::Error>(n + 1)));
    /// assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 2);
    /// # }
    /// ```
    #[must_use]
    pub fn judged_by<K>(self, judge: K) -> GateLayer<H, K> {
        GateLayer { gate: self.gate, judge }
    }
}

impl<S, H: Clone, J: Clone> Layer<S> for GateLayer<H, J> {
    type Service = GateService<S, H, J>;

    fn layer(&self, inner: S) -> Self::Service {
        GateService { inner, layer: self.clone() }
    }
}

/// A service behind a gate. Made by [`GateLayer`].
#[derive(Clone, Debug)]
pub struct GateService<S, H, J = OkOrFailure> {
    inner: S,
    layer: GateLayer<H, J>,
}

impl<S, H, J> GateService<S, H, J> {
    /// The service within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<Req, S, H, J> Service<Req> for GateService<S, H, J>
where
    S: Service<Req>,
    H: Admit<Req> + Clone,
    J: Judge<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = ResponseFuture<S::Future, H, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Error::Inner)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let GateLayer { gate, judge } = &self.layer;
        match gate.try_enter(&request) {
            Ok(ticket) => {
                let permit = Permit::new(gate.clone(), ticket);
                let work = self.inner.call(request);
                ResponseFuture::working(work, permit, judge.clone())
            }
            Err(refusal) => ResponseFuture::refused(refusal, judge.clone()),
        }
    }
}

pin_project! {
    /// The answer of a [`GateService`], or its refusal.
    pub struct ResponseFuture<F, H: Gate, J = OkOrFailure> {
        #[pin]
        state: State<F, H>,
        judge: J,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, H: Gate> {
        Refused { refusal: Rejected },
        Working { #[pin] work: Guarded<F, H> },
    }
}

impl<F: Future, H: Gate, J> ResponseFuture<F, H, J> {
    pub(crate) fn working(work: F, permit: Permit<H>, judge: J) -> Self {
        Self { state: State::Working { work: Guarded::new(work, permit) }, judge }
    }

    pub(crate) fn refused(refusal: Rejected, judge: J) -> Self {
        Self { state: State::Refused { refusal }, judge }
    }
}

impl<F, H, J, T, E> Future for ResponseFuture<F, H, J>
where
    F: Future<Output = Result<T, E>>,
    H: Gate,
    J: Judge<T, E>,
{
    type Output = Result<T, Error<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Refused { refusal } => Poll::Ready(Err(Error::Rejected(*refusal))),
            StateProj::Working { work } => {
                let (result, permit) = ready!(work.poll(cx));
                if let Some(permit) = permit {
                    permit.finish(this.judge.judge(&result));
                }
                Poll::Ready(result.map_err(Error::Inner))
            }
        }
    }
}

impl<F, H: Gate, J> std::fmt::Debug for ResponseFuture<F, H, J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
