//! What a flush may return.

/// What a flush returns: a result for each item, or one for all of them.
///
/// * `Vec<Result<R, E>>`: each item its own, in the order of the items.
/// * `Result<Vec<R>, E>`: replies in the order of the items, or one error that
///   each of them gets, so `E` is `Clone` (an `Arc<E>` always is).
/// * `Result<(), E>`: one result for all.
///
/// The last two can fail as a whole, which is what
/// [`bisect`](crate::Batcher::bisect) takes apart. Nobody else can implement it.
pub trait FlushOutput:
    sealed::Sealed<Reply = <Self as FlushOutput>::Reply, Error = <Self as FlushOutput>::Error>
{
    /// What a caller gets when its item was flushed.
    type Reply;
    /// What a caller gets when it was not.
    type Error;
}

/// The results of one call of the flush function.
pub enum Results<R, E> {
    /// As many as the flush gave, in its order.
    Each(Vec<Result<R, E>>),
    /// The batch failed as a whole; the function copies the error.
    Whole(E, fn(&E) -> E),
}

pub(crate) mod sealed {
    use super::Results;

    pub trait Sealed {
        type Reply;
        type Error;
        /// The results of a flush of `sent` items.
        fn into_results(self, sent: usize) -> Results<Self::Reply, Self::Error>;
    }
}

impl<R, E> FlushOutput for Vec<Result<R, E>> {
    type Reply = R;
    type Error = E;
}

impl<R, E> sealed::Sealed for Vec<Result<R, E>> {
    type Reply = R;
    type Error = E;

    fn into_results(self, _sent: usize) -> Results<R, E> {
        Results::Each(self)
    }
}

impl<R, E: Clone> FlushOutput for Result<Vec<R>, E> {
    type Reply = R;
    type Error = E;
}

impl<R, E: Clone> sealed::Sealed for Result<Vec<R>, E> {
    type Reply = R;
    type Error = E;

    fn into_results(self, _sent: usize) -> Results<R, E> {
        match self {
            Ok(replies) => Results::Each(replies.into_iter().map(Ok).collect()),
            Err(error) => Results::Whole(error, E::clone),
        }
    }
}

impl<E: Clone> FlushOutput for Result<(), E> {
    type Reply = ();
    type Error = E;
}

impl<E: Clone> sealed::Sealed for Result<(), E> {
    type Reply = ();
    type Error = E;

    fn into_results(self, sent: usize) -> Results<(), E> {
        match self {
            Ok(()) => Results::Each((0..sent).map(|_| Ok(())).collect()),
            Err(error) => Results::Whole(error, E::clone),
        }
    }
}
