//! One caller at a time: what a batcher adds to a flush when there is no company
//! to wait for.

use crate::{
    bench::{Bench, Group},
    on::{FLAVOURS, On},
    rounds::Subject,
    row::AtMost,
};
use anyhow::Result;
use plimsoll_batch::{Batcher, Linger};
use std::{hint::black_box, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};

const LINGER: Duration = Duration::from_millis(5);

/// A flush that takes no time.
async fn flush(items: Vec<u64>) -> Vec<Result<u64, std::convert::Infallible>> {
    black_box(items).into_iter().map(Ok).collect()
}

fn ours(name: &str, linger: Linger) -> Subject {
    Subject::flow(name, move |items| async move {
        let batcher = Batcher::new(flush).max_size(100).linger(linger);
        let mut answered = 0;
        for n in 0..items {
            answered += u64::from(batcher.submit(n).await == Ok(n));
        }
        answered
    })
}

/// The usual construction, with the usual fixed wait.
fn by_hand(name: &str) -> Subject {
    Subject::flow(name, |items| async move {
        let (tx, mut rx) = mpsc::channel::<(u64, oneshot::Sender<u64>)>(100);
        tokio::spawn(async move {
            while let Some(first) = rx.recv().await {
                let (due, mut batch) = (Instant::now() + LINGER, vec![first]);
                while batch.len() < 100 {
                    let Ok(Some(next)) = timeout_at(due, rx.recv()).await else { break };
                    batch.push(next);
                }
                for (n, reply) in batch {
                    let _ = reply.send(black_box(n));
                }
            }
        });
        let mut answered = 0;
        for n in 0..items {
            let (reply, answer) = oneshot::channel();
            if tx.send((n, reply)).await.is_err() {
                break;
            }
            answered += u64::from(answer.await == Ok(n));
        }
        answered
    })
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let name = "idle batcher, adaptive linger";
    let fixed = "mpsc + oneshot, fixed 5 ms";
    let targets = FLAVOURS.map(|on| (on, AtMost::fraction(100.0, fixed)));
    let group = |rounds| {
        Group::flows()
            .sized(20, rounds)
            .crowded()
            .peer(ours("Batcher, fixed 5 ms", Linger::Fixed(LINGER)))
            .peer(by_hand(fixed))
    };
    bench.run(
        group(1)
            .only_on(&[On::Paused])
            .ours(ours(name, Linger::Adaptive), &[(On::Paused, AtMost::exactly(0.0))]),
    )?;
    let rounds = if bench.quick() { 3 } else { 31 };
    bench.run(group(rounds).ours(ours(name, Linger::Adaptive), &targets))?;
    Ok(())
}
