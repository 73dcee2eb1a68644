//! Where a worker's results go.

use crate::{
    item::{Fate, Item, Mark},
    pace::{CHUNK, most},
    reorder::{Reorder, Turn},
    stats::{Place, Slot, Tally},
};
use plimsoll_channel::{Closed, Sender};
use plimsoll_core::Load;
use std::{collections::VecDeque, mem, sync::Arc};

/// The way out of a worker.
pub(crate) enum Outlet<T, M> {
    /// To the next stage.
    On(Sender<Item<T, M>>),
    /// To the next stage, in the order of the input.
    InOrder(Sender<Item<T, M>>, Arc<Reorder<Item<T, M>>>),
    /// Nowhere: they are written.
    End,
}

impl<T, M> Clone for Outlet<T, M> {
    fn clone(&self) -> Self {
        match self {
            Self::On(tx) => Self::On(tx.clone()),
            Self::InOrder(tx, order) => Self::InOrder(tx.clone(), Arc::clone(order)),
            Self::End => Self::End,
        }
    }
}

/// What a worker has done and not yet handed over.
pub(crate) struct Done<T, M> {
    pub(crate) results: Vec<Item<T, M>>,
    /// Nobody takes them: what is done is written, and that at once, whatever
    /// becomes of the items after it.
    is_end: bool,
    /// The number of the first of the items that they come of.
    pub(crate) at: u64,
    /// How many those are.
    pub(crate) items: u64,
}

impl<T, M: Mark> Done<T, M> {
    #[inline]
    pub(crate) fn put(&mut self, item: Item<T, M>, tally: &mut Tally<'_>) {
        if self.is_end {
            tally.given(1);
            item.mark.end(Fate::Written, tally);
        } else {
            self.results.push(item);
        }
    }

    #[inline]
    pub(crate) fn put_some<const N: usize>(
        &mut self,
        items: [Item<T, M>; N],
        tally: &mut Tally<'_>,
    ) {
        if self.is_end {
            items.into_iter().for_each(|item| self.put(item, tally));
        } else {
            self.results.extend(items);
        }
    }

    pub(crate) fn put_all(&mut self, items: &mut Vec<Item<T, M>>, tally: &mut Tally<'_>) {
        if self.results.is_empty() && !self.is_end {
            mem::swap(&mut self.results, items);
        }
        items.drain(..).for_each(|item| self.put(item, tally));
    }

    /// What is to be handed over, without what lies elsewhere in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.results.len() * size_of::<Item<T, M>>()
    }

    fn is_empty(&self) -> bool {
        self.results.is_empty() && self.items == 0
    }
}

impl<T: Send, M: Mark> Outlet<T, M> {
    /// Where what is done gathers before it goes here.
    pub(crate) fn done(&self) -> Done<T, M> {
        let is_end = matches!(self, Self::End);
        Done { results: Vec::new(), is_end, at: 0, items: 0 }
    }

    /// How many results are handed over at once, at the most.
    pub(crate) fn room(&self) -> usize {
        let most = most::<Item<T, M>>();
        match self {
            Self::On(tx) | Self::InOrder(tx, _) => tx.capacity().unwrap_or(most).min(most),
            Self::End => CHUNK,
        }
    }

    /// How many results to make next, of up to `room`: as many as fit now, if
    /// those are not too few. Whoever makes more has to divide them, and all
    /// that follow, where the queue is full.
    #[inline]
    pub(crate) fn next(&self, room: usize) -> usize {
        match self {
            Self::On(tx) | Self::InOrder(tx, _) => {
                let free = room.saturating_sub(tx.load());
                if free >= room / 4 { free.max(1) } else { room }
            }
            Self::End => room,
        }
    }

    /// Whether nobody else's results come before what is done.
    pub(crate) fn is_next(&self, done: &Done<T, M>) -> bool {
        match self {
            Self::InOrder(_, order) => order.is_next(done.at),
            Self::On(_) | Self::End => true,
        }
    }

    /// Hands over what is done, waiting for room where there is none.
    pub(crate) async fn hand_over(
        &self,
        done: &mut Done<T, M>,
        place: &Place<'_>,
    ) -> Result<(), Closed> {
        if done.is_empty() {
            return Ok(());
        }
        match self {
            Self::On(tx) => {
                done.items = 0;
                if !done.results.is_empty() {
                    place.slot.given.add(done.results.len() as u64);
                    send(tx, &mut done.results).await?;
                }
            }
            Self::End => done.items = 0,
            Self::InOrder(tx, order) => in_order(tx, order, done, place.slot).await?,
        }
        Ok(())
    }
}

/// Gathers in a vector and goes as a deque: the same memory, and a vector is
/// faster to fill.
#[inline]
async fn send<T>(tx: &Sender<T>, results: &mut Vec<T>) -> Result<(), Closed> {
    let mut all = VecDeque::from(mem::take(results));
    tx.send_all(&mut all).await?;
    *results = all.into();
    Ok(())
}

async fn in_order<T, M>(
    tx: &Sender<Item<T, M>>,
    order: &Reorder<Item<T, M>>,
    done: &mut Done<T, M>,
    slot: &Slot,
) -> Result<(), Closed> {
    let Done { results, at, items, .. } = done;
    let count = results.len() as u64;
    let turn = order.turn(*at, *items, results).await;
    slot.given.add(count);
    let mut items = mem::take(items);
    *at += items;
    match turn {
        Turn::Left => return Ok(()),
        Turn::Broken => return Err(Closed),
        Turn::Pass => {}
    }
    send(tx, results).await?;
    while let Some((more, mut following)) = order.passed(items) {
        items = more;
        send(tx, &mut following).await?;
    }
    Ok(())
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_made_than_fits_now_unless_that_is_too_little() {
        let (tx, _rx) = plimsoll_channel::bounded(100);
        let outlet = Outlet::On(tx.clone());
        for (queued, next) in [(0, 100), (63, 37), (75, 25), (76, 100), (100, 100)] {
            while tx.load() < queued {
                tx.try_send(Item { value: (), mark: () }).expect("it is not full");
            }
            assert_eq!(outlet.next(100), next, "{queued} of 100");
        }
        assert_eq!(Outlet::<(), ()>::End.next(100), 100);
    }

    #[test]
    fn a_queue_of_one_gets_one() {
        let (tx, _rx) = plimsoll_channel::bounded(1);
        let outlet = Outlet::On(tx.clone());
        assert_eq!(outlet.next(1), 1);
        tx.try_send(Item { value: (), mark: () }).expect("it is empty");
        assert_eq!(outlet.next(1), 1);
    }
}
