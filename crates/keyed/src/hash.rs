//! From a key to the number that stands for it.

use foldhash::{SharedSeed, quality};
use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::OnceLock,
};

/// A fast hash that nobody outside the process can aim at.
///
/// The seeds are drawn from std's `RandomState`, which has them from the
/// operating system: one for the process, and one for each table.
#[derive(Clone, Debug)]
pub struct Seeded(quality::SeedableRandomState);

impl Seeded {
    pub(crate) fn new() -> Self {
        static PROCESS: OnceLock<SharedSeed> = OnceLock::new();
        let shared = PROCESS.get_or_init(|| SharedSeed::from_u64(random()));
        Self(quality::SeedableRandomState::with_seed(random(), shared))
    }

    #[inline]
    pub(crate) fn hash_of<K: Hash + ?Sized>(&self, key: &K) -> u64 {
        self.0.hash_one(key)
    }
}

#[cfg(feature = "gates")]
impl BuildHasher for Seeded {
    type Hasher = quality::FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

fn random() -> u64 {
    RandomState::new().hash_one(())
}
