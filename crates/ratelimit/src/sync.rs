//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! Not gated on `test`, so that the models of a dependent crate reach through.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

pub(crate) use imp::{Mutex, MutexGuard};

#[cfg(plimsoll_loom)]
pub(crate) use plimsoll_core::modelled::{AtomicU64, Ordering};
#[cfg(all(test, plimsoll_loom))]
pub(crate) use plimsoll_core::modelled::{search, search_within};
#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
