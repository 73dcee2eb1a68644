//! Workers that pull from one source.
//!
//! `state` is the account, `shared` its locks, `hand` what one worker holds of
//! it, and `worker` the task. `run`, `pace` and `idle` are parts of the account.

mod hand;
mod idle;
#[cfg(all(test, plimsoll_loom))]
mod models;
mod pace;
mod run;
mod shared;
mod state;
mod worker;

pub(crate) use self::{
    hand::Hand,
    run::Run,
    shared::Shared,
    state::Bounds,
    worker::{Leave, run_all, work},
};
