//! Ours, through the calls that users make.

use super::{
    Item, Seen,
    one_by_one::{ours::ping, result},
};
use crate::rounds::Subject;
use futures::{StreamExt as _, stream};
use plimsoll_channel::{Builder, Closed, Receiver, Sender, bounded};
use plimsoll_core::Load as _;
use std::{collections::VecDeque, future::ready};

/// A stage takes what is there, up to 128 KiB: more would not stay in the cache.
fn most<T>(capacity: usize) -> usize {
    capacity.min(128 * 1024 / size_of::<T>())
}

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
    let most = most::<T>(tx.capacity().unwrap_or(1));
    let (mut input, mut items, mut output) = (VecDeque::new(), Vec::new(), VecDeque::new());
    while let Some(mut chunk) = rx.recv_chunk(&mut input, most).await {
        chunk.take_all(&mut items);
        output.extend(items.drain(..).map(T::changed));
        drop(chunk);
        tx.send_all(&mut output).await?;
    }
    Ok(())
}

/// A source that has as many ready as are wanted.
async fn source<T: Item>(tx: Sender<T>, items: u64) -> Result<(), Closed> {
    let most = most::<T>(tx.capacity().unwrap_or(1));
    let (mut all, mut output) = ((0..items).map(T::new), VecDeque::new());
    loop {
        output.extend(all.by_ref().take(most));
        if output.is_empty() {
            return Ok(());
        }
        tx.send_all(&mut output).await?;
    }
}

async fn sink<T: Item>(mut rx: Receiver<T>) -> u64 {
    let most = most::<T>(rx.capacity().unwrap_or(1));
    let (mut input, mut items, mut seen) = (VecDeque::new(), Vec::new(), Seen::default());
    while let Some(mut chunk) = rx.recv_chunk(&mut input, most).await {
        chunk.take_all(&mut items);
        items.drain(..).for_each(|item| seen.add(&item));
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
        let most = most::<T>(tx.capacity().unwrap_or(1));
        rx.into_prefetch(most).map(|item| Ok(item.changed())).forward(tx.into_feeder(most)).await
    }
    async fn sink<T: Item>(rx: Receiver<T>) -> u64 {
        let most = most::<T>(rx.capacity().unwrap_or(1));
        let mut seen = Seen::default();
        let all = rx.into_prefetch(most).for_each(|item| {
            seen.add(&item);
            ready(())
        });
        all.await;
        seen.arrived()
    }
    Subject::flow(name, move |items| async move {
        let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| bounded::<T>(capacity));
        let feeder = a.into_feeder(most::<T>(capacity));
        go(stream::iter(0..items).map(|n| Ok(T::new(n))).forward(feeder));
        go(stage(b, c));
        go(stage(d, e));
        result(tokio::spawn(sink(f))).await
    })
}
