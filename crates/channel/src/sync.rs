//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! Not gated on `test`, so that the models of a dependent crate reach through.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

pub(crate) use imp::{Mutex, MutexGuard};
/// For the copy of the load alone, which no decision of this crate reads: std's
/// in models too, where each store of loom's would be one more step to search.
pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
