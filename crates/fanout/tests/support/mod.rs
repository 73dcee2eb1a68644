//! What several tests need.
#![allow(dead_code, reason = "each test takes what it needs")]

use futures::{Stream, stream};
use std::{
    panic,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Counts something from several tasks.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(crate) fn up(&self) -> usize {
        self.0.fetch_add(1, SeqCst) + 1
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Counts while the guard lives.
    pub(crate) fn guard(&self) -> Guard {
        self.up();
        Guard(self.clone())
    }
}

pub(crate) struct Guard(Count);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.down();
    }
}

/// `0..n`, and how many of them were pulled.
pub(crate) fn counted(n: u64) -> (impl Stream<Item = u64> + Send + Unpin, Count) {
    let pulled = Count::default();
    let count = pulled.clone();
    (
        stream::iter((0..n).inspect(move |_| {
            count.up();
        })),
        pulled,
    )
}

/// Runs `test` without the reports of its planted panics.
pub(crate) fn quietly<R>(test: impl FnOnce() -> R) -> R {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let outcome = panic::catch_unwind(panic::AssertUnwindSafe(test));
    panic::set_hook(hook);
    outcome.unwrap_or_else(|panic| panic::resume_unwind(panic))
}

/// A runtime of one thread whose time moves when all are idle.
pub(crate) fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime")
}
