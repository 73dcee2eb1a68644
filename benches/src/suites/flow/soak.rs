//! Ten to the eighth items through a pipeline of four stages: whether anything
//! grows.

use crate::{bench::Bench, memory};
use anyhow::{Context, Result, ensure};
use plimsoll_pipeline::{CancellationToken, Pipeline};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};
use tokio::runtime::Builder;

const ITEMS: u64 = 100_000_000;
/// Memory is looked at after the first of these, and at the end of each.
const PART: u64 = ITEMS / 100;

pub(super) fn run(bench: &mut Bench) -> Result<()> {
    if bench.quick() || !memory::tells_resident() {
        return Ok(());
    }
    eprintln!("flow: soak of {ITEMS} items");
    let (early, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (first, peak) = (Arc::clone(&early), Arc::clone(&most));
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let start = Instant::now();
    let report = runtime.block_on(
        Pipeline::from_iter(0..ITEMS)
            .stage_sync("add", |n: u64| Ok::<_, Infallible>(n.wrapping_add(1)))
            .stage("await", |n: u64| async move { Ok::<_, Infallible>(n) })
            .stage_sync("check", |n: u64| Ok::<_, Infallible>(n.rotate_left(7)))
            .workers(2)
            .sink_sync("look", move |n: u64| {
                if n.rotate_right(7).is_multiple_of(PART) {
                    let now = memory::resident().unwrap_or(0);
                    let _ = first.compare_exchange(0, now, Relaxed, Relaxed);
                    peak.fetch_max(now, Relaxed);
                }
                Ok::<_, Infallible>(())
            })
            .run(CancellationToken::new()),
    );
    let report = report.context("the soak failed")?;
    ensure!(report.written == ITEMS, "{} of {ITEMS} items arrived", report.written);
    let mebibytes = |bytes: &AtomicU64| bytes.load(Relaxed) as f64 / f64::from(1 << 20);
    bench.note(format!(
        "Soak: 10^8 items through a pipeline of four stages, one of them async and one with two \
         workers in order, on two threads: {:.1} ns an item. The process had {:.1} MiB resident \
         after the first millionth item, and {:.1} MiB at the most after that.",
        start.elapsed().as_secs_f64() * 1e9 / ITEMS as f64,
        mebibytes(&early),
        mebibytes(&most),
    ));
    Ok(())
}
