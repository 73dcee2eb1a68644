//! Two threads read access logs, bounded by the bytes in flight, and a task adds
//! up the requests that failed: a slow reader of lines slows down the readers of
//! files, and memory stays under the bound.
//!
//! Run it with `cargo run -p plimsoll-channel --example log_lines`.

use plimsoll_channel::{Sender, bounded_by};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead, Cursor, Result},
    thread,
};

/// What may be read and not yet counted.
const BYTES: usize = 64 * 1024;

/// Stands in for a file on disk.
fn log(host: usize) -> impl BufRead {
    let line =
        |n: usize| format!("host{host} GET /item/{n} {}\n", if n % 50 == 0 { 503 } else { 200 });
    Cursor::new((0..20_000).map(line).collect::<String>())
}

/// Sends every line, and waits while the channel is full. Stops early when
/// nobody counts any more.
fn read(log: impl BufRead, lines: &Sender<String>) -> Result<()> {
    for line in log.lines() {
        if lines.blocking_send(line?).is_err() {
            break;
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (tx, mut rx) = bounded_by(BYTES, |line: &String| line.len());
    let readers: Vec<_> = (1..=2)
        .map(|host| {
            let tx = tx.clone();
            thread::spawn(move || read(log(host), &tx))
        })
        .collect();
    drop(tx); // the channel ends with the readers

    let (mut lines, mut failed) = (VecDeque::new(), BTreeMap::new());
    while let Some(chunk) = rx.recv_chunk(&mut lines, 256).await {
        for line in chunk.filter(|line| line.ends_with(" 503")) {
            let host = line.split(' ').next().unwrap_or_default().to_owned();
            *failed.entry(host).or_insert(0) += 1;
        }
    }
    for reader in readers {
        reader.join().unwrap_or(Ok(()))?;
    }

    println!("requests that failed: {failed:?}");
    let stats = rx.stats();
    println!("at most {} of {BYTES} bytes were in flight", stats.high_water);
    println!(
        "readers waited {:.1?} for room, the counter {:.1?} for lines",
        stats.send_blocked, stats.recv_blocked
    );
    Ok(())
}
