//! Ours, through the calls that users make.

use super::{
    Item, Seen,
    one_by_one::{ours::ping, result},
};
use crate::rounds::Subject;
use futures::{StreamExt as _, stream};
use plimsoll_channel::{Builder, Closed, Receiver, Sender, bounded};
use std::{collections::VecDeque, future::ready};

/// A stage takes what is there, and no more than this: enough to share the cost of
/// a chunk among many, too few to leave the caches.
const MOST: usize = 256;

/// A channel that measures how long calls wait, or not.
pub(super) fn channel(timed: bool) -> (Sender<u64>, Receiver<u64>) {
    let builder = Builder::new(100);
    let builder = if timed { builder } else { builder.untimed() };
    builder.build().expect("room for 100")
}

/// As between the stages of a pipeline, which measure their time themselves.
fn untimed<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    Builder::new(capacity).untimed().build().expect("room for some")
}

/// A stage that takes what is there, and hands on what it made of it.
async fn driver<T: Item>(mut rx: Receiver<T>, tx: Sender<T>) -> Result<(), Closed> {
    let (mut input, mut output) = (VecDeque::new(), VecDeque::new());
    while let Some(chunk) = rx.recv_chunk(&mut input, MOST).await {
        output.extend(chunk.map(T::changed));
        tx.send_all(&mut output).await?;
    }
    Ok(())
}

/// A source that has as many ready as are wanted.
async fn source<T: Item>(tx: Sender<T>, items: u64) -> Result<(), Closed> {
    let (mut all, mut output) = ((0..items).map(T::new), VecDeque::new());
    loop {
        output.extend(all.by_ref().take(MOST));
        if output.is_empty() {
            return Ok(());
        }
        tx.send_all(&mut output).await?;
    }
}

async fn sink<T: Item>(mut rx: Receiver<T>) -> u64 {
    let (mut input, mut seen) = (VecDeque::new(), Seen::default());
    while let Some(chunk) = rx.recv_chunk(&mut input, MOST).await {
        chunk.for_each(|item| seen.add(&item));
    }
    seen.arrived()
}

/// Starts a task whose failure shows as items that do not come.
fn go(task: impl Future<Output = Result<(), Closed>> + Send + 'static) {
    tokio::spawn(task);
}

pub(super) fn drivers<T: Item>(name: &str, capacity: usize) -> Subject {
    Subject::flow(name, move |items| async move {
        let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| untimed::<T>(capacity));
        go(source(a, items));
        go(driver(b, c));
        go(driver(d, e));
        result(tokio::spawn(sink(f))).await
    })
}

pub(super) fn lone_drivers(name: &str, timed: bool) -> Subject {
    Subject::flow(name, move |items| async move {
        let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| channel(timed));
        go(driver(b, c));
        go(driver(d, e));
        result(tokio::spawn(ping(a, f, items))).await
    })
}

/// Combinators of futures, between a prefetching receiver and a feeder.
pub(super) fn fed<T: Item>(name: &str, capacity: usize) -> Subject {
    async fn stage<T: Item>(rx: Receiver<T>, tx: Sender<T>) -> Result<(), Closed> {
        rx.into_prefetch(MOST).map(|item| Ok(item.changed())).forward(tx.into_feeder(MOST)).await
    }
    async fn sink<T: Item>(rx: Receiver<T>) -> u64 {
        let mut seen = Seen::default();
        let all = rx.into_prefetch(MOST).for_each(|item| {
            seen.add(&item);
            ready(())
        });
        all.await;
        seen.arrived()
    }
    Subject::flow(name, move |items| async move {
        let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| bounded::<T>(capacity));
        go(stream::iter(0..items).map(|n| Ok(T::new(n))).forward(a.into_feeder(MOST)));
        go(stage(b, c));
        go(stage(d, e));
        result(tokio::spawn(sink(f))).await
    })
}
