//! Items of one key go to one worker.

use crate::{
    Answer, Failure, Plain, Work,
    caught::caught,
    load::Hints,
    outlet::Outlet,
    pool::{self, Bounds, Hand, Leave},
};
use futures_core::Stream;
use std::{
    hash::{BuildHasher, Hash, RandomState},
    pin::Pin,
    sync::Arc,
};
use tokio::sync::{
    Semaphore,
    mpsc::{self, Receiver, Sender},
};

/// What a worker's line holds by default.
const LINE: usize = 16;

/// An async function, and the key of an item: see
/// [`fan_out_by_key`](crate::FanOutExt::fan_out_by_key).
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
/// use plimsoll_fanout::FanOutExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let payments = [("ann", 5), ("bob", 7), ("ann", -3)];
/// let booked = stream::iter(payments).fan_out_by_key(
///     4,
///     |(account, _)| *account,
///     |(account, amount)| async move { (account, amount) }, // never two of Ann's at once
/// );
/// let booked: Vec<_> = booked.map(Result::unwrap).collect().await;
/// let of_ann: Vec<_> = booked.iter().filter(|(account, _)| *account == "ann").collect();
/// assert_eq!(of_ann, [&("ann", 5), &("ann", -3)]);
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ByKey<K, F> {
    key: K,
    work: Plain<F>,
}

impl<K, F> ByKey<K, F> {
    pub(crate) fn new(key: K, work: F) -> Self {
        Self { key, work: Plain(work) }
    }
}

impl<T, Q, K, F> Work<T> for ByKey<K, F>
where
    T: Send,
    Q: Hash + 'static,
    K: Fn(&T) -> Q + Send + Sync + 'static,
    F: Send + Sync + 'static,
    Plain<F>: Work<T>,
{
    type Output = <Plain<F> as Work<T>>::Output;
    type Error = <Plain<F> as Work<T>>::Error;

    fn run(&self, item: T) -> impl Future<Output = Answer<Self::Output, Self::Error>> + Send {
        self.work.run(item)
    }

    /// One task pulls and puts each item into the line of its worker.
    fn start<S>(
        self,
        source: Pin<Box<S>>,
        bounds: Bounds,
        hints: &Arc<Hints>,
    ) -> Outlet<S, Self::Output, Self::Error>
    where
        S: Stream<Item = T> + Send + 'static,
        T: Send + 'static,
    {
        let workers = bounds.workers;
        // Always set, by whoever made it.
        let window = bounds.window.unwrap_or_else(|| default_window(workers));
        let line = (window / 2 / workers).clamp(1, Semaphore::MAX_PERMITS);
        let bounds = Bounds { ordered: bounds.ordered, ..Bounds::of_one(window) };
        let work = Arc::new(self);
        Outlet::start(source, bounds, hints, |tasks, leave, _| {
            let lines = (0..workers).map(|_| {
                let (line, items) = mpsc::channel(line);
                tasks.spawn(serve(items, Arc::clone(&work)));
                line
            });
            let lines = lines.collect();
            tasks.spawn(route(leave, Arc::clone(&work), lines));
        })
    }
}

pub(crate) fn default_window(workers: usize) -> usize {
    workers.saturating_mul(2 * LINE)
}

type Output<S, W> = <W as Work<<S as Stream>::Item>>::Output;
type Error<S, W> = <W as Work<<S as Stream>::Item>>::Error;
type Held<S, W> = Hand<S, Output<S, W>, Error<S, W>>;
type Pool<S, W> = Leave<S, Output<S, W>, Error<S, W>>;

async fn serve<S, W>(mut items: Receiver<Held<S, W>>, work: Arc<W>)
where
    S: Stream,
    W: Work<S::Item>,
{
    while let Some(hand) = items.recv().await {
        pool::run_all(hand, &*work).await;
    }
}

async fn route<S, Q, K, F>(
    pool: Pool<S, ByKey<K, F>>,
    work: Arc<ByKey<K, F>>,
    lines: Vec<Sender<Held<S, ByKey<K, F>>>>,
) where
    S: Stream,
    S::Item: Send,
    Q: Hash + 'static,
    K: Fn(&S::Item) -> Q + Send + Sync + 'static,
    F: Send + Sync + 'static,
    Plain<F>: Work<S::Item>,
{
    let seed = RandomState::new();
    while let Some(mut hand) = pool.0.pull(0).await {
        let hash = caught(|| hand.peek().map(|item| seed.hash_one((work.key)(item))));
        match hash {
            Ok(hash) => {
                // Any line will do for no item at all, which does not come.
                let line = hash.map_or(0, |hash| place(hash, lines.len()));
                // A worker that is gone drops it, and its result says so.
                let _ = lines[line].send(hand).await;
            }
            Err(panic) => {
                drop(hand.next());
                hand.put(Err(Failure::Panicked(panic)));
                hand.finish();
            }
        }
    }
}

/// Scales a hash to `0..of`: the upper half of a product, and no division.
#[expect(clippy::cast_possible_truncation, reason = "less than `of`")]
fn place(hash: u64, of: usize) -> usize {
    ((u128::from(hash) * of as u128) >> 64) as usize
}
