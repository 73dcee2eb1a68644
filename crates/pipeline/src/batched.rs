//! Groups of items as one, by size and time.

use crate::{
    crew::{Control, Crew},
    driver::breathe,
    flow::{Hops, Parts, Settings, Then, loads},
    inlet::{Inlet, Portion},
    item::{Item, Mark, Together},
    outlet::Outlet,
    stats::{Place, Stopwatch, What},
};
use plimsoll_channel::Receiver;
use std::{
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// Memory is set aside for so many items at most before they come.
const AHEAD: usize = 1024;
/// A wait that nobody sees the end of.
const YEARS: Duration = Duration::from_secs(30 * 365 * 86_400);

/// Groups of what comes out of a part.
pub struct Batches<P> {
    pub(crate) before: P,
    pub(crate) size: usize,
    pub(crate) linger: Duration,
    pub(crate) settings: Settings,
}

impl<P: Parts> Parts for Batches<P> {
    type Item = Vec<P::Item>;
    type Mark = Together<P::Mark>;

    fn launch(self, crew: &mut Crew, then: Then) -> Vec<Receiver<Item<Self::Item, Self::Mark>>> {
        let Self { before, size, linger, settings } = self;
        let lanes = before.launch(crew, Then::More);
        let hops = Hops::new(&settings, lanes.len(), then);
        let controls = crew.stage("batch".into(), 1, loads(&lanes));
        for (lane, (rx, control)) in lanes.into_iter().zip(controls).enumerate() {
            let inlet = Inlet::new(rx);
            let group = Group {
                values: Vec::new(),
                marks: Vec::new(),
                size,
                linger,
                due: None,
                timer: None,
            };
            crew.spawn(&control, gather(inlet, hops.outlet(lane), group, control.clone()));
        }
        hops.receivers
    }

    fn settings(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

/// The group under way.
struct Group<T, M> {
    values: Vec<T>,
    marks: Vec<M>,
    size: usize,
    linger: Duration,
    /// When it is old: known from its first chunk on, unless that filled it.
    due: Option<Instant>,
    /// Set when there was no input.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T, M> Group<T, M> {
    fn push(&mut self, item: Item<T, M>) {
        if self.values.is_empty() {
            self.values.reserve_exact(self.size.min(AHEAD));
            self.marks.reserve_exact(self.size.min(AHEAD));
        }
        self.values.push(item.value);
        self.marks.push(item.mark);
    }

    fn is_full(&self) -> bool {
        self.values.len() >= self.size
    }

    fn take(&mut self) -> Item<Vec<T>, Together<M>> {
        (self.due, self.timer) = (None, None);
        Item { value: mem::take(&mut self.values), mark: Together(mem::take(&mut self.marks)) }
    }

    /// Whether its first item has waited long enough: asked after each chunk, for
    /// there may always be another.
    fn is_old(&mut self) -> bool {
        let now = Instant::now();
        let linger = self.linger;
        let due = || now.checked_add(linger).unwrap_or(now + YEARS);
        !self.values.is_empty() && *self.due.get_or_insert_with(due) <= now
    }

    /// Ready when it is old; asked when there is no input.
    fn poll_old(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else { return Poll::Pending };
        self.timer.get_or_insert_with(|| Box::pin(sleep_until(due))).as_mut().poll(cx)
    }
}

/// The task that gathers groups. At the end of the input the last one comes.
async fn gather<T: Send + 'static, M: Mark>(
    mut inlet: Inlet<Item<T, M>>,
    outlet: Outlet<Vec<T>, Together<M>>,
    mut group: Group<T, M>,
    control: Control,
) {
    let slot = &control.meter.slots[control.worker];
    let place = Place { slot, ledger: &control.registry.ledger };
    let mut watch = Stopwatch::start(slot, &**control.registry.clock());
    let mut done = outlet.done();
    loop {
        let room = group.size - group.values.len();
        let (take, items) = inlet.take(room);
        let mut take = pin!(take);
        let next = poll_fn(|cx| match take.as_mut().poll(cx) {
            Poll::Ready(chunk) => Poll::Ready(Some(chunk)),
            Poll::Pending => group.poll_old(cx).map(|()| None),
        });
        let mut ended = false;
        match watch.wait(What::Starved, pin!(next)).await {
            Some(Some(chunk)) => {
                let taken = Portion::of(chunk, items);
                slot.taken.add(taken.items.len() as u64);
                taken.items.for_each(|item| group.push(item));
            }
            Some(None) => ended = true,
            None => done.put(group.take(), &mut place.tally()),
        }
        if group.is_full() || group.is_old() || (ended && !group.values.is_empty()) {
            done.put(group.take(), &mut place.tally());
        }
        watch.lap(What::Busy);
        let handed = watch.wait(What::Blocked, pin!(outlet.hand_over(&mut done, &place))).await;
        if handed.is_err() || ended {
            return;
        }
        breathe(&mut watch).await;
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_group_gets_old_while_there_is_always_more() {
        let (values, marks, linger) = (Vec::new(), Vec::new(), Duration::from_millis(10));
        let mut group = Group { values, marks, size: 1_000, linger, due: None, timer: None };
        let mut pushed = 0;
        while !group.is_old() {
            tokio::time::advance(Duration::from_millis(1)).await;
            group.push(Item { value: (), mark: () });
            pushed += 1;
        }
        assert_eq!(pushed, 11, "the first, and ten that came within ten milliseconds");
        group.take();
        assert!(!group.is_old(), "none is");
    }
}
