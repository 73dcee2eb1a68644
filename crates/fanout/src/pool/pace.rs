//! How many items a worker takes at a time.

use std::time::Duration;

/// What a chunk of cheap items should take: long beside the locks and wake-ups
/// that a chunk costs, and short beside what a consumer notices.
const SHORT: Duration = Duration::from_micros(20);
const LONG: Duration = Duration::from_micros(40);

/// A bound for functions that take next to no time.
const MOST: usize = 1024;

/// The size of chunks, one for all workers, since all do the same work.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    chunk: usize,
    most: usize,
}

/// What is learnt of a chunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Chunk {
    /// It was all there was, or its end was given back: says nothing of size.
    Partial,
    /// All of it ran without a pause.
    Whole(Duration),
    /// The work waited for something: what takes so long goes one by one.
    Waited,
}

impl Pace {
    /// `share` is the most that a worker may take without leaving too little to
    /// the others.
    pub(super) fn new(share: usize) -> Self {
        Self { chunk: 1, most: share.clamp(1, MOST) }
    }

    pub(super) fn chunk(self) -> usize {
        self.chunk
    }

    pub(super) fn learn(&mut self, of: Chunk, len: usize) {
        self.chunk = match of {
            Chunk::Waited => 1,
            // Others may have changed the size since this chunk was taken.
            Chunk::Whole(took) if took < SHORT && len >= self.chunk => self.chunk * 2,
            Chunk::Whole(took) if took > LONG && len <= self.chunk => (len / 2).max(1),
            Chunk::Whole(_) | Chunk::Partial => self.chunk,
        }
        .min(self.most);
    }

    /// The source had so many and no more: the next time will be alike.
    pub(super) fn found(&mut self, len: usize) {
        self.chunk = self.chunk.min(len.max(1));
    }

    /// Whether a chunk has already taken so long that its rest is better off
    /// with others.
    pub(super) fn is_long(took: Duration) -> bool {
        took > LONG
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    fn pace(share: usize, chunks: &[(Chunk, usize)]) -> usize {
        let mut pace = Pace::new(share);
        chunks.iter().for_each(|(of, len)| pace.learn(*of, *len));
        pace.chunk()
    }

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn cheap_items_go_in_ever_larger_chunks_up_to_a_workers_share() {
        let cheap = |len| (Chunk::Whole(19 * US), len);
        assert_eq!(pace(100, &[cheap(1), cheap(2), cheap(4)]), 8);
        assert_eq!(pace(3, &[cheap(1), cheap(2), cheap(3)]), 3);
        assert_eq!(pace(0, &[cheap(1)]), 1);
        assert_eq!(pace(usize::MAX, &[cheap(1 << 20); 30]), MOST);
    }

    #[test]
    fn a_chunk_that_takes_long_halves_and_one_that_waits_ends_the_chunks() {
        let grown = [(Chunk::Whole(US), 1), (Chunk::Whole(US), 2), (Chunk::Whole(US), 4)];
        let after = |of, len| pace(100, &[&grown[..], &[(of, len)]].concat());
        assert_eq!(after(Chunk::Whole(30 * US), 8), 8);
        assert_eq!(after(Chunk::Whole(41 * US), 8), 4);
        assert_eq!(after(Chunk::Waited, 8), 1);
        assert_eq!(after(Chunk::Partial, 3), 8);
    }

    #[test]
    fn what_a_smaller_chunk_took_says_nothing_of_a_larger_one() {
        let grown = [(Chunk::Whole(US), 1), (Chunk::Whole(US), 2)];
        assert_eq!(pace(100, &[&grown[..], &[(Chunk::Whole(US), 1)]].concat()), 4);
    }
}
