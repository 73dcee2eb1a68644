//! What `scatter_gather` promises.

mod support;

use plimsoll_fanout::{Ended, Failure, Report, Verdict, scatter_gather};
use std::{error::Error, fmt, future::pending, sync::mpsc, time::Duration};
use support::{Count, MS};
use tokio::{
    task::yield_now,
    time::{Instant, sleep},
};

#[derive(Clone, Debug, PartialEq)]
struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl Error for Down {}

async fn answers(after: u32) -> Result<u32, Down> {
    sleep(after * MS).await;
    Ok(after)
}

async fn fails(after: u32) -> Result<u32, Down> {
    sleep(after * MS).await;
    Err(Down)
}

async fn hangs() -> Result<u32, Down> {
    pending().await
}

fn ends(report: &Report<u32, Down>) -> Vec<(&str, &Ended<u32, Down>, u128)> {
    let ends = report.branches().iter();
    ends.map(|branch| (branch.name.as_str(), &branch.ended, branch.elapsed.as_millis())).collect()
}

#[tokio::test(start_paused = true)]
async fn all_are_waited_for_and_optional_ones_may_fail() {
    let report = scatter_gather()
        .required("products", answers(3))
        .optional("facets", fails(1))
        .optional("pages", answers(5))
        .run()
        .await;
    assert_eq!(report.verdict(), Verdict::Met);
    let (three, five, failed) = (Ended::Ok(3), Ended::Ok(5), Ended::Failed(Down));
    assert_eq!(
        ends(&report),
        [("products", &three, 3), ("facets", &failed, 1), ("pages", &five, 5)]
    );
    assert_eq!(report.slowest().unwrap().name, "pages");
    assert_eq!(report.answers().collect::<Vec<_>>(), [("products", &3), ("pages", &5)]);
    let mut report = report.met().unwrap();
    assert_eq!(
        (report.take("pages"), report.take("pages"), report.take("facets")),
        (Some(5), None, None)
    );
}

#[tokio::test(start_paused = true)]
async fn a_required_one_that_fails_or_panics_ends_the_others_at_once() {
    let panics = || async {
        sleep(MS).await;
        panic!("a bad branch")
    };
    for with_panic in [false, true] {
        let running = Count::default();
        let guard = running.guard();
        let scatter = scatter_gather().optional("slow", async move {
            let _guard = guard;
            hangs().await
        });
        let scatter = match with_panic {
            false => scatter.required("first", fails(1)),
            true => scatter.required("first", panics()),
        };
        let report = scatter.run().await;
        assert_eq!((report.verdict(), running.get()), (Verdict::OutOfReach, 0));
        assert_eq!(report.get("slow").unwrap().ended, Ended::Cancelled);
        assert_eq!(report.get("slow").unwrap().elapsed, MS);
        let error = report.met().unwrap_err();
        assert_eq!(
            error.to_string(),
            "0 of 2 branches answered, and not those that could be enough"
        );
        let source = error.source().unwrap().to_string();
        assert_eq!(source, if with_panic { "the work panicked: a bad branch" } else { "down" });
    }
}

