//! Groups of a stream that is always ready.

use crate::{
    bench::{Bench, Group},
    on::On,
    rounds::Subject,
    row::AtMost,
};
use anyhow::Result;
use futures::{Stream, StreamExt as _, stream};
use plimsoll_batch::BatchStreamExt as _;
use std::{hint::black_box, pin::pin, time::Duration};

const SIZE: usize = 100;
const LINGER: Duration = Duration::from_millis(10);

/// All groups of the numbers from 0 on, and how many were in them.
async fn count<G>(groups: impl Stream<Item = G>, len: impl Fn(&G) -> usize) -> u64 {
    let (mut groups, mut count) = (pin!(groups), 0);
    while let Some(group) = groups.next().await {
        count += len(&group) as u64;
        black_box(group);
    }
    count
}

fn numbers(items: u64) -> impl Stream<Item = u64> {
    stream::iter(0..items)
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let ours = Subject::flow("batching adapters, groups of 100, 10 ms", |items| {
        count(numbers(items).batched(SIZE, LINGER), |group| group.len())
    });
    let chunks_timeout = Subject::flow("tokio-stream chunks_timeout", |items| {
        use tokio_stream::StreamExt as _;
        count(numbers(items).chunks_timeout(SIZE, LINGER), Vec::len)
    });
    let ready_chunks = Subject::flow("futures ready_chunks (no timer)", |items| {
        count(numbers(items).ready_chunks(SIZE), Vec::len)
    });
    let chunks = Subject::flow("futures chunks (no timer)", |items| {
        count(numbers(items).chunks(SIZE), Vec::len)
    });
    let group = Group::flows()
        .only_on(&[On::CurrentThread])
        .ours(ours, &[(On::CurrentThread, AtMost::exactly(1.5))])
        .peers([chunks_timeout, ready_chunks, chunks]);
    bench.run(group)?;
    Ok(())
}
