//! A gate that requests may wait at.

use crate::{GateLayer, Judge, OkOrFailure, ResponseFuture, guarded::at_once};
use pin_project_lite::pin_project;
use plimsoll_core::{Admit, Error, Gate, Permit, Rejected};
use std::{
    fmt, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a gate before a service; requests wait at it where it lets work wait.
/// Made by [`GateLayer::wait`].
///
/// A request that is admitted at once costs no allocation. One that must wait
/// boxes its wait, keeps the service that was made ready for it, and calls that
/// one when its turn comes. The gate hears of one decision for each request,
/// however long it took.
///
/// Dropped while it waits, a request leaves no trace in the gate.
///
/// # Example
///
/// ```
/// use plimsoll_core::testing::Places;
/// use plimsoll_tower::GateLayer;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut service = ServiceBuilder::new()
///     .layer(GateLayer::new(Places::new(1).waiting()).wait())
///     .service(service_fn(async |n: u32| Ok::<_, std::io::Error>(n + 1)));
///
/// let first = service.ready().await.unwrap().call(1);
/// let second = service.ready().await.unwrap().call(2); // waits for the first
/// let (first, second) = tokio::join!(first, second);
/// assert_eq!((first.unwrap(), second.unwrap()), (2, 3));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WaitLayer<H, J = OkOrFailure> {
    layer: GateLayer<H, J>,
}

impl<H, J> WaitLayer<H, J> {
    pub(crate) fn new(layer: GateLayer<H, J>) -> Self {
        Self { layer }
    }

    /// Says what results mean, as [`GateLayer::judged_by`].
    #[must_use]
    pub fn judged_by<K>(self, judge: K) -> WaitLayer<H, K> {
        WaitLayer::new(self.layer.judged_by(judge))
    }
}

impl<S, H: Clone, J: Clone> Layer<S> for WaitLayer<H, J> {
    type Service = WaitService<S, H, J>;

    fn layer(&self, inner: S) -> Self::Service {
        WaitService { inner, layer: self.layer.clone() }
    }
}

/// A service behind a gate that requests may wait at. Made by [`WaitLayer`].
#[derive(Clone, Debug)]
pub struct WaitService<S, H, J = OkOrFailure> {
    inner: S,
    layer: GateLayer<H, J>,
}

impl<S, H, J> WaitService<S, H, J> {
    /// The service within.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<Req, S, H, J> Service<Req> for WaitService<S, H, J>
where
    Req: Send + Sync + 'static,
    S: Service<Req> + Clone,
    H: Admit<Req> + Clone + 'static,
    J: Judge<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = Error<S::Error>;
    type Future = WaitFuture<S, Req, H, J>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Error::Inner)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let GateLayer { gate, judge } = &self.layer;
        let judge = judge.clone();
        // Asked without a box first. A wait that begins here is dropped, which
        // leaves no trace, and begins again in its box.
        let state = match at_once(gate.enter(&request)) {
            Some(Ok(ticket)) => {
                let permit = Permit::new(gate.clone(), ticket);
                let work = self.inner.call(request);
                State::Decided { answer: ResponseFuture::working(work, permit, judge) }
            }
            Some(Err(refusal)) => {
                State::Decided { answer: ResponseFuture::refused(refusal, judge) }
            }
            None => {
                // The one that was made ready goes along, an unready clone stays.
                let unready = self.inner.clone();
                let inner = mem::replace(&mut self.inner, unready);
                let owned = gate.clone();
                let entering = Box::pin(async move {
                    let decision = owned.enter(&request).await;
                    (decision, request)
                });
                State::Waiting { entering, inner, gate: gate.clone(), judge }
            }
        };
        WaitFuture { state }
    }
}

type Entering<H, Req> =
    Pin<Box<dyn Future<Output = (Result<<H as Gate>::Ticket, Rejected>, Req)> + Send>>;

pin_project! {
    /// The answer of a [`WaitService`], or its refusal.
    pub struct WaitFuture<S, Req, H, J = OkOrFailure>
    where
        S: Service<Req>,
        H: Gate,
    {
        #[pin]
        state: State<S, Req, H, J>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, Req, H, J>
    where
        S: Service<Req>,
        H: Gate,
    {
        Waiting { entering: Entering<H, Req>, inner: S, gate: H, judge: J },
        Decided { #[pin] answer: ResponseFuture<S::Future, H, J> },
    }
}

impl<S, Req, H, J> Future for WaitFuture<S, Req, H, J>
where
    S: Service<Req>,
    H: Gate + Clone,
    J: Judge<S::Response, S::Error> + Clone,
{
    type Output = Result<S::Response, Error<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let answer = match state.as_mut().project() {
                StateProj::Decided { answer } => return answer.poll(cx),
                StateProj::Waiting { entering, inner, gate, judge } => {
                    let (decision, request) = ready!(entering.as_mut().poll(cx));
                    match decision {
                        Ok(ticket) => {
                            let permit = Permit::new(gate.clone(), ticket);
                            ResponseFuture::working(inner.call(request), permit, judge.clone())
                        }
                        Err(refusal) => ResponseFuture::refused(refusal, judge.clone()),
                    }
                }
            };
            state.set(State::Decided { answer });
        }
    }
}

impl<S: Service<Req>, Req, H: Gate, J> fmt::Debug for WaitFuture<S, Req, H, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFuture").finish_non_exhaustive()
    }
}
