//! What `fan_in` promises.

mod support;

use futures::{FutureExt, Stream, StreamExt, channel::mpsc, future, stream};
use plimsoll_core::Priority;
use plimsoll_fanout::{checked_fan_in_by_priority, fan_in, fan_in_by_priority};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
};
use support::{Count, MS};
use tokio::time::sleep;

type Boxed<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

fn endless(n: usize) -> Boxed<usize> {
    Box::pin(stream::repeat(n))
}

#[test]
fn of_many_that_always_have_something_each_gets_its_share() {
    // Chained pairwise merges would give the last of these half of all turns.
    let items = fan_in((0..10).map(endless)).take(1_000).collect::<Vec<_>>();
    let items = items.now_or_never().unwrap();
    for round in items.chunks(10) {
        assert!(round.iter().copied().eq(0..10));
    }
}

#[test]
fn one_that_wakes_up_is_served_within_a_round() {
    let (tx, late) = mpsc::unbounded();
    let sources = [endless(0), endless(1), Box::pin(late)];
    let mut merged = fan_in(sources);
    let next = &mut || merged.next().now_or_never().flatten().unwrap();
    assert_eq!([next(), next(), next()], [0, 1, 0]);
    tx.unbounded_send(2).unwrap();
    assert!([next(), next(), next()].contains(&2));
}

#[tokio::test]
async fn only_streams_that_were_woken_are_polled() {
    let polls = Count::default();
    let quiet = (0..100).map(|_| {
        let polls = polls.clone();
        let poll = stream::poll_fn(move |_| {
            polls.up();
            std::task::Poll::<Option<u8>>::Pending
        });
        Box::pin(poll) as Boxed<u8>
    });
    let (tx, rx) = mpsc::unbounded();
    let mut merged = fan_in(quiet.chain([Box::pin(rx) as Boxed<u8>]));
    for n in 0..50 {
        tx.unbounded_send(n).unwrap();
        assert_eq!(merged.next().await, Some(n));
    }
    assert_eq!(polls.get(), 100, "once each, at the start");
}

#[tokio::test]
async fn a_stream_that_wakes_itself_stops_neither_others_nor_the_task() {
    let restless = stream::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        std::task::Poll::<Option<u8>>::Pending
    });
    let mut merged = fan_in([Box::pin(restless) as Boxed<u8>]);
    let other = tokio::spawn(async { 7 });
    let winner = future::select(merged.next(), other).await;
    assert!(matches!(winner, future::Either::Right((Ok(7), _))));
}

#[test]
fn no_streams_end_at_once_and_so_does_what_has_ended() {
    let mut merged = fan_in::<[stream::Empty<u8>; 0]>([]);
    assert_eq!(merged.next().now_or_never(), Some(None));
    let mut merged = fan_in([stream::empty::<u8>(), stream::empty()]);
    assert_eq!(merged.next().now_or_never(), Some(None));
    assert_eq!(merged.next().now_or_never(), Some(None));
}

#[tokio::test(start_paused = true)]
async fn sources_come_and_go_while_it_runs_and_say_which_they_are() {
    let mut merged = fan_in([endless(0)]).with_source();
    let handle = merged.handle();
    assert_eq!(merged.next().await.map(|(id, n)| (id.number(), n)), Some((0, 0)));
    let added = handle.add(endless(1)).unwrap();
    let two: Vec<_> = merged.by_ref().take(4).collect().await;
    assert_eq!(two.iter().filter(|(id, n)| (*id, *n) == (added, 1)).count(), 2);
    let (first, _) = two.into_iter().find(|(id, _)| *id != added).unwrap();
    handle.remove(first);
    handle.remove(first); // once is enough, twice no error
    assert!(merged.by_ref().take(10).all(|(id, _)| future::ready(id == added)).await);
    handle.remove(added);
    let ends = tokio::spawn(async move { merged.next().await });
    sleep(MS).await;
    assert!(!ends.is_finished(), "a handle may add more");
    drop(handle);
    assert_eq!(ends.await.unwrap(), None);
}

#[tokio::test]
async fn a_source_for_a_stream_that_is_gone_comes_back() {
    let merged = fan_in([endless(0)]);
    let handle = merged.handle().clone();
    drop(merged);
    let mut back = handle.add(endless(3)).unwrap_err().0;
    assert_eq!(back.next().await, Some(3));
}

#[test]
fn a_removed_source_is_dropped_at_the_next_poll() {
    let alive = Arc::new(());
    let source = {
        let alive = Arc::clone(&alive);
        Box::pin(stream::repeat_with(move || Arc::strong_count(&alive))) as Boxed<usize>
    };
    let mut merged = fan_in([source, endless(9)]).with_source();
    let (id, _) = merged.next().now_or_never().flatten().unwrap();
    merged.handle().remove(id);
    assert_eq!(Arc::strong_count(&alive), 2);
    assert!(merged.next().now_or_never().is_some());
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn a_low_priority_waits_for_so_many_items_and_no_more() {
    let sources = [(Priority::LOWEST, endless(0)), (Priority::HIGHEST, endless(10))];
    let items = fan_in_by_priority(4, sources).take(20).collect::<Vec<_>>();
    let items = items.now_or_never().unwrap();
    assert!(items.chunks(5).all(|round| round == [10, 10, 10, 10, 0]), "{items:?}");
}

#[test]
fn a_higher_priority_that_wakes_up_is_next() {
    let (tx, urgent) = mpsc::unbounded();
    let sources = [(Priority::NORMAL, endless(5)), (Priority::HIGHEST, Box::pin(urgent))];
    let mut merged = fan_in_by_priority(100, sources);
    let next = &mut || merged.next().now_or_never().flatten().unwrap();
    assert_eq!([next(), next()], [5, 5]);
    tx.unbounded_send(9).unwrap();
    assert_eq!([next(), next()], [9, 5]);
}

#[test]
#[should_panic(expected = "age must be at least 1, but is 0")]
fn no_age_is_nonsense() {
    drop(fan_in_by_priority(0, [(Priority::NORMAL, endless(0))]));
}

#[test]
fn nonsense_from_configuration_is_an_error() {
    let error = checked_fan_in_by_priority(0, [(Priority::NORMAL, endless(0))]).unwrap_err();
    assert_eq!(error.field(), "age");
}

#[test]
fn a_source_that_panics_is_gone_and_the_others_go_on() {
    let bad = Box::pin(stream::poll_fn(|_| panic!("a bad source"))) as Boxed<usize>;
    let mut merged = fan_in([endless(1), bad, endless(2)]);
    let mut next = || catch_unwind(AssertUnwindSafe(|| merged.next().now_or_never().flatten()));
    assert_eq!(next().unwrap(), Some(1));
    support::quietly(|| assert!(next().is_err()));
    assert_eq!((next().unwrap(), next().unwrap()), (Some(2), Some(1)));
}
