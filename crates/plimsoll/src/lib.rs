#![doc = include_str!("../README.md")]
// The example of the front page is compiled too.
#![cfg_attr(doctest, doc = include_str!("../../../README.md"))]
#![forbid(unsafe_code)]

#[cfg(feature = "backpressure")]
pub use plimsoll_backpressure as backpressure;
#[cfg(feature = "batch")]
pub use plimsoll_batch as batch;
#[cfg(feature = "breaker")]
pub use plimsoll_breaker as breaker;
#[cfg(feature = "channel")]
pub use plimsoll_channel as channel;
pub use plimsoll_core as core;
#[cfg(feature = "fanout")]
pub use plimsoll_fanout as fanout;
#[cfg(feature = "keyed")]
pub use plimsoll_keyed as keyed;
#[cfg(feature = "metered")]
pub use plimsoll_metered as metered;
#[cfg(feature = "pipeline")]
pub use plimsoll_pipeline as pipeline;
#[cfg(feature = "ratelimit")]
pub use plimsoll_ratelimit as ratelimit;
#[cfg(feature = "retry")]
pub use plimsoll_retry as retry;
#[cfg(feature = "tower")]
pub use plimsoll_tower as tower;
#[cfg(feature = "wait")]
pub use plimsoll_wait as wait;

#[doc(no_inline)]
pub use plimsoll_core::{
    AsRejected, Clock, ConfigError, Deadline, Error, GateExt, ManualClock, Outcome, Permit,
    Priority, Reason, Rejected, verdict,
};
