//! One counter per refusing gate and reason, found without a hash or a lock.

use crate::meters::REFUSED;
use metrics::{Counter, SharedString, counter};
use plimsoll_core::{Reason, Rejected};
use std::sync::OnceLock;

/// How many pairs of gate and reason are remembered. A tuple of eight gates
/// with two reasons each fits.
const REMEMBERED: usize = 16;

/// The counters of refusals.
///
/// Which gates stand inside the metered one is not known before they refuse, so
/// a counter is looked up at the first refusal of its kind. After that it costs
/// a comparison of pointers for every kind that came before it.
pub(crate) struct Refusals {
    name: SharedString,
    kinds: [OnceLock<Kind>; REMEMBERED],
}

struct Kind {
    by: &'static str,
    reason: Reason,
    counter: Counter,
}

impl Refusals {
    pub(crate) fn new(name: SharedString) -> Self {
        Self { name, kinds: [const { OnceLock::new() }; REMEMBERED] }
    }

    /// Counts one refusal.
    ///
    /// Places are filled in order and searched in order, and a place that two
    /// threads want at once goes to one of them, which both then see: so no
    /// kind has two places.
    #[inline]
    pub(crate) fn count(&self, refusal: &Rejected) {
        for place in &self.kinds {
            let kind = place.get_or_init(|| self.kind(refusal));
            if kind.is_of(refusal) {
                return kind.counter.increment(1);
            }
        }
        // More kinds than places: right all the same, only slower.
        self.kind(refusal).counter.increment(1);
    }

    #[cold]
    fn kind(&self, refusal: &Rejected) -> Kind {
        let (by, reason) = (refusal.gate(), refusal.reason());
        let labels = [
            ("gate", self.name.clone()),
            ("by", SharedString::const_str(by)),
            ("reason", SharedString::const_str(reason.as_str())),
        ];
        Kind { by, reason, counter: counter!(REFUSED, &labels) }
    }
}

impl Kind {
    #[inline]
    fn is_of(&self, refusal: &Rejected) -> bool {
        // One name may be stored at several addresses, but mostly it is not.
        let by = refusal.gate();
        self.reason == refusal.reason() && (std::ptr::eq(self.by, by) || self.by == by)
    }
}
