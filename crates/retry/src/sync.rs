//! The one file in this crate that knows loom exists.
//!
//! Everything else imports `crate::sync`, so a model runs the code that ships.
//! Not gated on `test`, so that the models of a dependent crate reach through.

#[cfg(not(plimsoll_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(all(test, plimsoll_loom))]
pub(crate) use plimsoll_core::modelled::search;
#[cfg(plimsoll_loom)]
pub(crate) use plimsoll_core::modelled::{AtomicU64, Ordering};
