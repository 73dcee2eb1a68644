#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backoff;
mod budget;
mod draws;
mod error;
mod hedge;
mod judge;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod observe;
mod plan;
mod quantile;
mod race;
mod retry;
mod run;
mod sync;

pub use crate::{
    backoff::Jitter,
    budget::{Reserved, RetryBudget, Withdrawal},
    error::{RetryError, Stop},
    hedge::Hedge,
    judge::{EveryError, Judge, Refusals, RetryAfter, RetryIf, StopIf, Verdict},
    observe::{HedgeEvent, Observe, ObserveHedge, OnGiveUp, OnHedge, OnRetry, Unobserved},
    retry::Retry,
    run::Begun,
};
