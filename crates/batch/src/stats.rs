//! How batches came out.

use crate::Emitted;

/// What a batcher has handed to its flush function so far: a copy of its
/// counters, which cost nothing per item.
///
/// # Example
///
/// ```
/// use plimsoll_batch::{Batcher, Emitted};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let flush = |_: Vec<u8>| async { Ok::<(), std::fmt::Error>(()) };
/// let batcher = Batcher::new(flush).max_size(2);
/// for n in 0..5 {
///     batcher.push(n).await.unwrap();
/// }
/// batcher.drain().await.unwrap();
/// let stats = batcher.stats();
/// assert_eq!((stats.batches(), stats.items(), stats.largest()), (3, 5, 2));
/// assert_eq!((stats.emitted(Emitted::Full), stats.emitted(Emitted::Ended)), (2, 1));
/// assert_eq!(stats.fill(), Some(5.0 / 6.0));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    emitted: [u64; Emitted::ALL],
    items: u64,
    callers: u64,
    largest: usize,
    max_size: usize,
}

impl Stats {
    pub(crate) fn new(max_size: usize) -> Self {
        Self { emitted: [0; Emitted::ALL], items: 0, callers: 0, largest: 0, max_size }
    }

    pub(crate) fn count(&mut self, why: Emitted, items: usize, callers: usize) {
        self.emitted[why as usize] += 1;
        self.items += items as u64;
        self.callers += callers as u64;
        self.largest = self.largest.max(items);
    }

    /// How many batches. One that was bisected counts once.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.emitted.iter().sum()
    }

    /// How many batches were flushed for this reason. A batcher's are `Full`,
    /// `Heavy`, `Waited`, `Free`, `Asked` and `Ended`.
    #[must_use]
    pub fn emitted(&self, why: Emitted) -> u64 {
        self.emitted[why as usize]
    }

    /// How many items were in them.
    #[must_use]
    pub fn items(&self) -> u64 {
        self.items
    }

    /// For how many callers: more than the items where equal ones share.
    #[must_use]
    pub fn callers(&self) -> u64 {
        self.callers
    }

    /// How many items the largest had.
    #[must_use]
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// How full batches were on average, 0 to 1 of `max_size`; `None` before the
    /// first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no 53 bits")]
    pub fn fill(&self) -> Option<f64> {
        let batches = self.batches();
        (batches > 0).then(|| self.items as f64 / (batches as f64 * self.max_size as f64))
    }
}
