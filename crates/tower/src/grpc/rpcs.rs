//! How many calls a connection has under way, and since when none.

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::{
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tower_layer::Layer;
use tower_service::Service;

/// The calls of one connection. Clones count together.
///
/// A call counts from the moment its request is handed to the service until the
/// body of its answer is gone. Nobody is woken for it: whoever waits for an idle
/// connection looks again when it could be idle for long enough at the earliest.
#[derive(Clone, Debug)]
pub(super) struct Rpcs(Arc<watch::Sender<Count>>);

#[derive(Clone, Copy, Debug)]
struct Count {
    under_way: usize,
    /// When the last one ended, or the connection began.
    since: Instant,
}

impl Count {
    /// When it will have been idle for `time`, if no call is made until then.
    fn idle_at(&self, time: Duration, now: Instant) -> Option<Instant> {
        let since = if self.under_way > 0 { now } else { self.since };
        since.checked_add(time)
    }
}

impl Rpcs {
    pub(super) fn new() -> Self {
        let none = Count { under_way: 0, since: Instant::now() };
        Self(Arc::new(watch::channel(none).0))
    }

    fn change(&self, change: impl FnOnce(&mut Count)) {
        self.0.send_if_modified(|count| {
            change(count);
            false // nobody waits for a change
        });
    }

    fn begin(&self) -> Rpc {
        self.change(|count| count.under_way += 1);
        Rpc(self.clone())
    }

    /// How many are under way.
    pub(super) fn under_way(&self) -> usize {
        self.0.borrow().under_way
    }

    /// Waits until no call was under way for `time`; for ever, where the end of
    /// that can't be told.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let now = Instant::now();
            // Read in a statement of its own: what it borrows must not be held.
            let idle_at = self.0.borrow().idle_at(time, now);
            match idle_at {
                Some(at) if at <= now => return,
                Some(at) => sleep_until(at).await,
                None => return pending().await,
            }
        }
    }
}

/// A call under way.
#[derive(Debug)]
struct Rpc(Rpcs);

impl Drop for Rpc {
    fn drop(&mut self) {
        let now = Instant::now();
        self.0.change(|count| {
            count.under_way -= 1;
            // Another thread may have ended its call later, and been here first.
            count.since = count.since.max(now);
        });
    }
}

/// Counts the calls of a service.
impl<S> Layer<S> for Rpcs {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, rpcs: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    rpcs: Rpcs,
}

impl<S, B, RB> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<RB>>,
{
    type Response = Response<CountedBody<RB>>;
    type Error = S::Error;
    type Future = CountedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let rpc = self.rpcs.begin();
        CountedFuture { work: self.inner.call(request), rpc: Some(rpc) }
    }
}

pin_project! {
    pub(super) struct CountedFuture<F> {
        #[pin]
        work: F,
        rpc: Option<Rpc>,
    }
}

impl<F, RB, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<CountedBody<RB>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.work.poll(cx))?;
        let rpc = this.rpc.take();
        Poll::Ready(Ok(response.map(|body| CountedBody { body, _rpc: rpc })))
    }
}

pin_project! {
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        _rpc: Option<Rpc>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::time::advance;

    const MINUTE: Duration = Duration::from_secs(60);
    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn it_is_idle_a_minute_after_the_last_of_its_calls_and_not_before() {
        let rpcs = Rpcs::new();
        let start = Instant::now();
        let mut idle = Box::pin(rpcs.idle_for(MINUTE));
        let (a, b) = (rpcs.begin(), rpcs.begin());
        assert!((&mut idle).now_or_never().is_none());
        advance(10 * MINUTE).await;
        drop(b);
        advance(MINUTE).await;
        assert!((&mut idle).now_or_never().is_none(), "one is under way");
        drop(a);
        idle.await;
        let took = start.elapsed();
        assert!(took >= 12 * MINUTE && took <= 12 * MINUTE + 2 * MS, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_came_and_went_unseen_begins_the_minute_anew() {
        let rpcs = Rpcs::new();
        let start = Instant::now();
        let busy = async {
            for _ in 0..5 {
                tokio::time::sleep(MINUTE - 5 * MS).await;
                drop(rpcs.begin());
            }
        };
        tokio::join!(busy, rpcs.idle_for(MINUTE));
        assert!(start.elapsed() >= 5 * (MINUTE - 5 * MS) + MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_the_end_of_time_never_comes() {
        assert!(Rpcs::new().idle_for(Duration::MAX).now_or_never().is_none());
    }
}
