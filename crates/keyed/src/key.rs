//! How a table finds the key in what it is told.

use crate::hash::Seeded;
use std::{fmt, hash::Hash};

/// A function from what is known about the work to a key that it makes. What
/// [`PerKeyExt::keyed`](crate::PerKeyExt::keyed) takes.
#[derive(Clone, Copy)]
pub struct ByValue<F>(pub(crate) F);

/// A function from what is known about the work to a key that is in it. What
/// [`PerKeyExt::keyed_ref`](crate::PerKeyExt::keyed_ref) takes.
#[derive(Clone, Copy)]
pub struct ByReference<F>(pub(crate) F);

/// Something that finds a key in `C`: [`ByValue`] or [`ByReference`].
pub trait KeyOf<C: ?Sized>: Send + Sync + sealed::Sealed {
    #[doc(hidden)]
    fn hash_in(&self, cx: &C, seeded: &Seeded) -> u64;
}

impl<C: ?Sized, K: Hash, F> KeyOf<C> for ByValue<F>
where
    F: Fn(&C) -> K + Send + Sync,
{
    #[inline]
    fn hash_in(&self, cx: &C, seeded: &Seeded) -> u64 {
        seeded.hash_of(&(self.0)(cx))
    }
}

impl<C: ?Sized, K: Hash + ?Sized, F> KeyOf<C> for ByReference<F>
where
    F: Fn(&C) -> &K + Send + Sync,
{
    #[inline]
    fn hash_in(&self, cx: &C, seeded: &Seeded) -> u64 {
        seeded.hash_of((self.0)(cx))
    }
}

impl<F> fmt::Debug for ByValue<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByValue")
    }
}

impl<F> fmt::Debug for ByReference<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByReference")
    }
}

mod sealed {
    pub trait Sealed {}
    impl<F> Sealed for super::ByValue<F> {}
    impl<F> Sealed for super::ByReference<F> {}
}