#[tokio::test(start_paused = true)]
async fn a_quorum_ends_it_and_cuts_the_rest_off() {
    let report = scatter_gather()
        .optional("a", answers(3))
        .optional("b", answers(1))
        .optional("c", hangs())
        .quorum(2)
        .run()
        .await;
    assert_eq!((report.verdict(), report.elapsed()), (Verdict::Met, 3 * MS));
    assert_eq!(
        ends(&report),
        [("a", &Ended::Ok(3), 3), ("b", &Ended::Ok(1), 1), ("c", &Ended::Cancelled, 3)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_quorum_out_of_reach_ends_it_without_waiting_for_the_rest() {
    let branches = || scatter_gather().optional("a", fails(1)).optional("b", hangs());
    let report = branches().quorum(2).run().await;
    assert_eq!((report.verdict(), report.elapsed()), (Verdict::OutOfReach, MS));
    let report = branches().quorum(3).run().await;
    assert_eq!(report.verdict(), Verdict::OutOfReach);
    let not_started = &Ended::NotStarted;
    assert_eq!(
        ends(&report),
        [("a", not_started, 0), ("b", not_started, 0)],
        "it never was in reach"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_tells_those_that_ran_from_those_that_had_not_started() {
    let report = scatter_gather()
        .required("a", answers(1))
        .required("b", hangs())
        .optional("c", answers(1))
        .at_once(1)
        .deadline(10 * MS)
        .run()
        .await;
    assert_eq!((report.verdict(), report.elapsed()), (Verdict::TimedOut, 10 * MS));
    assert_eq!(
        ends(&report),
        [("a", &Ended::Ok(1), 1), ("b", &Ended::TimedOut, 9), ("c", &Ended::NotStarted, 0)]
    );
    let error = report.met().unwrap_err();
    assert_eq!(error.to_string(), "1 of 3 branches answered, and not those in time");
}

#[tokio::test(start_paused = true)]
async fn what_is_there_at_the_deadline_is_enough_if_the_required_ones_are() {
    let report = scatter_gather()
        .required("products", answers(1))
        .optional("facets", hangs())
        .deadline(5 * MS)
        .run()
        .await;
    assert!(report.is_met());
    assert_eq!(report.get("facets").unwrap().ended, Ended::TimedOut);
    let printed = report.to_string();
    assert_eq!(
        printed,
        "met after 5ms\n  products: ok after 1ms, required\n  facets: timed out after 5ms"
    );
}

#[tokio::test(start_paused = true)]
async fn more_answers_are_welcome_during_the_grace_and_not_past_the_deadline() {
    let branches = || {
        let scatter = scatter_gather().optional("a", answers(1)).optional("b", answers(4));
        scatter.optional("c", answers(9)).quorum(1).grace(5 * MS)
    };
    let report = branches().run().await;
    let all = [("a", &Ended::Ok(1), 1), ("b", &Ended::Ok(4), 4), ("c", &Ended::Cancelled, 6)];
    assert_eq!((ends(&report), report.elapsed()), (all.to_vec(), 6 * MS));
    let report = branches().deadline(3 * MS).run().await;
    assert_eq!((report.is_met(), report.elapsed()), (true, 3 * MS));
    assert_eq!(report.get("b").unwrap().ended, Ended::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn stragglers_have_an_owner() {
    let running = Count::default();
    let slow = |n| {
        let guard = running.guard();
        async move {
            let _guard = guard;
            answers(n).await
        }
    };
    let scatter = || scatter_gather().optional("a", answers(1)).quorum(1);
    let (report, mut stragglers) = scatter().optional("b", slow(5)).run_keeping_stragglers().await;
    assert_eq!(ends(&report), [("a", &Ended::Ok(1), 1), ("b", &Ended::Straggling, 1)]);
    assert_eq!(stragglers.next().await, Some(("b".to_owned(), Ok(5))));
    assert_eq!(stragglers.next().await, None);

    let (_, stragglers) = scatter().optional("b", slow(5_000)).run_keeping_stragglers().await;
    assert_eq!((stragglers.len(), running.get()), (1, 1));
    drop(stragglers);
    sleep(MS).await;
    assert_eq!(running.get(), 0, "aborted with their owner");

    let scatter = scatter().optional("b", slow(5)).optional("c", slow(50));
    let (_, stragglers) = scatter.run_keeping_stragglers().await;
    let start = Instant::now();
    assert_eq!(stragglers.finish(10 * MS).await, 1);
    assert_eq!((running.get(), start.elapsed()), (0, 10 * MS));
}

#[test]
fn a_straggler_that_its_runtime_cut_off_is_reported_as_such() {
    let gone = support::paused();
    let scatter = scatter_gather().optional("a", answers(1)).optional("b", hangs()).quorum(1);
    let scatter = scatter.optional("c", hangs()).optional("d", answers(2));
    let (_, mut stragglers) = gone.block_on(async {
        let kept = scatter.run_keeping_stragglers().await;
        sleep(5 * MS).await; // "d" answers meanwhile
        kept
    });
    drop(gone);
    support::paused().block_on(async {
        assert_eq!(stragglers.len(), 3);
        assert_eq!(stragglers.next().await, Some(("d".to_owned(), Ok(2))));
        for name in ["b", "c"] {
            let cut_off = Err(Failure::Cancelled);
            assert_eq!(stragglers.next().await, Some((name.to_owned(), cut_off)));
        }
        assert!(stragglers.is_empty());
        assert_eq!(stragglers.next().await, None);
    });
}

#[tokio::test(start_paused = true)]
async fn what_is_not_met_leaves_no_straggler() {
    let scatter = scatter_gather().required("a", fails(1)).optional("b", hangs());
    let (report, mut stragglers) = scatter.run_keeping_stragglers().await;
    assert_eq!(ends(&report), [("a", &Ended::Failed(Down), 1), ("b", &Ended::Cancelled, 1)]);
    assert!(stragglers.is_empty());
    assert_eq!(stragglers.next().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_that_blocks_its_thread_holds_up_no_other_and_is_named() {
    let blocks = || {
        let blocking = Count::default();
        let is_blocking = blocking.clone();
        let (release, held) = mpsc::channel::<()>();
        let branch = async move {
            blocking.up();
            let _ = held.recv(); // until the test has its answer
            Ok(1)
        };
        let then = async move {
            while is_blocking.get() == 0 {
                yield_now().await;
            }
            Ok(2)
        };
        (scatter_gather::<u32, Down>().optional("stuck", branch).optional("a", then), release)
    };
    let (scatter, release) = blocks();
    let report = scatter.optional("b", hangs()).quorum(1).run().await;
    let named: Vec<_> = ends(&report).into_iter().map(|(name, ended, _)| (name, ended)).collect();
    assert_eq!(
        named,
        [("stuck", &Ended::StillRunning), ("a", &Ended::Ok(2)), ("b", &Ended::Cancelled)]
    );
    assert!(report.is_met() && report.to_string().contains("stuck: still running"), "{report}");
    drop(release);

    let (scatter, release) = blocks();
    let (_, stragglers) = scatter.quorum(1).run_keeping_stragglers().await;
    assert_eq!(stragglers.finish(Duration::ZERO).await, 1);
    drop(release);
}

#[tokio::test(start_paused = true)]
async fn dropped_it_aborts_every_branch() {
    let running = Count::default();
    let guard = running.guard();
    let scatter = scatter_gather().required("a", async move {
        let _guard = guard;
        hangs().await
    });
    assert!(tokio::time::timeout(MS, scatter.run()).await.is_err());
    sleep(MS).await;
    assert_eq!(running.get(), 0);
}

#[tokio::test]
async fn no_branches_are_met_at_once_unless_a_quorum_asks_for_some() {
    assert!(scatter_gather::<u32, Down>().run().await.is_met());
    assert!(scatter_gather::<u32, Down>().quorum(0).run().await.is_met());
    assert!(!scatter_gather::<u32, Down>().quorum(1).run().await.is_met());
}

#[test]
#[should_panic(expected = "at once must be at least 1, but is 0")]
fn none_at_once_is_nonsense() {
    drop(scatter_gather::<u32, Down>().at_once(0));
}

#[test]
fn nonsense_from_configuration_is_an_error() {
    let error = scatter_gather::<u32, Down>().checked_at_once(0).unwrap_err();
    assert_eq!((error.field(), error.value()), ("at once", "0"));
}
