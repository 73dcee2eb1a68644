//! How many values a function makes of one item.

use crate::{
    family::Child,
    item::{Fate, Item, Mark},
    stats::Place,
};
use std::{option, thread};

/// What a stage has done with an item.
pub enum Yield<I, M> {
    /// Values that go on.
    Outs(I),
    /// None: the item ends here.
    Ended(Fate, M),
}

/// Turns what a function gave into values with marks.
pub trait Shape<G, M: Mark>: Send + Sync + 'static {
    /// A value that goes on.
    type Out: Send + 'static;
    /// Its mark.
    type OutMark: Mark;
    /// All that go on.
    type Outs: Iterator<Item = Item<Self::Out, Self::OutMark>> + Send;
    /// Does it.
    fn outs(given: G, mark: M, place: &Place<'_>) -> Yield<Self::Outs, M>;
}

/// One value for each item.
#[derive(Debug)]
pub struct One;

impl<G: Send + 'static, M: Mark> Shape<G, M> for One {
    type Out = G;
    type OutMark = M;
    type Outs = option::IntoIter<Item<G, M>>;

    #[inline]
    fn outs(given: G, mark: M, _: &Place<'_>) -> Yield<Self::Outs, M> {
        Yield::Outs(Some(Item { value: given, mark }).into_iter())
    }
}

/// One value, or none.
#[derive(Debug)]
pub struct Maybe;

impl<G: Send + 'static, M: Mark> Shape<Option<G>, M> for Maybe {
    type Out = G;
    type OutMark = M;
    type Outs = option::IntoIter<Item<G, M>>;

    #[inline]
    fn outs(given: Option<G>, mark: M, place: &Place<'_>) -> Yield<Self::Outs, M> {
        match given {
            Some(value) => Yield::Outs(Some(Item { value, mark }).into_iter()),
            None => {
                place.slot.filtered.add(1);
                Yield::Ended(Fate::Filtered, mark)
            }
        }
    }
}

/// Any number of values.
#[derive(Debug)]
pub struct Several;

impl<G, M: Mark> Shape<G, M> for Several
where
    G: IntoIterator<Item: Send + 'static, IntoIter: Send>,
{
    type Out = G::Item;
    type OutMark = Child<M>;
    type Outs = Children<G::IntoIter, M>;

    fn outs(given: G, mark: M, place: &Place<'_>) -> Yield<Self::Outs, M> {
        let hand = place.in_hand(mark);
        let values = given.into_iter();
        Yield::Outs(Children { values, family: Some(Child::first(hand.back(), place.ledger)) })
    }
}

/// The values that came of one item, made as they are taken.
pub struct Children<I, M: Mark> {
    values: I,
    /// Keeps the item from ending before all its values are made.
    family: Option<Child<M>>,
}

impl<I: Iterator, M: Mark> Iterator for Children<I, M> {
    type Item = Item<I::Item, Child<M>>;

    fn next(&mut self) -> Option<Self::Item> {
        let family = self.family.as_ref()?;
        match self.values.next() {
            Some(value) => Some(Item { value, mark: family.sibling() }),
            None => {
                if let Some(family) = self.family.take() {
                    family.close(Fate::Filtered);
                }
                None
            }
        }
    }
}

/// Left in the middle: the item failed if that is because its values panicked.
impl<I, M: Mark> Drop for Children<I, M> {
    fn drop(&mut self) {
        if let Some(family) = self.family.take().filter(|_| thread::panicking()) {
            family.close(Fate::Failed);
        }
    }
}
