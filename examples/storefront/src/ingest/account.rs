//! What became of everything that was found.
//!
//! Counted beside the pipeline's own report and by kind, since that report knows items and not
//! what they are. Each number is counted where it happens: found as the source yields it, written
//! when its transaction is committed. So the two can be held against each other.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use plimsoll::pipeline::{BoxError, Failure, Handled, OnError};
use serde::Serialize;

use super::item::{Entry, Kind, Refused};

/// How many dead letters are kept; the rest is a number.
const KEPT: usize = 10;

/// Items of one kind, each of those found in exactly one of the others unless the run was cut off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Yielded by the source.
    pub found: u64,
    /// In the database, in a transaction that was committed.
    pub written: u64,
    /// Left out on purpose, by reason.
    pub filtered: BTreeMap<&'static str, u64>,
    /// Broken.
    pub dead_lettered: u64,
}

impl Counts {
    /// How many were left out on purpose.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.filtered.values().sum()
    }

    /// Whether every one that was found has become something.
    #[must_use]
    pub fn add_up(&self) -> bool {
        self.found == self.written + self.left_out() + self.dead_lettered
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, written, dead_lettered, .. } = self;
        let (sign, filtered) = (if self.add_up() { "=" } else { "≠" }, self.left_out());
        write!(
            f,
            "{found} found {sign} {written} written + {filtered} filtered + {dead_lettered} \
             dead-lettered"
        )
    }
}

/// A broken item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// The stage that refused it.
    pub stage: String,
    /// Its path, with a line number where there are lines.
    pub place: String,
    /// The first thing that was wrong.
    pub reason: String,
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stage, place, reason } = self;
        write!(f, "{stage}: {place}: {reason}")
    }
}

/// Everything that is counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted {
    /// Manifests, and lines of a catalogue.
    pub(crate) manifests: Counts,
    /// Source files.
    pub(crate) sources: Counts,
    /// Read from files and lines.
    pub(crate) bytes: u64,
    /// The first few.
    pub(crate) letters: Vec<Letter>,
    /// What a reader should know about the sources as a whole.
    pub(crate) notes: Vec<String>,
}

impl Counted {
    fn of(&mut self, kind: Kind) -> &mut Counts {
        match kind {
            Kind::Manifest | Kind::Line => &mut self.manifests,
            Kind::Source => &mut self.sources,
        }
    }
}

/// The account while the pipeline runs.
#[derive(Debug, Default)]
pub(crate) struct Account(Mutex<Counted>);

impl Account {
    /// Nothing under the lock can panic half-way, so a poisoned one is as good as any.
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn so_far(&self) -> Counted {
        self.counted().clone()
    }

    pub(crate) fn note(&self, notes: Vec<String>) {
        self.counted().notes.extend(notes);
    }

    pub(crate) fn found(&self, kind: Kind) {
        self.counted().of(kind).found += 1;
    }

    pub(crate) fn read(&self, bytes: usize) {
        self.counted().bytes += bytes as u64;
    }

    pub(crate) fn filtered(&self, kind: Kind, why: &'static str) {
        *self.counted().of(kind).filtered.entry(why).or_default() += 1;
    }

    pub(crate) fn written(&self, batch: &[Entry]) {
        let mut counted = self.counted();
        for entry in batch {
            let kind = match entry {
                Entry::Product(_) => Kind::Manifest,
                Entry::Page(..) => Kind::Source,
            };
            counted.of(kind).written += 1;
        }
    }

    fn broken(&self, stage: &str, refused: &Refused) {
        let mut counted = self.counted();
        counted.of(refused.origin.kind).dead_lettered += 1;
        if counted.letters.len() < KEPT {
            counted.letters.push(Letter {
                stage: stage.to_owned(),
                place: refused.origin.to_string(),
                reason: refused.reason.to_string(),
            });
        }
    }

    /// Takes the dead letters of a stage: the first few are kept, all are counted.
    pub(crate) fn letters(self: &Arc<Self>) -> Letters {
        Letters(Arc::clone(self))
    }
}

/// What a stage does with an item that is broken: see [`Account::letters`].
pub(crate) struct Letters(Arc<Account>);

impl<T> OnError<T, Refused> for Letters {
    // An error says where its item comes from.
    type Kept = ();

    fn keep(&self, _: &T) {}

    async fn failed(&self, failure: Failure<(), Refused>) -> Result<Handled, BoxError> {
        self.0.broken(&failure.stage, &failure.error);
        Ok(Handled::DeadLettered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_does_not_add_up_says_so() {
        let filtered = BTreeMap::from([("why", 2), ("why not", 1)]);
        let mut counts = Counts { found: 10, written: 6, filtered, dead_lettered: 1 };
        assert!(counts.add_up());
        assert_eq!(counts.to_string(), "10 found = 6 written + 3 filtered + 1 dead-lettered");
        counts.written = 5;
        assert!(!counts.add_up());
        assert!(counts.to_string().starts_with("10 found ≠ 5 written"));
    }
}
