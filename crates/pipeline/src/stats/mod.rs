//! What is counted while a pipeline runs, and how it is told.

mod display;
mod ledger;
mod meter;
mod registry;
mod report;

pub(crate) use self::{
    ledger::{Ledger, Tally},
    meter::{Meter, Slot, Stopwatch, What},
    registry::{InHand, Place, Registry},
};
pub use self::{
    registry::{Drainer, Stats},
    report::{Bottleneck, Report, StageReport},
};
