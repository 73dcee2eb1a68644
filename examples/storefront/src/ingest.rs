//! From the files of this machine to the database, as a pipeline:
//!
//! | stage | what it does | at once |
//! |---|---|---|
//! | `source` | finds manifests and source files, or lines | a fan-out over packages |
//! | `read` | reads a file, a megabyte at most | [`Workers::read`], blocking |
//! | `parse` | a manifest becomes a product, doc comments a page | [`Workers::parse`] |
//! | `validate` | refuses what is empty or too large | 1 |
//! | `sift` | leaves out what is not to be written, and says why | 1, in the task of `validate` |
//! | `batch` | gathers `BATCH` of them | 1 |
//! | `write` | a transaction for a batch | 1, blocking: SQLite has one writer |
//!
//! Every stage keeps the order. A page is behind its manifest all the way, so its product is in the
//! database, or known to be missing, when it comes; and ids are the same from run to run.
//!
//! Nothing broken stops it: that is a dead letter. The one thing that does is a database that can't
//! be written.
//!
//! # Memory
//!
//! What is inside is bounded in number, whatever there is to find: paths by the window of the
//! fan-out and a queue of 256; contents and pages by the queues behind `read` and `parse`, and what
//! waits beside them for its turn (`FILES` each); pages by the queue behind `sift` and by three
//! batches, one that gathers, one that waits, one that is written (`BATCH` each). A file is a
//! megabyte at most and a page half of one, so the worst that can be made up is 330 MB; a cache of
//! 135 MB took 35 MB. Only the names of the products grow with what is found.

pub mod account;
pub mod docs;
mod find;
mod item;
mod lines;
mod stages;
pub mod summary;

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use futures::{StreamExt, stream::BoxStream};
use indicatif::ProgressBar;
use plimsoll::pipeline::{CancellationToken, Cause, Pipeline, Report, RunError};
use tokio::task::spawn_blocking;

pub(crate) use self::item::{Entry, Identity, Page};
use self::{
    account::{Account, Counted},
    item::{Found, Item, Read},
    stages::{Sieve, parse, read, validate},
    summary::nothing,
};
use crate::{
    catalogue,
    database::{Database, Held},
};

/// No manifest, source file or catalogue line is larger than this; what is larger is refused.
const MAX_BYTES: u64 = 1 << 20;

/// How many files may wait in each of the places where files wait: behind `read` and behind `parse`,
/// in the queue and, out of turn, beside it.
const FILES: usize = 16;

/// How many products and pages are written in one transaction.
const BATCH: usize = 128;

/// How long the first of a batch may wait for others. Nobody waits for a page: this is for a source
/// that stalls.
const LINGER: Duration = Duration::from_secs(1);

/// How long what is inside may take once the run is told to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Where products come from.
#[derive(Clone, Debug)]
pub struct Sources {
    from: From,
    /// Folders of packages, beside it.
    also: Vec<PathBuf>,
}

#[derive(Clone, Debug)]
enum From {
    Cargo { registry: PathBuf, metadata: bool },
    Lines(PathBuf),
}

impl Sources {
    /// The packages in cargo's registry cache on this machine, and those that `cargo metadata`
    /// names.
    ///
    /// # Errors
    ///
    /// When there is no home to look in.
    pub fn cargo() -> anyhow::Result<Self> {
        let from = From::Cargo { registry: catalogue::registry()?, metadata: true };
        Ok(Self { from, also: Vec::new() })
    }

    /// Only `<registry>/*/*`: packages laid out as in cargo's registry cache.
    #[must_use]
    pub fn registry(registry: &Path) -> Self {
        let from = From::Cargo { registry: registry.to_owned(), metadata: false };
        Self { from, also: Vec::new() }
    }

    /// A file of JSON lines, one product each.
    #[must_use]
    pub fn lines(file: &Path) -> Self {
        Self { from: From::Lines(file.to_owned()), also: Vec::new() }
    }

    /// The packages `<folder>/*` too.
    #[must_use]
    pub fn also(mut self, folder: PathBuf) -> Self {
        self.also.push(folder);
        self
    }

    /// Where they mainly come from.
    #[must_use]
    pub fn place(&self) -> &Path {
        match &self.from {
            From::Cargo { registry, .. } => registry,
            From::Lines(file) => file,
        }
    }

