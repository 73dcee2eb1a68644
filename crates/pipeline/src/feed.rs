//! Where the items of a pipeline come from.

use crate::{
    ack::{Ack, Acked},
    crew::Control,
    driver::breathe,
    item::{Item, Mark},
    outlet::Outlet,
    pace::Pace,
    stats::{Place, Stopwatch, What},
};
use futures_core::Stream;
use plimsoll_channel::Receiver;
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

/// A source of items.
pub trait Feed: Send + 'static {
    /// A value.
    type Item: Send + 'static;
    /// Its mark.
    type Mark: Mark;

    /// Takes up to `max` items, as many as are there, at the end of `into`.
    /// Ready with whether there may be more; pending only if it took none.
    fn poll_feed(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        into: &mut Vec<Item<Self::Item, Self::Mark>>,
    ) -> Poll<bool>;

    /// Nothing new is wanted. Whether there is still something old.
    fn stop(&mut self) -> bool {
        false
    }
}

/// The items of an iterator.
#[derive(Debug)]
pub struct FromIter<I>(pub(crate) I);

impl<I: Iterator<Item: Send + 'static> + Send + 'static> Feed for FromIter<I> {
    type Item = I::Item;
    type Mark = ();

    #[inline]
    fn poll_feed(
        &mut self,
        _: &mut Context<'_>,
        max: usize,
        into: &mut Vec<Item<I::Item, ()>>,
    ) -> Poll<bool> {
        let before = into.len();
        into.extend(self.0.by_ref().take(max).map(|value| Item { value, mark: () }));
        Poll::Ready(into.len() - before == max)
    }
}

/// The items of a stream.
#[derive(Debug)]
pub struct FromStream<S>(pub(crate) Pin<Box<S>>);

impl<S: Stream<Item: Send + 'static> + Send + 'static> Feed for FromStream<S> {
    type Item = S::Item;
    type Mark = ();

    fn poll_feed(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        into: &mut Vec<Item<S::Item, ()>>,
    ) -> Poll<bool> {
        poll_stream(self.0.as_mut(), cx, max, |value| into.push(Item { value, mark: () }))
    }
}

/// The items of a stream, each with its acknowledgement.
#[derive(Debug)]
pub struct FromAcked<S>(pub(crate) Pin<Box<S>>);

impl<S, T, A> Feed for FromAcked<S>
where
    S: Stream<Item = (T, A)> + Send + 'static,
    T: Send + 'static,
    A: Ack,
{
    type Item = T;
    type Mark = Acked<A>;

    fn poll_feed(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        into: &mut Vec<Item<T, Acked<A>>>,
    ) -> Poll<bool> {
        poll_stream(self.0.as_mut(), cx, max, |(value, ack)| {
            into.push(Item { value, mark: Acked(ack) });
        })
    }
}

fn poll_stream<S: Stream>(
    mut stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    max: usize,
    mut put: impl FnMut(S::Item),
) -> Poll<bool> {
    for taken in 0..max {
        match stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(item)) => put(item),
            Poll::Ready(None) => return Poll::Ready(false),
            Poll::Pending if taken == 0 => return Poll::Pending,
            Poll::Pending => break,
        }
    }
    Poll::Ready(true)
}

/// The items of a channel.
#[derive(Debug)]
pub struct FromChannel<T>(pub(crate) Receiver<T>);

impl<T: Send + 'static> Feed for FromChannel<T> {
    type Item = T;
    type Mark = ();

    fn poll_feed(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
        into: &mut Vec<Item<T, ()>>,
    ) -> Poll<bool> {
        poll_stream(Pin::new(&mut self.0), cx, max, |value| {
            into.push(Item { value, mark: () });
        })
    }

    /// What is in the channel was accepted, and is processed; no more goes in.
    fn stop(&mut self) -> bool {
        self.0.close();
        true
    }
}

/// What a source gave. It is counted in any case: if the source panics, what it
/// gave before was read, and is dropped.
struct Taken<'a, T> {
    items: Vec<T>,
    place: &'a Place<'a>,
}

impl<T> Taken<'_, T> {
    fn count(&self) -> usize {
        let items = self.items.len();
        self.place.ledger.read(items as u64);
        self.place.slot.taken.add(items as u64);
        items
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.count();
    }
}

/// The task of a source: takes items, counts them, and hands them over.
pub(crate) async fn pour<F: Feed>(mut feed: F, outlet: Outlet<F::Item, F::Mark>, control: Control) {
    let registry = &control.registry;
    let slot = &control.meter.slots[control.worker];
    let place = Place { slot, ledger: &registry.ledger };
    let mut watch = Stopwatch::start(slot, &**registry.clock());
    let mut pace = Pace::new();
    // No more than the queue can take at once: it takes a whole deque as it is.
    let room = outlet.room();
    let mut done = outlet.done();
    let mut taken = Taken { items: Vec::new(), place: &place };
    let mut stopped = pin!(registry.stopped.cancelled());
    let mut stopping = false;
    // Listens at all times, also while there is no room for what was taken.
    // Whoever has to wait is woken by the signal; the flag costs less to look at.
    let mut is_told_to_stop = |cx: &mut Context<'_>, waits: bool| {
        let told = registry.is_stopping() || (waits && stopped.as_mut().poll(cx).is_ready());
        told && !std::mem::replace(&mut stopping, true)
    };
    let mut more = true;
    while more {
        let began = watch.at();
        let mut waited = false;
        let take = poll_fn(|cx| {
            loop {
                if is_told_to_stop(cx, waited) {
                    registry.note_stopped();
                    if !feed.stop() {
                        return Poll::Ready(false);
                    }
                }
                let poll = feed.poll_feed(cx, pace.size().min(outlet.next(room)), &mut taken.items);
                if poll.is_ready() || std::mem::replace(&mut waited, true) {
                    return poll;
                }
            }
        });
        more = watch.wait(What::Busy, pin!(take)).await;
        let items = taken.count();
        done.put_all(&mut taken.items, &mut place.tally());
        let now = watch.lap(What::Busy);
        pace.took(items, now.since(began), waited);
        watch.carried += done.bytes();
        let mut hand_over = pin!(outlet.hand_over(&mut done, &place));
        let handing_over = poll_fn(|cx| {
            let poll = hand_over.as_mut().poll(cx);
            if more && is_told_to_stop(cx, poll.is_pending()) {
                registry.note_stopped();
                more = feed.stop();
            }
            poll
        });
        if watch.wait(What::Blocked, pin!(handing_over)).await.is_err() {
            return;
        }
        breathe(&mut watch).await;
    }
}
