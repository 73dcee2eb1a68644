//! One worker of a stage: takes chunks, calls the stage's function, and hands
//! over what comes of it.

use crate::{
    crew::Control,
    inlet::{Inlet, Portion},
    item::{Item, Mark},
    join::beside,
    outlet::{Done, Outlet},
    pace::{BYTES, Pace, most},
    reorder::Reorder,
    shape::Yield,
    stats::{Place, Slot, Stopwatch, What},
    work::{Fatal, Start, Work},
};
use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};
use tokio::task::yield_now;

/// A worker that always finds something to do lets others run so often.
const YIELD_AFTER: Duration = Duration::from_micros(200);

/// Results of up to so many bytes are put behind the others four at a time: a
/// vector that grows by one has to wait each time until its length has been stored.
const SMALL: usize = 64;

/// Everything that one worker has.
pub(crate) struct Worker<T, M: Mark, W: Work<T, M>> {
    pub(crate) work: Arc<W>,
    pub(crate) inlet: Inlet<Item<T, M>>,
    pub(crate) outlet: Outlet<W::Out, W::OutMark>,
    pub(crate) control: Control,
}

impl<T: Send + 'static, M: Mark, W: Work<T, M>> Worker<T, M, W> {
    /// Works until there is no more input, nobody takes the output, or a call
    /// fails for good.
    pub(crate) async fn run(mut self) {
        let slot = &self.control.meter.slots[self.control.worker];
        let place = Place { slot, ledger: &self.control.registry.ledger };
        let order = match &self.outlet {
            Outlet::InOrder(_, order) => Some(Arc::clone(order)),
            Outlet::On(_) | Outlet::End => None,
        };
        let mut unfinished = Unfinished(order);
        let mut watch = Stopwatch::start(slot, &**self.control.registry.clock());
        let mut pace = Pace::new();
        // Of many that come of one item, so many are handed over together.
        let mut pull = Pace::new();
        let mut done = self.outlet.done();
        // No more results at once than the next queue can take.
        let room = self.outlet.room().min(most::<Item<T, M>>());
        while !self.control.is_cut() {
            let max =
                pace.share(self.control.workers, || self.inlet.len()).min(self.outlet.next(room));
            let (next, items) = self.inlet.take(max);
            let Some(chunk) = watch.wait(What::Starved, pin!(next)).await else {
                unfinished.0 = None;
                return;
            };
            let mut taken = Portion::of(chunk, items);
            let size = taken.items.len();
            slot.taken.add(size as u64);
            let began = watch.at();
            let mut waited = false;
            done.at = taken.first();
            loop {
                let mut call = pin!(None);
                let rush = |cx: &mut Context<'_>| {
                    let (work, slot) = (&*self.work, call.as_mut());
                    let finish = |rest| work.finish(rest, &place);
                    Poll::Ready(rush(cx, work, &mut taken, &mut done, slot, finish, &place))
                };
                let step = poll_fn(rush).await;
                let result = match step {
                    Rush::Empty => break,
                    Rush::Ready(result) => self.control.told(result),
                    Rush::Pending => {
                        waited = true;
                        taken.release();
                        let call = pin!(poll_fn(|cx| match call.as_mut().as_pin_mut() {
                            Some(call) => call.poll(cx),
                            None => unreachable!("it is pending"),
                        }));
                        let mut hand_over = pin!(self.outlet.hand_over(&mut done, &place));
                        let (result, handed) = beside(call, hand_over.as_mut()).await;
                        let result = self.control.told(result);
                        let handed = match handed {
                            Some(handed) => handed,
                            None => {
                                watch.lap(What::Busy);
                                watch.wait(What::Blocked, hand_over).await
                            }
                        };
                        if handed.is_err() {
                            if let Some(Yield::Ended(fate, mark)) = result {
                                mark.end(fate, &mut place.tally());
                            }
                            return;
                        }
                        result
                    }
                };
                match result {
                    Some(Yield::Outs(outs)) => {
                        let _pulling = Pulling(slot);
                        let mut since = 0;
                        for out in outs {
                            done.put(out, &mut place.tally());
                            since += 1;
                            let is_full = done.results.len() >= room;
                            if since < pull.size() && !is_full {
                                continue;
                            }
                            let began = watch.at();
                            pull.took(since, watch.lap(What::Busy).since(began), false);
                            since = 0;
                            if !is_full && !self.outlet.is_next(&done) {
                                continue; // rather than wait for others in the middle
                            }
                            watch.carried += done.bytes();
                            let hand_over = self.outlet.hand_over(&mut done, &place);
                            if watch.wait(What::Blocked, pin!(hand_over)).await.is_err() {
                                return;
                            }
                            breathe(&mut watch).await;
                        }
                    }
                    Some(Yield::Ended(fate, mark)) => mark.end(fate, &mut place.tally()),
                    None => {
                        // What went well before it goes on.
                        let hand_over = self.outlet.hand_over(&mut done, &place);
                        let _ = watch.wait(What::Blocked, pin!(hand_over)).await;
                        return;
                    }
                }
                done.items += 1;
            }
            drop(taken);
            let now = watch.lap(What::Busy);
            pace.took(size, now.since(began), waited);
            watch.carried += done.bytes();
            if watch
                .wait(What::Blocked, pin!(self.outlet.hand_over(&mut done, &place)))
                .await
                .is_err()
            {
                return;
            }
            breathe(&mut watch).await;
        }
    }
}