    fn found(self, account: &Arc<Account>) -> anyhow::Result<BoxStream<'static, Item<Found>>> {
        let Self { from, also } = self;
        let found = match from {
            From::Cargo { registry, metadata } => {
                find::packages(Some(registry), metadata, also, account).boxed()
            }
            From::Lines(file) => {
                let planted = find::packages(None, false, also, account);
                lines::lines(&file)?.chain(planted).boxed()
            }
        };
        let account = Arc::clone(account);
        Ok(found.inspect(move |item| account.found(item.origin.kind)).boxed())
    }
}

/// How many items a stage works on at once.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// Threads that read files.
    pub read: u8,
    /// Tasks that parse.
    pub parse: u8,
}

impl Workers {
    /// From a cold disk, four read until the writer is the slowest; from memory, two would.
    pub const DEFAULT: Self = Self { read: 4, parse: 2 };
}

impl Default for Workers {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What an ingest did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ingest {
    /// What the database holds after it.
    pub held: Held,
    /// The account of the pipeline.
    pub report: Report,
    /// Ours, by kind.
    counted: Counted,
    /// Whether it was told to stop before it was through.
    pub stopped: bool,
}

/// Fills `database` from `sources`. Cancelling `token` stops the search, and what was found is
/// written; what takes too long then is cut off. Whatever the end, each batch is in the database
/// whole or not at all.
///
/// # Errors
///
/// When a catalogue can't be opened, a number of workers is 0, the database is another program's or
/// can't be written, or no source yields a product.
///
/// # Cancel safety
///
/// Dropped, it is cut off; a batch that is being written is written to its end.
pub async fn ingest(
    database: &Database,
    sources: Sources,
    workers: Workers,
    token: CancellationToken,
    bar: Option<ProgressBar>,
) -> anyhow::Result<Ingest> {
    let place = sources.place().to_owned();
    let account = Arc::new(Account::default());
    let found = sources.found(&account)?;
    let writer = Arc::new(Mutex::new(database.writer()?));

    let (reading, sifting, writing) =
        (Arc::clone(&account), Arc::clone(&account), Arc::clone(&account));
    let (sieve, writes) = (Sieve::default(), Arc::clone(&writer));
    let pipeline = Pipeline::from_stream(found)
        .blocking("read", move |item| {
            let read = read(item);
            if let Ok(Item { it: Read::Bytes(bytes), .. }) = &read {
                reading.read(bytes.len());
            }
            read
        })
        .try_workers(workers.read.into())?
        .on_error(account.letters())
        .buffer(FILES)
        .stage_sync("parse", parse)
        .try_workers(workers.parse.into())?
        .on_error(account.letters())
        .buffer(FILES)
        .stage_sync("validate", validate)
        .on_error(account.letters())
        .filter_map("sift", move |item| {
            let kind = item.origin.kind;
            let sifted = sieve.sift(item).map_err(|why| sifting.filtered(kind, why));
            Ok::<_, Infallible>(sifted.ok())
        })
        .fuse()
        .buffer(BATCH)
        .batched(BATCH, LINGER)
        .buffer(1)
        .blocking("write", move |batch: Vec<Entry>| {
            // A panic in a write ends the run: there is no next one that could meet the poison.
            writes.lock().unwrap_or_else(PoisonError::into_inner).write(&batch)?;
            writing.written(&batch);
            anyhow::Ok(())
        })
        .workers(1)
        .drain_within(DRAIN_WITHIN);
    let pipeline = match bar {
        Some(bar) => pipeline.progress(bar),
        None => pipeline,
    };

    let report = match pipeline.run(token.clone()).await {
        Ok(report) => report,
        // Told to stop, and not through in time: what is written is whole, and that was asked for.
        Err(error) if is_cut_off(&error) && token.is_cancelled() => error.report().clone(),
        Err(error) => return Err(error).with_context(|| database.could_not_fill()),
    };
    let stopped = token.is_cancelled();
    let held =
        spawn_blocking(move || writer.lock().unwrap_or_else(PoisonError::into_inner).finish());
    let held = held.await.context("the count of what was written has no result")??;
    let counted = account.so_far();
    if counted.manifests.written == 0 && !stopped {
        bail!(nothing(&place, &counted));
    }
    Ok(Ingest { held, report, counted, stopped })
}

fn is_cut_off(error: &RunError) -> bool {
    matches!(error.cause(), Cause::CutOff { .. })
}
