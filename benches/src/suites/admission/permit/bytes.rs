//! Budgets of bytes: permits of different weights.

use crate::{
    bench::Group,
    calls::{finished, held},
    rounds::{Expect, Subject},
};
use plimsoll_backpressure::{ByteBudget, ConcurrencyLimit};
use plimsoll_core::{GateExt, Weighted};
use std::{hint::black_box, sync::Arc};
use tokio::sync::Semaphore;

/// A request, and the room for more of them than two threads ask for.
const BODY: u64 = 4 << 10;
const ROOM: u32 = 64 << 20;

/// What a request weighs is told by a function, as in a service.
type Weight = fn(&u64) -> u64;
const LENGTH: Weight = |length| *length;

fn ours<G>(name: &str, make: fn() -> Weighted<G, Weight>) -> Subject
where
    G: plimsoll_core::Weigh + 'static,
{
    Subject::shared(name, make, |gate| finished(gate, black_box(&BODY)))
}

fn part() -> Weighted<ByteBudget, Weight> {
    Arc::new(ByteBudget::new(ROOM.into())).part(u64::from(ROOM) / 2).weighted(LENGTH)
}

/// tokio's, by the same weight: at most `u32` at once.
fn tokio(name: &str) -> Subject {
    Subject::shared(
        name,
        || Semaphore::new(ROOM as usize),
        |semaphore| {
            let weight = u32::try_from(black_box(BODY)).expect("some KiB");
            held(semaphore.try_acquire_many(weight))
        },
    )
}

pub(super) fn taken() -> Group {
    Group::new(Expect::Admitted)
        .ours(ours("byte budget, 4 KiB", || ByteBudget::new(ROOM.into()).weighted(LENGTH)), &[])
        .ours(ours("byte budget, 4 KiB, a part of a whole", part), &[])
        .ours(ours("permit, try, weighted", || ConcurrencyLimit::new(ROOM).weighted(LENGTH)), &[])
        .peer(tokio("tokio try_acquire_many"))
}
