//! Places and the line in front of them, one thread at a time.

use plimsoll_wait::{NoPlace, Places, Take};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use tokio::task::JoinSet;

/// Polls once with a waker that does nothing.
fn poll(take: &mut Pin<Box<Take<'_>>>) -> Option<Result<(), NoPlace>> {
    match take.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

#[test]
fn those_who_wait_are_served_in_the_order_they_came() {
    let places = Places::new(1, 10);
    places.try_take(1).expect("it is free");
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(places.take(1))).collect();
    assert!(waiting.iter_mut().all(|take| poll(take).is_none()));
    for first in 0..3 {
        places.give_back(1);
        for (who, take) in waiting.iter_mut().enumerate().skip(first + 1) {
            assert_eq!(poll(take), None, "{who} was served before {first}");
        }
        assert_eq!(poll(&mut waiting[first]), Some(Ok(())));
    }
}

#[test]
fn a_small_request_does_not_overtake_a_large_one() {
    let places = Places::new(3, 10);
    places.try_take(2).expect("they are free");
    let mut large = Box::pin(places.take(3));
    let mut small = Box::pin(places.take(1));
    assert_eq!((poll(&mut large), poll(&mut small)), (None, None));
    assert_eq!(places.try_take(1), Err(NoPlace::Full), "one is free, but two wait");

    places.give_back(2);
    assert_eq!((poll(&mut small), poll(&mut large)), (None, Some(Ok(()))));
    places.give_back(3);
    assert_eq!(poll(&mut small), Some(Ok(())));
}

#[test]
fn a_large_request_that_goes_away_lets_the_small_one_behind_it_pass() {
    let places = Places::new(3, 10);
    places.try_take(2).expect("they are free");
    let mut large = Box::pin(places.take(3));
    let mut small = Box::pin(places.take(1));
    assert_eq!((poll(&mut large), poll(&mut small)), (None, None));
    drop(large);
    assert_eq!(poll(&mut small), Some(Ok(())));
}

#[test]
fn a_place_given_to_a_future_that_is_dropped_goes_to_the_next() {
    let places = Places::new(1, 10);
    places.try_take(1).expect("it is free");
    let (mut first, mut second) = (Box::pin(places.take(1)), Box::pin(places.take(1)));
    assert_eq!((poll(&mut first), poll(&mut second)), (None, None));
    places.give_back(1);
    drop(first);
    assert_eq!(poll(&mut second), Some(Ok(())));
}

#[test]
fn when_the_last_has_gone_the_places_are_open_to_all() {
    let places = Places::new(1, 10);
    places.try_take(1).expect("it is free");
    let mut gone = Box::pin(places.take(1));
    assert_eq!(poll(&mut gone), None);
    drop(gone);
    places.give_back(1);
    assert_eq!(places.try_take(1), Ok(()));
}

#[test]
fn nobody_waits_beyond_the_bound_of_the_line() {
    let places = Places::new(1, 1);
    places.try_take(1).expect("it is free");
    let (mut first, mut second) = (Box::pin(places.take(1)), Box::pin(places.take(1)));
    assert_eq!((poll(&mut first), poll(&mut second)), (None, Some(Err(NoPlace::LineFull))));
    assert_eq!(places.waiting(), 1);
    drop(first);
    assert_eq!(places.waiting(), 0);

    let none_waits = Places::new(1, 0);
    let mut taken = Box::pin(none_waits.take(1));
    assert_eq!(poll(&mut taken), Some(Ok(())));
    assert_eq!(poll(&mut Box::pin(none_waits.take(1))), Some(Err(NoPlace::LineFull)));
}

#[test]
fn more_places_go_to_the_line_first() {
    let places = Places::new(1, 10);
    places.try_take(1).expect("it is free");
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(places.take(1))).collect();
    assert!(waiting.iter_mut().all(|take| poll(take).is_none()));
    places.resize(3);
    let served: Vec<_> = waiting.iter_mut().map(poll).collect();
    assert_eq!(served, [Some(Ok(())), Some(Ok(())), None]);
    assert_eq!((places.used(), places.limit(), places.waiting()), (3, 3, 1));
}

#[test]
fn fewer_places_take_none_away_and_refuse_what_can_no_longer_fit() {
    let places = Places::new(4, 10);
    places.try_take(4).expect("they are free");
    let mut large = Box::pin(places.take(3));
    let mut small = Box::pin(places.take(2));
    assert_eq!((poll(&mut large), poll(&mut small)), (None, None));
    places.resize(2);
    assert_eq!(poll(&mut large), Some(Err(NoPlace::TooLarge)));
    assert_eq!(places.used(), 4);
    places.give_back(2);
    assert_eq!(poll(&mut small), None, "two of two are still taken");
    places.give_back(2);
    assert_eq!(poll(&mut small), Some(Ok(())));
    assert_eq!(places.try_take(3), Err(NoPlace::TooLarge));
}

