//! What becomes of items that fail.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use futures::{StreamExt, stream};
use plimsoll_channel::bounded;
use plimsoll_pipeline::{
    CancellationToken, Cause, DeadLetter, Failure, Pipeline, Returned, RunError, dead_letter,
    dead_letter_returned, skip,
};
use std::{
    convert::Infallible,
    error::Error,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::{Instant, sleep};

type Good<T> = Result<T, Infallible>;

#[derive(Clone, Debug, PartialEq)]
struct Odd(u32);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is odd", self.0)
    }
}

impl Error for Odd {}

fn even(n: u32) -> Result<u32, Odd> {
    if n % 2 == 0 { Ok(n) } else { Err(Odd(n)) }
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn token() -> CancellationToken {
    CancellationToken::new()
}

#[tokio::test]
async fn the_first_error_ends_the_run_and_is_named() {
    let pipeline = Pipeline::from_iter((0..10).chain([11]).chain(12..1_000_000))
        .stage_sync("halve", |n: u32| even(n * 2 % 22).map(|_| n))
        .stage_sync("check", |n: u32| if n == 11 { Err(Odd(11)) } else { Ok(n) })
        .sink_sync("write", |_| Good::Ok(()));
    let error = pipeline.run(token()).await.unwrap_err();
    assert_eq!(error.to_string(), "stage `check` failed");
    assert_eq!(error.source().unwrap().to_string(), "11 is odd");
    assert_eq!(error.downcast_ref::<Odd>(), Some(&Odd(11)));
    let report = error.report();
    assert_eq!((report.written, report.failed), (10, 1), "what passed before it is written");
    assert_eq!(report.read, report.written + report.failed + report.dropped);
    assert!(report.read < 1_000_000, "the source was told");
}

#[tokio::test]
async fn skipped_errors_are_counted_and_sampled() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let report = Pipeline::from_iter(0..100)
        .stage_sync("even", even)
        .on_error(skip().sampled(20, move |failure: &Failure<(), Odd>| {
            tell.lock().unwrap().push((failure.stage.to_string(), failure.error.0));
        }))
        .sink_sync("write", |_| Good::Ok(()))
        .run(token())
        .await
        .unwrap();
    assert_eq!((report.written, report.skipped), (50, 50));
    assert_eq!(report.stage("even").unwrap().skipped, 50);
    let even = "even".to_owned();
    assert_eq!(*told.lock().unwrap(), [(even.clone(), 1), (even.clone(), 41), (even, 81)]);
}

#[tokio::test]
async fn a_dead_letter_has_the_item_its_stage_its_error_and_its_attempts() {
    let (tx, mut letters) = bounded(100);
    let report = Pipeline::from_iter(0..4)
        .stage_sync("even", even)
        .retry(|attempt, _: &Odd| (attempt < 3).then_some(Duration::ZERO))
        .on_error(dead_letter(tx))
        .sink_sync("write", |_| Good::Ok(()))
        .run(token())
        .await
        .unwrap();
    assert_eq!((report.written, report.dead_lettered, report.stages[1].retries), (2, 2, 4));
    let DeadLetter { item, stage, error, attempts, .. } = letters.recv().await.unwrap();
    assert_eq!((item, &*stage, error, attempts), (1, "even", Odd(1), 3));
    assert_eq!(letters.recv().await.unwrap().item, 3);
    assert!(letters.recv().await.is_none(), "the pipeline keeps no end of the channel");
}

#[tokio::test]
async fn an_item_that_cannot_be_cloned_comes_back_with_its_error() {
    struct Unique(u32);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let report = Pipeline::from_iter((0..4).map(Unique))
        .stage_sync("even", |item: Unique| match even(item.0) {
            Ok(n) => Ok(n),
            Err(error) => Err(Returned { item, error }),
        })
        .on_error(dead_letter_returned(move |letter: DeadLetter<Unique, Odd>| {
            keep.lock().unwrap().push((letter.item.0, letter.error));
            async { Good::Ok(()) }
        }))
        .sink_sync("write", |_| Good::Ok(()))
        .run(token())
        .await
        .unwrap();
    assert_eq!((report.written, report.dead_lettered), (2, 2));
    assert_eq!(*kept.lock().unwrap(), [(1, Odd(1)), (3, Odd(3))]);
}

