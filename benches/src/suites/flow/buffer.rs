//! How large a buffer between two stages should be: the figures behind the tuning
//! guide.

use super::work::spin;
use crate::{
    bench::{Bench, Group},
    rounds::Subject,
};
use anyhow::Result;
use std::{collections::VecDeque, hint::black_box, time::Duration};

/// How many items a stage takes at once.
const MOST: usize = 256;

/// What happens to an item at the end.
#[derive(Clone, Copy)]
enum Consumer {
    /// Nothing.
    Fast,
    /// A microsecond of work.
    Slow,
    /// Nothing, and for every hundredth 100 µs of work: as long as the slow one in
    /// all.
    Uneven,
}

impl Consumer {
    fn consume(self, item: u64) {
        match self {
            Self::Slow => spin(Duration::from_micros(1)),
            Self::Uneven if item.is_multiple_of(100) => spin(Duration::from_micros(100)),
            Self::Fast | Self::Uneven => {}
        }
        black_box(item);
    }
}

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    let consumers = [
        ("fast consumer", Consumer::Fast),
        ("slow consumer", Consumer::Slow),
        ("uneven consumer", Consumer::Uneven),
    ];
    let sizes: &[_] = if bench.quick() { &[1, 100] } else { &[1, 10, 100, 1_000, 10_000] };
    for (name, consumer) in consumers {
        for &size in sizes {
            let name = format!("buffer size {size}, {name}");
            bench.run(Group::flows().ours(ours(&name, size, consumer), &[]).peer(tokio(
                "tokio mpsc",
                size,
                consumer,
            )))?;
        }
    }
    Ok(())
}

/// One hop: a source with as many ready as are wanted, and the consumer.
fn ours(name: &str, size: usize, consumer: Consumer) -> Subject {
    Subject::flow(name, move |items| async move {
        let (tx, mut rx) = plimsoll_channel::bounded(size);
        tokio::spawn(async move {
            let (mut all, mut output) = (0..items, VecDeque::new());
            loop {
                output.extend(all.by_ref().take(size.min(MOST)));
                if output.is_empty() || tx.send_all(&mut output).await.is_err() {
                    return;
                }
            }
        });
        let sink = tokio::spawn(async move {
            let (mut input, mut count) = (VecDeque::new(), 0);
            while let Some(chunk) = rx.recv_chunk(&mut input, MOST).await {
                chunk.for_each(|item| {
                    consumer.consume(item);
                    count += 1;
                });
            }
            count
        });
        sink.await.expect("the sink does not panic")
    })
}

fn tokio(name: &str, size: usize, consumer: Consumer) -> Subject {
    Subject::flow(name, move |items| async move {
        let (tx, mut rx) = tokio::sync::mpsc::channel(size);
        tokio::spawn(async move {
            for n in 0..items {
                if tx.send(n).await.is_err() {
                    return;
                }
            }
        });
        let sink = tokio::spawn(async move {
            let mut count = 0;
            while let Some(item) = rx.recv().await {
                consumer.consume(item);
                count += 1;
            }
            count
        });
        sink.await.expect("the sink does not panic")
    })
}
