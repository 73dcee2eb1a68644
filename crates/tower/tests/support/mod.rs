//! What the tests of this crate share.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod text;

use plimsoll_core::{Admit, Gate, Outcome, Rejected, testing::Places};
use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};
use tower::Service;

/// What a gate heard, for all its handles.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<Vec<Outcome>>>);

impl Heard {
    pub fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Counts places, and remembers how work ended and how often it was asked.
pub struct Recorder {
    pub places: Places,
    heard: Heard,
    refusals: Mutex<u32>,
}

impl Recorder {
    pub fn new(places: Places) -> (Arc<Self>, Heard) {
        let heard = Heard::default();
        (Arc::new(Self { places, heard: heard.clone(), refusals: Mutex::default() }), heard)
    }

    pub fn refusals(&self) -> u32 {
        *self.refusals.lock().unwrap()
    }

    fn count<T>(&self, decision: Result<T, Rejected>) -> Result<T, Rejected> {
        *self.refusals.lock().unwrap() += u32::from(decision.is_err());
        decision
    }
}

impl Gate for Recorder {
    type Ticket = u64;
    fn leave(&self, ticket: u64, outcome: Outcome) {
        self.heard.0.lock().unwrap().push(outcome);
        self.places.leave(ticket, outcome);
    }
}

impl<C: ?Sized> Admit<C> for Recorder {
    fn try_enter(&self, cx: &C) -> Result<u64, Rejected> {
        self.count(self.places.try_enter(cx))
    }
    async fn enter<'a>(&'a self, cx: &'a C) -> Result<u64, Rejected>
    where
        C: Sync,
    {
        self.count(self.places.enter(cx).await)
    }
}

/// A service that insists on `poll_ready` before each `call`, on the same clone.
pub struct Strict<F> {
    pub ready: bool,
    pub f: F,
}

/// A clone of a ready service is not ready.
impl<F: Clone> Clone for Strict<F> {
    fn clone(&self) -> Self {
        Self { ready: false, f: self.f.clone() }
    }
}

impl<Req, F, Fut, T, E> Service<Req> for Strict<F>
where
    F: FnMut(Req) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Fut {
        assert!(std::mem::take(&mut self.ready), "called without having been made ready");
        (self.f)(request)
    }
}

pub fn strict<F>(f: F) -> Strict<F> {
    Strict { ready: false, f }
}

pub fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

pub fn ready<S: Service<Req>, Req>(service: &mut S) -> &mut S
where
    S::Error: fmt::Debug,
{
    match service.poll_ready(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("not ready"),
    }
    service
}
