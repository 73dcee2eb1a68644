//! Groups bounded by bytes, and groups by key.

use futures::{StreamExt, poll, stream};
use plimsoll_batch::{BatchStreamExt, Emitted, Group};
use proptest::prelude::*;
use std::{collections::BTreeMap, task::Poll, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, advance, sleep},
};

const MS: Duration = Duration::from_millis(1);

fn shape<T>(group: Group<T>) -> (Vec<T>, Emitted) {
    let why = group.why();
    (group.into_vec(), why)
}

fn keyed<K, T>((key, group): (K, Group<T>)) -> (K, Vec<T>, Emitted) {
    let (items, why) = shape(group);
    (key, items, why)
}

fn items<T>(rx: mpsc::Receiver<T>) -> impl futures::Stream<Item = T> {
    stream::unfold(rx, |mut rx| async { rx.recv().await.map(|item| (item, rx)) })
}

/// An item weighs what it is.
fn size(n: &usize) -> usize {
    *n
}

#[tokio::test(start_paused = true)]
async fn a_group_leaves_before_what_is_too_much_and_an_overweight_item_goes_alone() {
    let sizes = [4, 4, 4, 50, 10, 1, 9, usize::MAX, 0, usize::MAX, 0, 0, 0, 2];
    let groups = stream::iter(sizes).batched_by_bytes(3, 10, MS, size).map(shape);
    assert_eq!(
        groups.collect::<Vec<_>>().await,
        [
            (vec![4, 4], Emitted::Heavy),
            (vec![4], Emitted::Heavy),
            (vec![50], Emitted::Heavy),
            (vec![10], Emitted::Heavy),
            (vec![1, 9], Emitted::Heavy),
            (vec![usize::MAX], Emitted::Heavy),
            (vec![0], Emitted::Heavy),
            (vec![usize::MAX], Emitted::Heavy),
            (vec![0, 0, 0], Emitted::Full),
            (vec![2], Emitted::Ended),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_item_that_was_too_much_is_as_old_as_when_it_came() {
    let (tx, rx) = mpsc::channel(10);
    let mut groups = items(rx).batched_by_bytes(9, 10, 10 * MS, size);
    for n in [6, 7] {
        tx.send(n).await.expect("open");
    }
    assert_eq!(groups.next().await.map(shape), Some((vec![6], Emitted::Heavy)));
    advance(4 * MS).await; // the consumer is busy
    let start = Instant::now();
    assert_eq!(groups.next().await.map(shape), Some((vec![7], Emitted::Waited)));
    assert_eq!(start.elapsed(), 6 * MS);
}

#[tokio::test(start_paused = true)]
async fn all_that_is_held_is_given_back_in_order() {
    let mut groups = stream::iter([6, 7, 8]).batched_by_bytes(9, 10, MS, size);
    assert!(groups.next().await.is_some());
    let (rest, held) = groups.into_parts();
    assert_eq!(held, [7]);
    assert_eq!(rest.expect("it has not ended").collect::<Vec<_>>().await, [8]);

    let (tx, rx) = mpsc::channel(10);
    let mut groups = items(rx).batched_by_key(9, MS, |n| n % 2);
    for n in [1, 2, 3] {
        tx.send(n).await.expect("open");
    }
    assert!(poll!(groups.next()).is_pending());
    assert_eq!(groups.into_parts().1, [(1, vec![1, 3]), (0, vec![2])]);
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_timer_of_its_own_from_its_own_first_item() {
    let (tx, rx) = mpsc::channel(10);
    let mut groups = items(rx).batched_by_key(9, 10 * MS, |n| n % 2);
    for n in [1, 2, 3] {
        tx.send(n).await.expect("open");
        assert!(poll!(groups.next()).is_pending());
        advance(3 * MS).await;
    }
    let start = Instant::now();
    assert_eq!(groups.next().await.map(keyed), Some((1, vec![1, 3], Emitted::Waited)));
    assert_eq!(start.elapsed(), MS);
    tx.send(5).await.expect("open");
    assert_eq!(groups.next().await.map(keyed), Some((0, vec![2], Emitted::Waited)));
    assert_eq!(start.elapsed(), 4 * MS);
    assert_eq!(groups.next().await.map(keyed), Some((1, vec![5], Emitted::Waited)));
    assert_eq!(start.elapsed(), 11 * MS);
    drop(tx);
    assert!(groups.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn too_many_keys_make_the_oldest_group_come_early() {
    let groups = stream::iter([1, 2, 1, 3, 2, 4]).batched_by_key(9, MS, |n| *n).max_groups(2);
    assert_eq!(
        groups.map(keyed).collect::<Vec<_>>().await,
        [
            (1, vec![1, 1], Emitted::Crowded),
            (2, vec![2, 2], Emitted::Crowded),
            (3, vec![3], Emitted::Ended),
            (4, vec![4], Emitted::Ended),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_rare_key_is_not_held_up_by_others_that_never_cease() {
    // Ready at once, for ever; time passes while the consumer is busy.
    let rows = stream::iter(0_u32..).map(|n| u32::from(n > 0));
    let mut groups = rows.batched_by_key(2, 10 * MS, |key| *key);
    let mut seen = 0;
    loop {
        let (key, group) = groups.next().await.expect("it is endless");
        if key == 0 {
            assert_eq!(group.why(), Emitted::Waited);
            break;
        }
        seen += 1;
        advance(MS).await;
    }
    assert_eq!(seen, 10);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_emitted_is_forgotten() {
    let mut groups = stream::iter(0..10_000).batched_by_key(1, MS, |n| *n);
    for n in 0..10_000 {
        assert_eq!(groups.next().await.map(keyed), Some((n, vec![n], Emitted::Full)));
        assert_eq!(format!("{groups:?}"), "BatchedByKey { groups: 0, .. }");
    }
}

#[test]
fn a_panicking_key_or_size_loses_its_own_item_only() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let check = |n: &usize| if *n == 13 { panic!("unlucky") } else { 1 };
    // No group's time comes, however long a panic takes to be printed.
    let hour = Duration::from_secs(3600);
    let mut by_bytes = stream::iter([1, 13, 2]).batched_by_bytes(9, 9, hour, check);
    let mut by_key = stream::iter([1, 13, 2]).batched_by_key(9, hour, check);
    runtime.block_on(async {
        let caught = |panic: std::thread::Result<_>| assert!(panic.is_err());
        caught(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            futures::FutureExt::now_or_never(by_bytes.next()).map(drop)
        })));
        caught(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            futures::FutureExt::now_or_never(by_key.next()).map(drop)
        })));
        assert_eq!(by_bytes.next().await.map(shape), Some((vec![1, 2], Emitted::Ended)));
        assert_eq!(by_key.next().await.map(keyed), Some((1, vec![1, 2], Emitted::Ended)));
    });
}

#[test]
fn bounds_of_nothing_are_refused() {
    let numbers = || stream::iter([1]);
    assert!(numbers().checked_batched_by_bytes(0, 1, MS, size).is_err());
    let error = numbers().checked_batched_by_bytes(1, 0, MS, size).expect_err("no bytes");
    assert_eq!(error.to_string(), "bytes must be at least 1, but is 0");
    assert!(numbers().checked_batched_by_key(0, MS, |n| *n).is_err());
    let error = numbers().batched_by_key(1, MS, |n| *n).checked_max_groups(0).expect_err("none");
    assert_eq!(error.to_string(), "max_groups must be at least 1, but is 0");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// 256 cases.
    #[test]
    fn every_item_comes_once_in_the_order_of_its_key_and_never_later_than_it_may(
        rows in prop::collection::vec((0..4u32, 0..6usize), 0..80),
        size in 1..6usize,
        max_groups in 1..8usize,
        linger in 0..12u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let count = rows.len();
            let source = stream::iter(rows).enumerate().then(|(n, (pause, key))| async move {
                if pause > 0 {
                    sleep(pause * MS).await;
                }
                (key, n, Instant::now())
            });
            let groups = source.batched_by_key(size, linger * MS, |row| row.0);
            let mut groups = groups.max_groups(max_groups);
            let mut last = BTreeMap::new();
            let mut seen = 0;
            loop {
                let group = match poll!(groups.next()) {
                    Poll::Ready(group) => group,
                    Poll::Pending => groups.next().await,
                };
                let Some((key, group)) = group else { break };
                assert!((1..=size).contains(&group.len()));
                let age = group[0].2.elapsed();
                assert!(age <= linger * MS, "{age:?}");
                match group.why() {
                    Emitted::Full => assert_eq!(group.len(), size),
                    Emitted::Waited => assert_eq!(age, linger * MS),
                    why => assert!(matches!(why, Emitted::Crowded | Emitted::Ended)),
                }
                for (own, n, _) in group {
                    assert_eq!(own, key);
                    assert!(last.insert(key, n).is_none_or(|before| before < n));
                    seen += 1;
                }
            }
            assert_eq!(seen, count);
        });
    }
}
