//! Why a batch or a group left when it did.

/// Why a batch was flushed, or a group emitted, when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Emitted {
    /// It has as many items as it may; a batch also when the queue lets no more
    /// callers in.
    Full,
    /// It has as many bytes as it may, or the next item would have been too much.
    Heavy,
    /// It is as old as it may be.
    Waited,
    /// A flush could start, and an adaptive batch waits for nothing else.
    Free,
    /// Somebody called [`flush`](crate::Batcher::flush).
    Asked,
    /// It was the oldest group when too many keys, or too many items, were held.
    Crowded,
    /// An error comes next.
    Failed,
    /// The stream has ended, or the batcher was drained or dropped.
    Ended,
}

impl Emitted {
    /// How many there are: `Ended` is the last.
    pub(crate) const ALL: usize = Self::Ended as usize + 1;
}
