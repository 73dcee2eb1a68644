//! Ours, through the calls that users make.

use super::AMPLE;
use crate::{
    calls::{ended, finished, held},
    rounds::{Subject, admitted},
};
use plimsoll_backpressure::ConcurrencyLimit;
use plimsoll_core::GateExt;
use std::{convert::Infallible, future::ready, mem, sync::Arc, time::Duration};

pub(super) fn tried(name: &str, places: u32) -> Subject {
    Subject::shared(name, || ConcurrencyLimit::new(places), |limit| finished(limit, &()))
}

fn ample() -> ConcurrencyLimit {
    ConcurrencyLimit::new(AMPLE)
}

/// A permit that may go to another task: it holds the limit by an `Arc`.
pub(super) fn tried_owned(name: &str) -> Subject {
    Subject::shared(name, || Arc::new(ample()), |limit| held(limit.try_admit_owned()))
}

/// As a server would set it: it may wait, and here never has to.
pub(super) fn awaited(name: &str) -> Subject {
    let limit = || ample().wait_at_most(Duration::from_millis(100));
    Subject::shared(name, limit, |limit| ended(limit.admit()).is_some_and(held))
}

pub(super) fn awaited_owned(name: &str) -> Subject {
    Subject::shared(
        name,
        || Arc::new(ample()),
        |limit| ended(limit.admit_owned()).is_some_and(held),
    )
}

pub(super) fn run(name: &str) -> Subject {
    Subject::shared(name, ample, |limit| {
        ended(limit.run(ready(Ok::<_, Infallible>(())))).is_some_and(admitted)
    })
}

/// Its one place is taken for ever.
fn full() -> ConcurrencyLimit {
    let limit = ConcurrencyLimit::new(1).wait_at_most(Duration::ZERO);
    mem::forget(limit.try_admit());
    limit
}

pub(super) fn refused(name: &str) -> Subject {
    Subject::shared(name, full, |limit| held(limit.try_admit()))
}

pub(super) fn refused_awaiting(name: &str) -> Subject {
    Subject::shared(name, full, |limit| ended(limit.admit()).is_some_and(held))
}
