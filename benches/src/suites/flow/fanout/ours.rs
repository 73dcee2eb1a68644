//! Ours, through the calls that users make.

use super::peers::{item, used};
use crate::{rounds::Subject, suites::flow::work::cheap as work};
use futures::{Stream, StreamExt as _, stream};
use plimsoll_fanout::FanOutExt as _;

/// Counts the results that are there.
async fn counted<E>(results: impl Stream<Item = Result<u64, E>>) -> u64 {
    results.fold(0, async |count, one| count + one.unwrap_or(0)).await
}

pub(super) fn cheap(name: &str) -> [Subject; 2] {
    let results = |items| stream::iter(0..items).fan_out(2, async |n| used(work(n)));
    [
        Subject::flow(name, move |items| counted(results(items))),
        Subject::flow(&format!("{name}, ordered"), move |items| counted(results(items).ordered())),
    ]
}

/// Items that wait, each so long as `times` says of its number.
pub(super) fn sleeping(name: &str, workers: usize, times: fn(u64) -> u32) -> [Subject; 2] {
    let results = move |items| stream::iter(0..items).fan_out(workers, move |n| item(times(n)));
    [
        Subject::flow(name, move |items| counted(results(items))),
        Subject::flow(&format!("{name}, ordered"), move |items| counted(results(items).ordered())),
    ]
}
