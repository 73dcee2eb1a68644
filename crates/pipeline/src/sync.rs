//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! Not gated on `test`, so that the models of a dependent crate reach through.

#[cfg(plimsoll_loom)]
use loom::sync as imp;
#[cfg(not(plimsoll_loom))]
use std::sync as imp;

/// Where somebody decides by what another thread wrote: loom's in models.
pub(crate) use imp::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicUsize, Ordering},
};
/// For figures that are only ever read to be shown: std's in models too, where
/// each step of loom's would be one more to search.
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
