//! What moves through a pipeline: values, each with a mark of where it came from.

use crate::stats::Tally;

/// A value on its way, and the mark by which its source item is accounted for.
#[derive(Debug)]
pub struct Item<T, M> {
    pub(crate) value: T,
    pub(crate) mark: M,
}

/// How a source item ends. Of one that became several, the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// A stage left it out, as it was asked to.
    Filtered,
    /// The sink took it.
    Written,
    /// It failed, and its error was skipped.
    Skipped,
    /// It failed, and the dead-letter sink took it.
    DeadLettered,
    /// It was inside when the run ended.
    Dropped,
    /// It failed, and ended the run.
    Failed,
}

impl Fate {
    const ALL: [Self; 6] = [
        Self::Filtered,
        Self::Written,
        Self::Skipped,
        Self::DeadLettered,
        Self::Dropped,
        Self::Failed,
    ];

    /// The one that `as u8` makes this number.
    pub(crate) fn from_number(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Failed)
    }

    /// Nobody needs to see the item again.
    pub(crate) fn is_settled(self) -> bool {
        self < Self::Dropped
    }
}

/// Knows which source items a value belongs to.
///
/// A mark that is dropped without an end ends its source items as dropped.
pub trait Mark: Send + 'static {
    /// What the mark was put on has ended.
    fn end(self, fate: Fate, tally: &mut Tally<'_>);
}

/// One value for one source item. What is dropped is what is missing in the end.
impl Mark for () {
    #[inline]
    fn end(self, fate: Fate, tally: &mut Tally<'_>) {
        tally.add(fate, 1);
    }
}

/// The marks of a batch, which end together.
#[derive(Debug)]
pub struct Together<M>(pub(crate) Vec<M>);

impl<M: Mark> Mark for Together<M> {
    fn end(self, fate: Fate, tally: &mut Tally<'_>) {
        for mark in self.0 {
            mark.end(fate, tally);
        }
    }
}
