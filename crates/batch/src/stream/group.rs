//! What the stream adapters yield.

use crate::Emitted;
use std::{
    ops::{Deref, DerefMut},
    vec,
};

/// Items of a stream, in its order, at least one; and why they come now. A slice
/// to look at, an iterator to take apart.
///
/// # Example
///
/// ```
/// use futures::{StreamExt, stream};
/// use plimsoll_batch::{BatchStreamExt, Emitted};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let groups = stream::iter(1..=5).batched(3, Duration::from_secs(1)).collect::<Vec<_>>().await;
/// assert_eq!((&groups[0][..], groups[0].why()), (&[1, 2, 3][..], Emitted::Full));
/// assert_eq!((&groups[1][..], groups[1].why()), (&[4, 5][..], Emitted::Ended));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<T> {
    items: Vec<T>,
    why: Emitted,
}

impl<T> Group<T> {
    pub(crate) fn new(items: Vec<T>, why: Emitted) -> Self {
        Self { items, why }
    }

    /// Why it comes now.
    #[must_use]
    pub fn why(&self) -> Emitted {
        self.why
    }

    /// The items.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.items
    }
}

impl<T> Deref for Group<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> DerefMut for Group<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.items
    }
}

impl<T> IntoIterator for Group<T> {
    type Item = T;
    type IntoIter = vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}
