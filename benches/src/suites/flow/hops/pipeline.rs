//! The same three hops as users write them: a source, two stages and a sink.

use super::Item;
use crate::rounds::Subject;
use plimsoll_pipeline::{CancellationToken, Pipeline};
use std::{convert::Infallible, hint::black_box};

pub(super) fn hops<T: Item>(name: &str, capacity: usize) -> Subject {
    Subject::flow(name, move |items| async move {
        let changed = |item: T| Ok::<_, Infallible>(item.changed());
        let report = Pipeline::from_iter((0..items).map(T::new))
            .buffer(capacity)
            .stage_sync("a", changed)
            .buffer(capacity)
            .stage_sync("b", changed)
            .buffer(capacity)
            .sink_sync("sink", |item| {
                black_box(item.value());
                Ok::<_, Infallible>(())
            })
            .run(CancellationToken::new())
            .await;
        report.map_or(0, |report| report.written)
    })
}