#[test]
fn one_who_is_refused_holds_up_nobody_behind() {
    let places = Places::new(4, 10);
    places.try_take(2).expect("they are free");
    let mut large = Box::pin(places.take(3));
    let mut small = Box::pin(places.take(1));
    assert_eq!((poll(&mut large), poll(&mut small)), (None, None));
    places.resize(2);
    places.give_back(1);
    assert_eq!(poll(&mut small), Some(Ok(())), "the large one has not even looked");
    assert_eq!(poll(&mut large), Some(Err(NoPlace::TooLarge)));
}

#[test]
fn no_places_and_very_many_are_both_legal() {
    let none = Places::new(0, 10);
    assert_eq!(none.try_take(1), Err(NoPlace::TooLarge));
    assert_eq!(poll(&mut Box::pin(none.take(1))), Some(Err(NoPlace::TooLarge)));
    assert_eq!(none.try_take(0), Ok(()));

    let many = Places::new(u32::MAX, 10);
    assert_eq!(many.limit(), Places::MAX);
    assert_eq!(many.try_take(Places::MAX), Ok(()));
    assert_eq!(many.try_take(1), Err(NoPlace::Full));
    assert_eq!(many.try_take(u32::MAX), Err(NoPlace::TooLarge));
    many.give_back(Places::MAX);
    assert_eq!(many.used(), 0);
}

/// Counts how often it is woken.
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_waker_of_the_latest_poll_is_the_one_that_is_woken() {
    let places = Places::new(1, 10);
    places.try_take(1).expect("it is free");
    let bells = [(); 2].map(|()| Arc::new(Bell(AtomicU32::new(0))));
    let mut take = Box::pin(places.take(1));
    for bell in &bells {
        let waker = Waker::from(Arc::clone(bell));
        assert!(take.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    places.give_back(1);
    assert_eq!(bells.map(|bell| bell.0.load(Ordering::Relaxed)), [0, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_never_hold_more_than_there_are_and_all_get_through() {
    let places = Arc::new(Places::new(3, 1_000));
    let inside = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..64_u32 {
        let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
        tasks.spawn(async move {
            for round in 0..50 {
                let n = 1 + (task + round) % 3;
                if (task + round) % 7 == 0 {
                    // Joins the line and leaves it again.
                    let mut given_up = Box::pin(places.take(n));
                    let taken = poll_fn(|cx| Poll::Ready(given_up.as_mut().poll(cx))).await;
                    if taken == Poll::Ready(Ok(())) {
                        places.give_back(n);
                    }
                    continue;
                }
                places.take(n).await.expect("the line is long enough");
                let before = inside.fetch_add(n, Ordering::Relaxed);
                assert!(before + n <= 3, "{} of 3 places were taken", before + n);
                tokio::task::yield_now().await;
                inside.fetch_sub(n, Ordering::Relaxed);
                places.give_back(n);
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no task panics");
    }
    assert_eq!((places.used(), places.waiting()), (0, 0));
}

/// Wakers are others' code: whatever one does as it is woken or dropped, the lock
/// of the line is free.
#[test]
fn a_waker_may_do_with_the_places_what_it_likes() {
    struct Busybody(Arc<Places>);
    impl Busybody {
        fn meddle(&self) {
            if self.0.try_take(1).is_ok() {
                self.0.give_back(1);
            }
            self.0.resize(self.0.limit());
            let mut take = Box::pin(self.0.take(1));
            if poll(&mut take) == Some(Ok(())) {
                self.0.give_back(1);
            }
            assert!(self.0.waiting() <= 10);
        }
    }
    impl Wake for Busybody {
        fn wake(self: Arc<Self>) {
            self.meddle();
        }
    }
    impl Drop for Busybody {
        fn drop(&mut self) {
            self.meddle();
        }
    }
    let places = Arc::new(Places::new(1, 10));
    places.try_take(1).expect("it is free");
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(places.take(1))).collect();
    for take in &mut waiting {
        // Each poll replaces the waker of the one before, and drops it.
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Busybody(Arc::clone(&places))));
            assert_eq!(take.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Pending);
        }
    }
    drop(waiting.pop());
    places.resize(2);
    places.give_back(1);
    for mut take in waiting {
        assert_eq!(poll(&mut take), Some(Ok(())));
        places.give_back(1);
    }
    assert_eq!((places.used(), places.waiting()), (0, 0));
}
