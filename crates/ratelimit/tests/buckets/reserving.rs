use super::{
    MILLI, SECOND,
    waiting::{empty, passes_at, settle},
};
use plimsoll_core::{Load, TokioClock};
use plimsoll_ratelimit::TokenBucket;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn reservations_nobody_looks_at_get_their_tokens_when_they_were_told() {
    let bucket = empty();
    let places = [(); 3].map(|()| bucket.reserve().unwrap());
    sleep(MILLI * 200).await;
    let delays = places.each_ref().map(|place| place.delay());
    assert_eq!(delays, [Duration::ZERO, Duration::ZERO, MILLI * 100]);
    sleep(SECOND * 10).await;
    drop(bucket.reserve().unwrap());
    assert_eq!(bucket.available(), 1, "what came in since is kept up to the burst");
}

#[tokio::test(start_paused = true)]
async fn a_reservation_stands_in_the_line_of_those_who_wait() {
    let bucket = empty();
    let first = passes_at(&bucket, 1);
    settle().await;
    let place = bucket.reserve().unwrap();
    let last = passes_at(&bucket, 1);
    settle().await;
    assert_eq!(place.delay(), MILLI * 200);
    first.await.unwrap();
    assert_eq!(place.delay(), MILLI * 100);
    place.ready().await;
    assert_eq!(last.await.unwrap(), MILLI * 300);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_is_cancelled_moves_those_behind_it_up() {
    let bucket = Arc::new(TokenBucket::per_second(10).burst(5).clock(TokioClock));
    bucket.try_acquire_many(5).unwrap();
    let place = bucket.reserve_many(5).unwrap();
    assert_eq!(place.delay(), MILLI * 500);
    let behind = passes_at(&bucket, 1);
    sleep(MILLI * 50).await;
    place.cancel();
    assert_eq!(behind.await.unwrap(), MILLI * 100);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_nobody_awaits_holds_nobody_up_and_keeps_its_tokens() {
    let bucket = empty();
    let place = bucket.reserve().unwrap();
    let behind = passes_at(&bucket, 1);
    assert_eq!(behind.await.unwrap(), MILLI * 200);
    assert_eq!(place.delay(), Duration::ZERO);
    let start = Instant::now();
    place.ready().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(bucket.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reservation_cancelled_with_its_tokens_gives_them_back() {
    let bucket = empty();
    let place = bucket.reserve().unwrap();
    sleep(MILLI * 100).await;
    assert_eq!(place.delay(), Duration::ZERO);
    place.cancel();
    assert!(bucket.try_acquire().is_ok());

    let at_once = TokenBucket::per_second(10).burst(1).clock(TokioClock);
    drop(at_once.reserve().unwrap());
    at_once.reserve().unwrap().ready().await;
    assert!(at_once.try_acquire().is_err());
}

#[tokio::test(start_paused = true)]
async fn whoever_awaits_an_overdue_reservation_puts_no_other_off() {
    let bucket = empty();
    let [first, second, third] = [(); 3].map(|()| bucket.reserve().unwrap());
    sleep(SECOND * 10).await;
    first.ready().await;
    assert_eq!((second.delay(), third.delay()), (Duration::ZERO, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_of_the_bucket_counts_those_served_who_are_due() {
    let bucket = empty();
    let place = bucket.reserve().unwrap();
    assert_eq!((bucket.available(), bucket.load()), (0, 1));
    sleep(SECOND).await;
    assert_eq!((bucket.available(), bucket.load()), (1, 0));
    place.ready().await;
}
