//! The names of the metrics, and the handles that count without looking them up.

use crate::refusals::Refusals;
use metrics::{
    Counter, Gauge, Histogram, SharedString, Unit, counter, describe_counter, describe_gauge,
    describe_histogram, gauge, histogram,
};
use plimsoll_core::Outcome;

pub(crate) const OUTCOMES: &str = "plimsoll_outcomes_total";
pub(crate) const REFUSED: &str = "plimsoll_refused_total";
pub(crate) const IN_FLIGHT: &str = "plimsoll_in_flight";
pub(crate) const WAIT: &str = "plimsoll_wait_seconds";
pub(crate) const SERVICE: &str = "plimsoll_service_seconds";

/// What every metered gate counts.
pub(crate) struct Meters {
    name: SharedString,
    in_flight: Gauge,
    success: Counter,
    failure: Counter,
    ignored: Counter,
    unused: Counter,
    refusals: Refusals,
}

impl Meters {
    /// Looks every handle up in the recorder of this moment.
    pub(crate) fn new(name: SharedString) -> Self {
        describe_counter!(OUTCOMES, Unit::Count, "Admitted work that ended, by how it ended");
        describe_counter!(REFUSED, Unit::Count, "Work refused, by the gate that refused and why");
        describe_gauge!(IN_FLIGHT, Unit::Count, "Admitted work under way");
        let outcome = |outcome| counter!(OUTCOMES, "gate" => name.clone(), "outcome" => outcome);
        Self {
            in_flight: gauge!(IN_FLIGHT, "gate" => name.clone()),
            success: outcome("success"),
            failure: outcome("failure"),
            ignored: outcome("ignored"),
            unused: outcome("unused"),
            refusals: Refusals::new(name.clone()),
            name,
        }
    }

    #[inline]
    pub(crate) fn admitted(&self) {
        self.in_flight.increment(1.0);
    }

    #[inline]
    pub(crate) fn ended(&self, outcome: Outcome) {
        self.in_flight.decrement(1.0);
        let counter = match outcome {
            Outcome::Success => &self.success,
            Outcome::Failure => &self.failure,
            Outcome::Ignored => &self.ignored,
            Outcome::Unused => &self.unused,
        };
        counter.increment(1);
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn wait(&self) -> Histogram {
        describe_histogram!(WAIT, Unit::Seconds, "Time that work waited to be admitted or refused");
        histogram!(WAIT, "gate" => self.name.clone())
    }

    pub(crate) fn service(&self) -> Histogram {
        describe_histogram!(SERVICE, Unit::Seconds, "Time from admission to the end of the work");
        histogram!(SERVICE, "gate" => self.name.clone())
    }
}