/// How far [`rush`] came.
enum Rush<I, M> {
    /// Through the whole chunk.
    Empty,
    /// To an item with more to do than to put one result behind the others.
    Ready(Result<Yield<I, M>, Fatal>),
    /// To a call that has to wait.
    Pending,
}

/// Goes through a chunk for as long as calls are ready at once and give one
/// result each: apart from the worker, so that what it needs is in registers.
#[inline]
fn rush<T, M, W, F>(
    cx: &mut Context<'_>,
    work: &W,
    taken: &mut Portion<'_, Item<T, M>>,
    done: &mut Done<W::Out, W::OutMark>,
    mut call: Pin<&mut Option<F>>,
    finish: impl Fn(W::Rest) -> F,
    place: &Place<'_>,
) -> Rush<W::Outs, M>
where
    M: Mark,
    W: Work<T, M>,
    F: Future<Output = Result<Yield<W::Outs, M>, Fatal>>,
{
    let mut tally = place.tally();
    let before = taken.items.len();
    // The one result of the next item; or, if it is not that simple, how it began.
    let mut next = || {
        let Some(item) = taken.items.next() else { return Err(None) };
        match work.start(item, place) {
            Start::Done(Yield::Outs(mut outs)) if matches!(outs.size_hint(), (1, Some(1))) => {
                outs.next().ok_or(None)
            }
            start => Err(Some(start)),
        }
    };
    let rush = loop {
        let start = loop {
            let one = match next() {
                Ok(one) => one,
                Err(start) => break start,
            };
            if size_of::<Item<W::Out, W::OutMark>>() > SMALL {
                done.put(one, &mut tally);
                continue;
            }
            let two = match next() {
                Ok(two) => two,
                Err(start) => {
                    done.put_some([one], &mut tally);
                    break start;
                }
            };
            let three = match next() {
                Ok(three) => three,
                Err(start) => {
                    done.put_some([one, two], &mut tally);
                    break start;
                }
            };
            match next() {
                Ok(four) => done.put_some([one, two, three, four], &mut tally),
                Err(start) => {
                    done.put_some([one, two, three], &mut tally);
                    break start;
                }
            }
        };
        let result = match start {
            None => break Rush::Empty,
            Some(Start::Done(done)) => Ok(done),
            Some(Start::Rest(rest)) => {
                call.set(Some(finish(rest)));
                let Some(later) = call.as_mut().as_pin_mut() else { break Rush::Pending };
                match later.poll(cx) {
                    Poll::Pending => break Rush::Pending,
                    // Taken from where it was written: moved first, it takes twice as long.
                    Poll::Ready(Ok(Yield::Outs(mut outs)))
                        if matches!(outs.size_hint(), (1, Some(1))) =>
                    {
                        if let Some(out) = outs.next() {
                            done.put(out, &mut tally);
                        }
                        call.set(None);
                        continue;
                    }
                    Poll::Ready(result) => {
                        call.set(None);
                        result
                    }
                }
            }
        };
        match result {
            Ok(Yield::Outs(mut outs)) if matches!(outs.size_hint(), (_, Some(1))) => {
                if let Some(out) = outs.next() {
                    done.put(out, &mut tally);
                }
            }
            Ok(Yield::Ended(fate, mark)) => mark.end(fate, &mut tally),
            other => break Rush::Ready(other),
        }
    };
    // The last, unless it is finished, is the caller's to count.
    let gone = before - taken.items.len() - usize::from(!matches!(rush, Rush::Empty));
    done.items += gone as u64;
    rush
}

/// Lets others run, if that was long or many bytes ago.
#[inline]
pub(crate) async fn breathe(watch: &mut Stopwatch<'_>) {
    if watch.at().since(watch.rested) > YIELD_AFTER || watch.carried >= BYTES {
        yield_now().await;
        watch.rest();
    }
}

/// A stage pulls what its function made of an item. If that panics, the item
/// failed here.
struct Pulling<'a>(&'a Slot);

impl Drop for Pulling<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.add(1);
        }
    }
}

/// Breaks the order off unless the worker has seen the end of its input: the
/// numbers that it has will not come.
struct Unfinished<T>(Option<Arc<Reorder<T>>>);

impl<T> Drop for Unfinished<T> {
    fn drop(&mut self) {
        if let Some(order) = self.0.take() {
            order.break_off();
        }
    }
}
