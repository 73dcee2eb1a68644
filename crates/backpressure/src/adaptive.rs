//! Limits that find themselves.
//!
//! `window.rs` is what a window of results came to; `aimd.rs`, `vegas.rs`,
//! `gradient.rs`, `probing.rs` and the rules around them in `tuner.rs` make the
//! next limit of it, and know neither clock nor atomics. `sampler.rs` and
//! `windows.rs` are what work reports to when it ends; `settings.rs` and
//! `limit.rs` are the API.

mod aimd;
mod gradient;
mod histogram;
mod limit;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod probing;
mod sampler;
mod settings;
mod tuner;
mod vegas;
mod window;
mod windows;

pub use self::limit::{AdaptiveLimit, AdaptiveTicket};
