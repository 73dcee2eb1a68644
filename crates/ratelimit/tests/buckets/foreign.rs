//! Wakers are others' code: they may do anything, at any moment but under a lock.

use super::{MILLI, SECOND};
use plimsoll_core::{ManualClock, TokioClock};
use plimsoll_ratelimit::TokenBucket;
use std::{
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll, Wake, Waker},
    thread,
};

fn poll<F: Future>(future: &mut Pin<Box<F>>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Does something when it is woken.
struct OnWake<F>(F);

impl<F: Fn() + Send + Sync> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Does something when its last clone goes.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl<F: Fn() + Send + Sync> Wake for OnDrop<F> {
    fn wake(self: Arc<Self>) {}
}

/// Fails instead of hanging if `work` deadlocks.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.unwrap();
        let _inside = runtime.enter();
        work();
        done.send(()).unwrap();
    });
    assert!(is_done.recv_timeout(SECOND * 20).is_ok(), "it panicked or hangs");
}

#[test]
fn a_waker_may_ask_the_bucket_when_it_is_dropped() {
    in_time(|| {
        let bucket = Arc::new(TokenBucket::per_second(10).burst(1).clock(ManualClock::new()));
        bucket.try_acquire().unwrap();
        let mut leader = Box::pin(bucket.acquire());
        assert!(poll(&mut leader, Waker::noop()).is_pending());
        for polled_again in [true, false] {
            let mut wait = Box::pin(bucket.acquire());
            let asks = OnDrop({
                let bucket = Arc::clone(&bucket);
                move || assert!(bucket.try_acquire().is_err())
            });
            assert!(poll(&mut wait, &Waker::from(Arc::new(asks))).is_pending());
            if polled_again {
                assert!(poll(&mut wait, Waker::noop()).is_pending());
            }
        }
    });
}

#[test]
fn a_waker_may_lease_from_whatever_bucket_when_it_is_woken() {
    in_time(|| {
        let clock = ManualClock::new();
        let leased =
            |burst| TokenBucket::per_second(10).burst(burst).clock(clock.clone()).leased(2);
        let (limiter, others) = (leased(1), [(); 20].map(|()| leased(100)));
        limiter.try_acquire().unwrap();
        let leases = OnWake({
            let (limiter, others) = (limiter.clone(), others.clone());
            move || {
                assert!(others.iter().all(|other| other.try_acquire().is_ok()));
                let _ = limiter.try_acquire();
            }
        });
        let mut wait = Box::pin(limiter.acquire());
        assert!(poll(&mut wait, &Waker::from(Arc::new(leases))).is_pending());
        clock.advance(SECOND);
        // Serves the one in line, which is woken in the middle of a lease.
        let _ = limiter.try_acquire();
        assert!(poll(&mut wait, Waker::noop()).is_ready());
        for other in &others {
            let all = (0..1_000).take_while(|_| other.try_acquire().is_ok()).count();
            assert_eq!(all, 99);
        }
    });
}

#[tokio::test(start_paused = true)]
async fn the_debug_form_of_a_reservation_changes_nothing() {
    let bucket = TokenBucket::per_second(10).burst(1).clock(TokioClock);
    bucket.try_acquire().unwrap();
    let place = bucket.reserve().unwrap();
    tokio::time::sleep(MILLI * 100).await;
    assert_eq!(format!("{place:?}"), "Reservation { holds_its_tokens: false, .. }");
    place.ready().await;
}