#[tokio::test]
async fn a_dead_letter_that_nobody_takes_stops_the_run_and_is_not_lost_silently() {
    let (tx, letters) = bounded::<DeadLetter<u32, Odd>>(1);
    drop(letters);
    let error = Pipeline::from_iter([1])
        .stage_sync("even", even)
        .on_error(dead_letter(tx))
        .sink_sync("write", |_| Good::Ok(()))
        .run(token())
        .await
        .unwrap_err();
    let why = "nobody takes the dead letters of stage `even`: their channel is closed";
    assert_eq!(error.source().unwrap().to_string(), why);
    assert_eq!((error.report().failed, error.report().dead_lettered), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn dead_letters_wait_for_room_and_hold_up_no_other_worker() {
    let (tx, mut letters) = bounded(1);
    let mut results = Pipeline::from_iter([1, 3, 2, 4])
        .stage("even", |n: u32| async move { even(n) })
        .on_error(dead_letter(tx))
        .workers(3)
        .unordered()
        .into_stream();
    assert_eq!(results.next().await.unwrap().unwrap(), 2);
    assert_eq!(results.next().await.unwrap().unwrap(), 4);
    assert_eq!(letters.recv().await.unwrap().item, 1);
    assert_eq!(letters.recv().await.unwrap().item, 3);
    assert!(results.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn retries_wait_as_long_as_the_policy_says_and_others_go_on_meanwhile() {
    let start = Instant::now();
    let mut results = Pipeline::from_iter(0..3)
        .stage("send", move |n: u64| async move {
            let is_up = start.elapsed() >= ms(70);
            if n > 0 || is_up { Ok(n) } else { Err("down") }
        })
        .retry(|attempt, _: &&str| (attempt < 10).then(|| ms(10) * 2_u32.pow(attempt - 1)))
        .workers(2)
        .unordered()
        .into_stream();
    let mut order = Vec::new();
    while let Some(result) = results.next().await {
        order.push((result.unwrap(), start.elapsed()));
    }
    assert_eq!(order, [(1, ms(0)), (2, ms(0)), (0, ms(70))]);
}

#[tokio::test]
async fn a_panic_is_an_error_that_names_the_stage() {
    for workers in [1, 3] {
        let error = Pipeline::from_iter(0..100_000)
            .stage_sync("risky", |n: u32| if n == 70 { panic!("no {n}") } else { Good::Ok(n) })
            .workers(workers)
            .sink_sync("write", |_| Good::Ok(()))
            .run(token())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "stage `risky` panicked: no 70");
        let report = error.report();
        assert_eq!(report.failed, 1);
        assert_eq!(report.read, report.written + report.failed + report.dropped);
    }
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_is_caught_too() {
    async fn never() -> Good<()> {
        Ok(())
    }
    let error = Pipeline::from_iter(0..10)
        .sink("risky", |n: u32| {
            assert!(n < 5, "too large");
            never()
        })
        .run(token())
        .await
        .unwrap_err();
    assert!(matches!(error.cause(), Cause::Panicked { message, .. } if &**message == "too large"));
    assert_eq!((error.report().written, error.report().failed), (5, 1));
}

#[tokio::test]
async fn panics_of_sources_keys_policies_and_blocking_work_end_the_run() {
    let stage = |error: RunError| match error.into_cause() {
        Cause::Panicked { stage, .. } => stage.to_string(),
        other => panic!("{other:?}"),
    };
    let source = Pipeline::from_iter((0..10).inspect(|n| assert!(*n < 5)).map(drop));
    assert_eq!(stage(source.run(token()).await.unwrap_err()), "source");

    let key =
        Pipeline::from_iter(0..10).split(2, |n| assert!(*n < 5)).sink_sync("end", |_| Good::Ok(()));
    let error = key.run(token()).await.unwrap_err();
    assert_eq!(error.report().failed, 1);
    assert_eq!(stage(error), "split");

    let policy =
        Pipeline::from_iter([1]).stage_sync("even", even).retry(|_, _| panic!("no policy"));
    let policy = policy.sink_sync("end", |_| Good::Ok(()));
    assert_eq!(stage(policy.run(token()).await.unwrap_err()), "even");

    let blocking = Pipeline::from_iter(0..10).blocking("read", |n| {
        assert!(n < 5);
        Good::Ok(())
    });
    assert_eq!(stage(blocking.run(token()).await.unwrap_err()), "read");
}

#[tokio::test(start_paused = true)]
async fn an_error_does_not_wait_for_a_stage_before_it_that_never_returns() {
    let error = Pipeline::from_iter(0..10)
        .stage("hang", |n: u32| async move {
            if n == 3 { std::future::pending().await } else { Good::Ok(n) }
        })
        .sink_sync("write", |n| if n == 2 { Err(Odd(2)) } else { Ok(()) })
        .run(token())
        .await
        .unwrap_err();
    assert_eq!((error.report().written, error.report().failed), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn other_workers_finish_what_they_have_when_one_fails() {
    let error = Pipeline::from_iter(0..10_u64)
        .sink("write", |n: u64| async move {
            sleep(ms(10 * (n + 1))).await;
            if n == 0 { Err("disk full") } else { Ok(()) }
        })
        .workers(3)
        .run(token())
        .await
        .unwrap_err();
    assert_eq!((error.report().failed, error.report().written), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_the_order_holds_nobody_up() {
    // The first fails late, when the others wait for it with their results.
    let error = Pipeline::from_iter(0..100_u64)
        .stage("work", |n: u64| async move {
            sleep(if n == 0 { ms(50) } else { ms(1) }).await;
            if n == 0 { Err("broken") } else { Ok(n) }
        })
        .workers(4)
        .reorder(2)
        .sink_sync("write", |_| Good::Ok(()))
        .run(token())
        .await
        .unwrap_err();
    let report = error.report();
    assert_eq!((report.written, report.failed), (0, 1));
    assert_eq!(report.dropped, report.read - 1);
}

#[tokio::test]
async fn a_stream_gives_what_passed_and_then_the_error() {
    let mut results =
        Pipeline::from_stream(stream::iter([0, 2, 1, 4])).stage_sync("even", even).into_stream();
    assert_eq!(results.next().await.unwrap().unwrap(), 0);
    assert_eq!(results.next().await.unwrap().unwrap(), 2);
    let error = results.next().await.unwrap().unwrap_err();
    assert_eq!(error.downcast_ref::<Odd>(), Some(&Odd(1)));
    assert!(results.next().await.is_none());
    assert!(results.next().await.is_none());
}

#[tokio::test]
async fn a_family_fares_as_its_worst_child() {
    let run = |policy: bool| async move {
        let (tx, letters) = bounded(100);
        let children = Pipeline::from_iter([vec![0, 2], vec![0, 1], vec![3, 3], vec![]])
            .flat_map("split", Good::Ok)
            .stage_sync("even", even);
        let end = |_| Good::Ok(());
        let report = if policy {
            children.on_error(skip()).sink_sync("end", end).run(token()).await
        } else {
            children.on_error(dead_letter(tx)).sink_sync("end", end).run(token()).await
        };
        drop(letters);
        report.unwrap()
    };
    let skipped = run(true).await;
    assert_eq!((skipped.read, skipped.written, skipped.skipped, skipped.filtered), (4, 1, 2, 1));
    let dead = run(false).await;
    assert_eq!((dead.written, dead.dead_lettered, dead.filtered), (1, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_while_what_went_well_before_it_waits_for_room() {
    // The sink hangs: what is before the error in its chunk finds no room.
    let error = Pipeline::from_iter(0..100)
        .stage_sync("check", |n| if n == 10 { Err("bad") } else { Ok(n) })
        .buffer(8)
        .sink("hang", |_| std::future::pending::<Good<()>>())
        .drain_within(ms(100))
        .run(token())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "stage `check` failed");
    let report = error.report();
    assert_eq!((report.failed, report.dropped), (1, report.read - 1));
}

#[tokio::test]
async fn an_iterator_that_panics_while_it_is_pulled_fails_its_item() {
    let late = (0..10).map(|n| (0..3).inspect(move |m| assert!((n, *m) != (5, 2), "no more")));
    let error = Pipeline::from_iter(late)
        .flat_map("many", Good::Ok)
        .sink_sync("end", |_| Good::Ok(()))
        .run(token())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "stage `many` panicked: no more");
    assert_eq!((error.report().failed, error.report().stages[1].failed), (1, 1));

    struct Never;
    impl IntoIterator for Never {
        type Item = ();
        type IntoIter = std::iter::Empty<()>;
        fn into_iter(self) -> Self::IntoIter {
            panic!("never")
        }
    }
    let error =
        Pipeline::from_iter([Never]).flat_map("many", Good::Ok).run(token()).await.unwrap_err();
    assert_eq!((error.report().failed, error.report().stages[1].failed), (1, 1));
}

#[tokio::test]
async fn what_a_source_gave_before_it_panicked_is_accounted_for() {
    let error = Pipeline::from_iter((0..10).inspect(|n| assert!(*n < 5)).map(drop))
        .run(token())
        .await
        .unwrap_err();
    let report = error.report();
    assert_eq!((report.read, report.written + report.dropped), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn pipelines_beside_the_one_that_failed_finish_what_they_have() {
    let fine = || {
        Pipeline::from_iter(0..).buffer(1).stage("slow", |n: u32| async move {
            sleep(ms(10)).await;
            Good::Ok(n)
        })
    };
    let fails = || {
        Pipeline::from_iter([1]).stage("fails", |n: u32| async move {
            sleep(ms(25)).await;
            if n == 1 { Err("broken") } else { Ok(n) }
        })
    };
    let end = |_: u32| Good::Ok(());
    let one = fine().merge_with(fails()).sink_sync("end", end).run(token()).await;
    let other = fails().merge_with(fine()).sink_sync("end", end).run(token()).await;
    for error in [one.unwrap_err(), other.unwrap_err()] {
        let report = error.report();
        assert!(report.written > 3, "{report}");
        assert_eq!((report.failed, report.dropped), (1, 0), "{report}");
    }
}
