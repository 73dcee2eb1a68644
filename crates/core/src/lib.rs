#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod clock;
mod combine;
mod deadline;
mod error;
mod ext;
mod gate;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod per_key;
mod permit;
mod rejected;
#[doc(hidden)]
pub mod sync;
#[cfg(any(feature = "testing", all(test, plimsoll_loom)))]
pub mod testing;
mod vocabulary;

#[cfg(feature = "tokio")]
pub use crate::clock::TokioClock;
pub use crate::{
    clock::{Clock, DefaultClock, ManualClock, Tick},
    combine::{AnyGate, By, ByRef, Named, Weighted},
    deadline::Deadline,
    error::{ConfigError, Error, verdict},
    ext::GateExt,
    gate::{Admit, Gate, Outcome, Weigh},
    per_key::{PerKey, PerKeyQuota},
    permit::Permit,
    rejected::{AsRejected, Reason, Rejected},
    vocabulary::{Drain, DrainError, Load, Priority, Quota, QuotaState},
};
