//! What a stage does with one item.

use crate::{
    error::BoxError,
    function::Function,
    item::{Fate, Item, Mark},
    policy::{Failure, Handled, OnError},
    retry::Attempts,
    shape::{Shape, Yield},
    stats::{InHand, Place},
};
use std::{marker::PhantomData, option, sync::Arc};

/// An error that ends the run, and the stage that it comes from.
pub struct Fatal {
    pub(crate) stage: Arc<str>,
    pub(crate) error: BoxError,
}

/// What a stage says of an item at once.
pub enum Start<I, M, R> {
    /// All.
    Done(Yield<I, M>),
    /// That there is more to it, which may have to wait.
    Rest(R),
}

/// Makes values of an item: one stage, or several in one task.
///
/// In two steps, because a future costs more than most plain functions do: it
/// lies in memory, and is made where it lies.
pub trait Work<T, M: Mark>: Send + Sync + 'static {
    /// A value that goes on.
    type Out: Send + 'static;
    /// Its mark.
    type OutMark: Mark;
    /// All that come of one item.
    type Outs: Iterator<Item = Item<Self::Out, Self::OutMark>> + Send;
    /// An item that was begun.
    type Rest: Send;

    /// What people call it.
    fn name(&self) -> Arc<str>;

    /// Begins with an item. Plain functions that return `Ok` are through with
    /// that.
    fn start(&self, item: Item<T, M>, place: &Place<'_>) -> Start<Self::Outs, M, Self::Rest>;

    /// Goes on with it: async functions, and errors.
    fn finish(
        &self,
        rest: Self::Rest,
        place: &Place<'_>,
    ) -> impl Future<Output = Result<Yield<Self::Outs, M>, Fatal>> + Send;
}

/// A stage: a function `F` that makes `S` many values of an item, tries as `R`
/// says, and when it fails does what `O` says.
pub struct Stage<F, S, O, R> {
    pub(crate) name: Arc<str>,
    pub(crate) function: F,
    pub(crate) shape: PhantomData<fn() -> S>,
    pub(crate) on_error: O,
    pub(crate) attempts: R,
}

impl<T, M, F, S, O, R> Work<T, M> for Stage<F, S, O, R>
where
    T: Send,
    M: Mark,
    F: Function<T>,
    S: Shape<F::Given, M>,
    O: OnError<T, F::Error>,
    R: Attempts<T, F::Error>,
{
    type Out = S::Out;
    type OutMark = S::OutMark;
    type Outs = S::Outs;
    type Rest = Rest<T, M, O::Kept, F::Error>;

    fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    #[inline]
    fn start(&self, item: Item<T, M>, place: &Place<'_>) -> Start<S::Outs, M, Self::Rest> {
        let Item { value, mark } = item;
        let hand = place.in_hand(mark);
        let kept = self.on_error.keep(&value);
        let first = match self.attempts.run_now(&self.function, value) {
            Ok(Ok(given)) => return Start::Done(S::outs(given, hand.back(), place)),
            Ok(Err(error)) => Err(error),
            Err(value) => Ok(value),
        };
        Start::Rest(Rest { mark: hand.back(), kept, first })
    }

    #[inline]
    async fn finish(
        &self,
        Rest { mark, kept, first }: Self::Rest,
        place: &Place<'_>,
    ) -> Result<Yield<S::Outs, M>, Fatal> {
        let hand = place.in_hand(mark);
        let result = match first {
            Ok(value) => self.attempts.run(&self.function, value, place).await,
            Err(error) => Err((error, 1)),
        };
        match result {
            Ok(given) => Ok(S::outs(given, hand.back(), place)),
            // Boxed: errors are rare, and all items would carry the room for it.
            Err(failed) => Box::pin(self.failed(failed, kept, hand, place)).await,
        }
    }
}

/// An item that is to be called for, or whose one call has failed.
pub struct Rest<T, M, K, E> {
    mark: M,
    kept: K,
    first: Result<T, E>,
}

impl<F, S, O, R> Stage<F, S, O, R> {
    async fn failed<T, M, E, I>(
        &self,
        (error, attempts): (E, u32),
        kept: O::Kept,
        hand: InHand<'_, M>,
        place: &Place<'_>,
    ) -> Result<Yield<I, M>, Fatal>
    where
        M: Mark,
        O: OnError<T, E>,
    {
        let failure = Failure { stage: Arc::clone(&self.name), kept, error, attempts };
        let fate = match self.on_error.failed(failure).await {
            Ok(Handled::Skipped) => {
                place.slot.skipped.add(1);
                Fate::Skipped
            }
            Ok(Handled::DeadLettered) => {
                place.slot.dead_lettered.add(1);
                Fate::DeadLettered
            }
            Err(error) => {
                place.slot.failed.add(1);
                hand.back().end(Fate::Failed, &mut place.tally());
                return Err(Fatal { stage: Arc::clone(&self.name), error });
            }
        };
        Ok(Yield::Ended(fate, hand.back()))
    }
}

/// Two stages in one task: what the first makes, the second takes at once.
pub struct Fused<A, B> {
    pub(crate) first: A,
    pub(crate) second: B,
}

impl<T, M, U, A, B> Work<T, M> for Fused<A, B>
where
    T: Send,
    U: Send + 'static,
    M: Mark,
    A: Work<T, M, Out = U, OutMark = M, Outs = option::IntoIter<Item<U, M>>>,
    B: Work<U, M>,
{
    type Out = B::Out;
    type OutMark = B::OutMark;
    type Outs = B::Outs;
    type Rest = FusedRest<A::Rest, B::Rest>;

    fn name(&self) -> Arc<str> {
        format!("{} + {}", self.first.name(), self.second.name()).into()
    }

    #[inline]
    fn start(&self, item: Item<T, M>, place: &Place<'_>) -> Start<B::Outs, M, Self::Rest> {
        match self.first.start(item, place) {
            Start::Done(Yield::Ended(fate, mark)) => Start::Done(Yield::Ended(fate, mark)),
            Start::Done(Yield::Outs(one)) => match self.second.start(only(one), place) {
                Start::Done(done) => Start::Done(done),
                Start::Rest(rest) => Start::Rest(FusedRest::OfSecond(rest)),
            },
            Start::Rest(rest) => Start::Rest(FusedRest::OfBoth(rest)),
        }
    }

    #[inline]
    async fn finish(
        &self,
        rest: Self::Rest,
        place: &Place<'_>,
    ) -> Result<Yield<B::Outs, M>, Fatal> {
        let rest = match rest {
            FusedRest::OfSecond(rest) => rest,
            FusedRest::OfBoth(rest) => match self.first.finish(rest, place).await? {
                Yield::Ended(fate, mark) => return Ok(Yield::Ended(fate, mark)),
                Yield::Outs(one) => match self.second.start(only(one), place) {
                    Start::Done(done) => return Ok(done),
                    Start::Rest(rest) => rest,
                },
            },
        };
        self.second.finish(rest, place).await
    }
}

/// Where two stages stopped.
pub enum FusedRest<A, B> {
    /// In the first.
    OfBoth(A),
    /// In the second.
    OfSecond(B),
}

/// What a stage of this shape gives: one that gives nothing says `Ended`.
#[inline]
fn only<T>(mut one: option::IntoIter<T>) -> T {
    one.next().expect("one, or `Ended`")
}
