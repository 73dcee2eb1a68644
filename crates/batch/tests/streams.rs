//! Groups of streams: when they come, why, and that nothing is lost.

use futures::{StreamExt, poll, stream};
use plimsoll_batch::{BatchStreamExt, Emitted, Group};
use proptest::prelude::*;
use std::{task::Poll, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, advance, sleep},
};

const MS: Duration = Duration::from_millis(1);

fn shape<T>(group: Group<T>) -> (Vec<T>, Emitted) {
    let why = group.why();
    (group.into_vec(), why)
}

/// The receiving end as a stream.
fn items<T>(rx: mpsc::Receiver<T>) -> impl futures::Stream<Item = T> {
    stream::unfold(rx, |mut rx| async { rx.recv().await.map(|item| (item, rx)) })
}

#[tokio::test(start_paused = true)]
async fn groups_are_full_and_the_last_partial_one_comes() {
    let groups = stream::iter(0..7).batched(3, MS).map(shape).collect::<Vec<_>>().await;
    let full = Emitted::Full;
    assert_eq!(groups, [(vec![0, 1, 2], full), (vec![3, 4, 5], full), (vec![6], Emitted::Ended),]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_stream_has_no_groups_and_a_whole_number_of_groups_has_no_empty_one() {
    assert_eq!(stream::iter(0..0).batched(3, MS).count().await, 0);
    assert_eq!(stream::iter(0..6).batched(3, MS).count().await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_as_old_as_its_first_item_may_be_and_not_a_tick_less() {
    let (tx, rx) = mpsc::channel(10);
    let mut groups = Box::pin(items(rx)).batched(10, 10 * MS);
    assert!(poll!(groups.next()).is_pending());
    advance(50 * MS).await; // nothing waits: no time runs
    tx.send(1).await.expect("open");
    assert!(poll!(groups.next()).is_pending());
    advance(6 * MS).await;
    tx.send(2).await.expect("open");
    assert!(poll!(groups.next()).is_pending());
    advance(3 * MS).await;
    assert!(poll!(groups.next()).is_pending());
    advance(MS).await;
    let Poll::Ready(Some(group)) = poll!(groups.next()) else { panic!("10 ms have passed") };
    assert_eq!(shape(group), (vec![1, 2], Emitted::Waited));

    // The next one has a time of its own.
    tx.send(3).await.expect("open");
    let start = Instant::now();
    assert_eq!(groups.next().await.map(shape), Some((vec![3], Emitted::Waited)));
    assert_eq!(start.elapsed(), 10 * MS);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_stream_does_not_wait_for_the_timer() {
    let (tx, rx) = mpsc::channel(10);
    let mut groups = items(rx).batched(10, 1000 * MS);
    tx.send(1).await.expect("open");
    assert!(poll!(groups.next()).is_pending());
    let start = Instant::now();
    drop(tx);
    assert_eq!(groups.next().await.map(shape), Some((vec![1], Emitted::Ended)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(groups.next().await.is_none());
    assert!(groups.next().await.is_none(), "and it stays ended");
}

#[tokio::test(start_paused = true)]
async fn no_linger_yields_what_is_ready() {
    let (tx, rx) = mpsc::channel(10);
    let mut groups = items(rx).batched(10, Duration::ZERO);
    for n in 0..3 {
        tx.send(n).await.expect("open");
    }
    assert_eq!(groups.next().await.map(shape), Some((vec![0, 1, 2], Emitted::Waited)));
}

#[tokio::test(start_paused = true)]
async fn a_next_given_up_loses_nothing() {
    let (tx, rx) = mpsc::channel(10);
    let mut groups = items(rx).batched(3, 1000 * MS);
    for n in 0..3 {
        tx.send(n).await.expect("open");
        tokio::select! {
            biased;
            group = groups.next() => assert_eq!(group.map(Group::into_vec), Some(vec![0, 1, 2])),
            () = sleep(MS) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_adapter_given_up_gives_its_items_back() {
    let (tx, rx) = mpsc::channel(10);
    let mut groups = items(rx).batched(3, 1000 * MS);
    tx.send(1).await.expect("open");
    assert!(poll!(groups.next()).is_pending());
    let (rest, held) = groups.into_parts();
    assert_eq!(held, [1]);
    tx.send(2).await.expect("open");
    assert_eq!(rest.expect("it has not ended").next().await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_after_the_items_before_it_and_ends_nothing() {
    let rows = [Err("a"), Ok(1), Ok(2), Ok(3), Err("b"), Err("c"), Ok(4), Err("d"), Ok(5)];
    let groups = stream::iter(rows).try_batched(2, MS).map(|group| group.map(shape));
    assert_eq!(
        groups.collect::<Vec<_>>().await,
        [
            Err("a"),
            Ok((vec![1, 2], Emitted::Full)),
            Ok((vec![3], Emitted::Failed)),
            Err("b"),
            Err("c"),
            Ok((vec![4], Emitted::Failed)),
            Err("d"),
            Ok((vec![5], Emitted::Ended)),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_that_was_not_yielded_is_given_back() {
    let mut groups = stream::iter([Ok(1), Err("a"), Ok(2)]).try_batched(9, MS);
    assert!(groups.next().await.is_some_and(|group| group.is_ok()));
    let (rest, held, error) = groups.into_parts();
    assert_eq!((held, error), (vec![], Some("a")));
    assert_eq!(rest.expect("it has not ended").next().await, Some(Ok(2)));
}

#[test]
#[should_panic(expected = "size must be at least 1, but is 0")]
fn groups_of_nothing_are_refused_where_they_are_written() {
    let _ = stream::iter([1]).batched(0, MS);
}

#[test]
fn groups_of_nothing_from_configuration_are_an_error() {
    assert!(stream::iter([1]).checked_batched(0, MS).is_err());
    assert!(stream::iter([Ok::<_, ()>(1)]).checked_try_batched(0, MS).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// 256 cases.
    #[test]
    fn every_item_comes_once_in_order_and_never_later_than_it_may(
        pauses in prop::collection::vec(0..5u32, 0..80),
        size in 1..9usize,
        linger in 0..12u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let count = pauses.len();
            let source = stream::iter(pauses).enumerate().then(|(n, pause)| async move {
                if pause > 0 {
                    sleep(pause * MS).await;
                }
                (n, Instant::now())
            });
            let mut groups = source.batched(size, linger * MS);
            let mut next = 0;
            while let Some(group) = groups.next().await {
                assert!((1..=size).contains(&group.len()));
                let age = group[0].1.elapsed();
                assert!(age <= linger * MS, "{age:?}");
                match group.why() {
                    Emitted::Full => assert_eq!(group.len(), size),
                    Emitted::Waited => assert_eq!(age, linger * MS),
                    why => assert_eq!((why, next + group.len()), (Emitted::Ended, count)),
                }
                for (n, _) in group {
                    assert_eq!(n, next);
                    next += 1;
                }
            }
            assert_eq!(next, count);
        });
    }
}
