//! One stream into several lanes, and several pipelines into one.

use crate::{
    crew::{Control, Crew},
    driver::breathe,
    flow::{Hops, Parts, Settings, Then, loads},
    inlet::{Inlet, Portion},
    item::{Item, Mark},
    outlet::Outlet,
    pace::Pace,
    stats::{Place, Stopwatch, What},
};
use plimsoll_channel::Receiver;
use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    pin::pin,
    sync::Arc,
};

/// Lanes: what comes behind stands in each of them, and items with equal keys
/// take the same one.
pub struct Split<P, F> {
    pub(crate) before: P,
    pub(crate) lanes: usize,
    pub(crate) key: F,
    pub(crate) settings: Settings,
}

impl<P, F, K> Parts for Split<P, F>
where
    P: Parts,
    F: Fn(&P::Item) -> K + Send + Sync + 'static,
    K: Hash,
{
    type Item = P::Item;
    type Mark = P::Mark;

    fn launch(self, crew: &mut Crew, then: Then) -> Vec<Receiver<Item<P::Item, P::Mark>>> {
        let Self { before, lanes, key, settings } = self;
        let inputs = before.launch(crew, Then::More);
        let hops = Hops::new(&settings, lanes, then);
        let lane_of = Arc::new(move |item: &P::Item| {
            let mut hasher = DefaultHasher::new();
            key(item).hash(&mut hasher);
            lane_of(hasher.finish(), lanes)
        });
        let controls = crew.stage("split".into(), 1, loads(&inputs));
        for (rx, control) in inputs.into_iter().zip(controls) {
            let inlet = Inlet::new(rx);
            let outlets = (0..lanes).map(|lane| hops.outlet(lane)).collect();
            let lane_of = Arc::clone(&lane_of);
            crew.spawn(&control, route(inlet, outlets, move |item| lane_of(item), control.clone()));
        }
        hops.receivers
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

/// A lane for a hash, all lanes alike.
fn lane_of(hash: u64, lanes: usize) -> usize {
    let scaled = (u128::from(hash) * lanes as u128) >> 64;
    usize::try_from(scaled).unwrap_or(0)
}

/// The task that sends each item down its lane.
pub(crate) async fn route<T: Send + 'static, M: Mark>(
    mut inlet: Inlet<Item<T, M>>,
    outlets: Vec<Outlet<T, M>>,
    lane_of: impl Fn(&T) -> usize + Send,
    control: Control,
) {
    let slot = &control.meter.slots[control.worker];
    let place = Place { slot, ledger: &control.registry.ledger };
    let mut watch = Stopwatch::start(slot, &**control.registry.clock());
    let mut pace = Pace::new();
    let mut lanes: Vec<_> = outlets.iter().map(Outlet::done).collect();
    loop {
        let (next, items) = inlet.take(pace.size());
        let Some(chunk) = watch.wait(What::Starved, pin!(next)).await else { return };
        let taken = Portion::of(chunk, items);
        let (size, began) = (taken.items.len(), watch.at());
        slot.taken.add(size as u64);
        let mut tally = place.tally();
        for item in taken.items {
            // The key is the user's code: if it panics, this item is the one that failed.
            let Item { value, mark } = item;
            let hand = place.in_hand(mark);
            let lane = lane_of(&value);
            lanes[lane].put(Item { value, mark: hand.back() }, &mut tally);
        }
        drop(tally);
        let now = watch.lap(What::Busy);
        pace.took(size, now.since(began), false);
        for (outlet, done) in outlets.iter().zip(&mut lanes) {
            watch.carried += done.bytes();
            if watch.wait(What::Blocked, pin!(outlet.hand_over(done, &place))).await.is_err() {
                return;
            }
        }
        breathe(&mut watch).await;
    }
}

/// Two pipelines, or all lanes of one, behind each other in one stream as they
/// come.
pub struct Merge<A, B> {
    pub(crate) one: A,
    pub(crate) other: B,
    pub(crate) settings: Settings,
}

impl<A, B> Parts for Merge<A, B>
where
    A: Parts,
    B: Parts<Item = A::Item, Mark = A::Mark>,
{
    type Item = A::Item;
    type Mark = A::Mark;

    fn launch(self, crew: &mut Crew, then: Then) -> Vec<Receiver<Item<A::Item, A::Mark>>> {
        let Self { one, other, mut settings } = self;
        let mut inputs = one.launch(crew, Then::More);
        inputs.extend(crew.beside(|crew| other.launch(crew, Then::More)));
        settings.merged = true;
        let hops = Hops::new(&settings, inputs.len(), then);
        let controls = crew.stage("merge".into(), 1, loads(&inputs));
        for (lane, (rx, control)) in inputs.into_iter().zip(controls).enumerate() {
            let inlet = Inlet::new(rx);
            let outlets = vec![hops.outlet(lane)];
            crew.spawn(&control, route(inlet, outlets, |_| 0, control.clone()));
        }
        hops.receivers
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }
}
