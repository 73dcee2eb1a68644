//! A row of the table, and what it is held to.

use crate::stats::Summary;

/// What a case is measured in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    Nanoseconds,
    Bytes,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nanoseconds => "ns",
            Self::Bytes => "bytes",
        }
    }
}

/// The most that ours may be: `times` the peer's figure and `plus` on top, or
/// `plus` alone where no peer is named.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AtMost {
    peer: Option<String>,
    times: f64,
    plus: f64,
}

impl AtMost {
    /// A multiple of what a peer takes in the same run.
    pub(crate) fn times(times: f64, peer: &str) -> Self {
        Self { peer: Some(peer.into()), times, plus: 0.0 }
    }

    /// A figure of its own, whatever the peers take.
    pub(crate) fn exactly(plus: f64) -> Self {
        Self { peer: None, times: 0.0, plus }
    }

    /// Whether ours is no more than that beside the peer's figure.
    pub(crate) fn allows(&self, ours: Summary, theirs: Summary) -> bool {
        ours.median <= self.times * theirs.median + self.plus
    }

    /// Whether this is the row to judge by: the named peer's, or the first.
    pub(crate) fn judges(&self, peer: &str, first: bool) -> bool {
        self.peer.as_ref().map_or(first, |named| named == peer)
    }

    pub(crate) fn text(&self, unit: Unit) -> String {
        match &self.peer {
            None => format!("≤ {} {}", self.plus, unit.name()),
            Some(peer) => format!("≤ {}× {peer}", self.times),
        }
    }
}

/// A target and whether it was reached; `None` if too few rounds were undisturbed
/// to say so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) target: String,
    pub(crate) ok: Option<bool>,
}

/// Ours beside one peer, on so many threads.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) threads: usize,
    pub(crate) unit: Unit,
    pub(crate) ours: Summary,
    pub(crate) peer: String,
    pub(crate) theirs: Summary,
    pub(crate) verdict: Option<Verdict>,
}

impl Row {
    /// How many times ours the peer takes.
    pub(crate) fn ratio(&self) -> f64 {
        self.theirs.median / self.ours.median
    }
}
