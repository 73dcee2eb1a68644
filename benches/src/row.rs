//! A row of the table, and what it is held to.

use crate::{on::On, stats::Summary};

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

/// The most that ours may be: a multiple of the peer's figure, or a part of it, or
/// so much more, or `exactly` where no peer is named.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AtMost {
    peer: Option<String>,
    times: f64,
    parts: f64,
    exactly: f64,
}

impl AtMost {
    /// A multiple of what a peer takes in the same run.
    pub(crate) fn times(times: f64, peer: &str) -> Self {
        Self { peer: Some(peer.into()), times, parts: 1.0, exactly: 0.0 }
    }

    /// A figure of its own, whatever the peers take.
    pub(crate) fn exactly(exactly: f64) -> Self {
        Self { peer: None, times: 0.0, parts: 1.0, exactly }
    }

    /// So many times as fast as a peer in the same run: `parts` of ours take no
    /// longer than one of the peer's.
    pub(crate) fn fraction(parts: f64, peer: &str) -> Self {
        Self { peer: Some(peer.into()), times: 1.0, parts, exactly: 0.0 }
    }

    /// So much above what a peer takes in the same run: of a gate that does the
    /// peer's work and some of its own.
    pub(crate) fn above(peer: &str, exactly: f64) -> Self {
        Self { exactly, ..Self::times(1.0, peer) }
    }

    /// Whether ours is no more than that beside the peer's figure.
    pub(crate) fn allows(&self, ours: Summary, theirs: Summary) -> bool {
        ours.median <= self.times * theirs.median / self.parts + self.exactly
    }

    /// Whether this is the row to judge by: the named peer's, or the first.
    pub(crate) fn judges(&self, peer: &str, first: bool) -> bool {
        self.peer.as_ref().map_or(first, |named| named == peer)
    }

    pub(crate) fn text(&self, unit: Unit) -> String {
        match &self.peer {
            None => format!("≤ {} {}", short(self.exactly), unit.name()),
            Some(peer) if self.exactly > 0.0 => {
                format!("≤ {peer} + {} {}", short(self.exactly), unit.name())
            }
            Some(peer) if self.parts > 1.0 => format!("≤ 1/{} of {peer}", short(self.parts)),
            Some(peer) => format!("≤ {}× {peer}", short(self.times)),
        }
    }
}

/// No more digits than a target was meant with.
fn short(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

/// A target and whether it was reached; `None` if too few rounds were undisturbed
/// to say so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) target: String,
    pub(crate) ok: Option<bool>,
}

/// Ours beside one peer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) on: On,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_what_it_allows() {
        let (ours, clock) = (Summary::exactly(12.0), Summary::exactly(10.0));
        let judged = |target: AtMost| (target.text(Unit::Nanoseconds), target.allows(ours, clock));
        let says = |text: &str, allowed| (text.to_owned(), allowed);
        assert_eq!(judged(AtMost::exactly(12.0)), says("≤ 12 ns", true));
        assert_eq!(judged(AtMost::times(1.1, "clock")), says("≤ 1.1× clock", false));
        assert_eq!(judged(AtMost::fraction(2.0, "clock")), says("≤ 1/2 of clock", false));
        assert_eq!(judged(AtMost::above("clock", 2.0)), says("≤ clock + 2 ns", true));
        assert_eq!(judged(AtMost::above("clock", 1.5)), says("≤ clock + 1.5 ns", false));
    }
}
