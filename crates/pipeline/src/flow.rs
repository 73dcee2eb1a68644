//! The parts that a pipeline is made of.

use crate::{
    crew::Crew,
    driver::Worker,
    feed::{Feed, pour},
    inlet::Inlet,
    item::{Item, Mark},
    outlet::Outlet,
    reorder::Reorder,
    work::Work,
};
use plimsoll_channel::{Builder, LoadHandle, Receiver, Sender};
use std::sync::Arc;

/// How many finished items may wait behind a stage, unless it is told otherwise.
pub(crate) const BUFFER: usize = 256;

/// A pipeline so far: a source, and the stages behind it. Named in signatures,
/// implemented by this crate alone.
///
/// # Example
///
/// ```
/// use plimsoll_pipeline::{Flow, Pipeline};
///
/// fn numbers(lines: Pipeline<impl Flow<Item = String>>) -> Pipeline<impl Flow<Item = u32>> {
///     lines.stage_sync("parse", |line: String| line.parse::<u32>())
/// }
/// # numbers(Pipeline::from_iter(vec![String::from("1")]));
/// ```
pub trait Flow: sealed::Parts {}

impl<P: sealed::Parts> Flow for P {}

pub(crate) mod sealed {
    use super::*;

    /// What a part of a pipeline can do.
    pub trait Parts: Send + 'static {
        /// What comes out of it.
        type Item: Send + 'static;
        /// The mark of that.
        type Mark: Mark;

        /// Starts its tasks. Where a next part follows, answers what that takes
        /// its items from; otherwise they are written.
        fn launch(self, crew: &mut Crew, then: Then)
        -> Vec<Receiver<Item<Self::Item, Self::Mark>>>;

        /// What can be set.
        fn settings(&mut self) -> &mut Settings;
    }
}
pub(crate) use sealed::Parts;

/// What comes behind a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Another part.
    More,
    /// Nothing.
    End,
}

/// What can be set for one part.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub(crate) workers: usize,
    pub(crate) ordered: bool,
    /// Finished items that may wait for the next part.
    pub(crate) buffer: usize,
    /// Finished items that may wait for one before them; `None`: as `buffer`.
    pub(crate) reorder: Option<usize>,
    /// All lanes end in one.
    pub(crate) merged: bool,
}

impl Settings {
    pub(crate) fn new() -> Self {
        Self { workers: 1, ordered: true, buffer: BUFFER, reorder: None, merged: false }
    }

    pub(crate) fn reorder(&self) -> usize {
        self.reorder.unwrap_or(self.buffer)
    }
}

/// One end for each lane, and what the next part takes them from.
pub(crate) struct Hops<T, M> {
    /// Empty at the end of the pipeline.
    senders: Vec<Sender<Item<T, M>>>,
    pub(crate) receivers: Vec<Receiver<Item<T, M>>>,
}

impl<T: Send, M: Send> Hops<T, M> {
    pub(crate) fn new(settings: &Settings, lanes: usize, then: Then) -> Self {
        let mut hops = Self { senders: Vec::new(), receivers: Vec::new() };
        if then == Then::End {
            return hops;
        }
        for lane in 0..lanes {
            if settings.merged && lane > 0 {
                hops.senders.push(hops.senders[0].clone());
                continue;
            }
            // Times are the stage's: the channel has no need of its own clock.
            let ends = Builder::new(settings.buffer).untimed().build();
            let (tx, rx) = ends.expect("a buffer of none is refused where it is set");
            hops.senders.push(tx);
            hops.receivers.push(rx);
        }
        hops
    }

    /// The way out of a lane whose workers keep no order.
    pub(crate) fn outlet(&self, lane: usize) -> Outlet<T, M> {
        self.senders.get(lane).map_or(Outlet::End, |tx| Outlet::On(tx.clone()))
    }

    /// The way out of a lane for several workers that keep its order.
    fn ordered(&self, lane: usize, room: usize) -> Outlet<T, M> {
        let order = || Arc::new(Reorder::new(room));
        self.senders.get(lane).map_or(Outlet::End, |tx| Outlet::InOrder(tx.clone(), order()))
    }
}

/// How full they are, for those who only look.
pub(crate) fn loads<T: Send + 'static>(receivers: &[Receiver<T>]) -> Vec<LoadHandle> {
    receivers.iter().map(Receiver::load_handle).collect()
}

/// The beginning of a pipeline.
pub struct Source<F> {
    pub(crate) feed: F,
    pub(crate) settings: Settings,
}

impl<F: Feed> Parts for Source<F> {
    type Item = F::Item;
    type Mark = F::Mark;

    fn launch(self, crew: &mut Crew, then: Then) -> Vec<Receiver<Item<F::Item, F::Mark>>> {
        let hops = Hops::new(&self.settings, 1, then);
        let control = crew.single("source".into(), Vec::new());
        crew.spawn(&control, pour(self.feed, hops.outlet(0), control.clone()));
        hops.receivers
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

/// A stage behind another part.
pub struct Step<P, W> {
    pub(crate) before: P,
    pub(crate) work: W,
    pub(crate) settings: Settings,
}

impl<P, W> Parts for Step<P, W>
where
    P: Parts,
    W: Work<P::Item, P::Mark>,
{
    type Item = W::Out;
    type Mark = W::OutMark;

    fn launch(self, crew: &mut Crew, then: Then) -> Vec<Receiver<Item<W::Out, W::OutMark>>> {
        let Self { before, work, settings } = self;
        let lanes = before.launch(crew, Then::More);
        let hops = Hops::new(&settings, lanes.len(), then);
        let controls = crew.stage(work.name(), settings.workers, loads(&lanes));
        let work = Arc::new(work);
        for (lane, (rx, controls)) in
            lanes.into_iter().zip(controls.chunks(settings.workers)).enumerate()
        {
            let outlet = if settings.workers > 1 && settings.ordered {
                hops.ordered(lane, settings.reorder())
            } else {
                hops.outlet(lane)
            };
            for control in controls {
                let inlet = Inlet::new(rx.clone());
                let (work, outlet) = (Arc::clone(&work), outlet.clone());
                let worker = Worker { work, inlet, outlet, control: control.clone() };
                crew.spawn(control, worker.run());
            }
        }
        hops.receivers
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }
}
