//! Random numbers for jitter.

use crate::sync::{AtomicU64, Ordering};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

/// A series of random numbers in one atomic word, shared by all clones.
///
/// Good enough to keep callers apart, and for nothing that must be secret.
///
/// Source: SplitMix64, in Steele, Lea and Flood, *Fast Splittable Pseudorandom
/// Number Generators*, OOPSLA 2014.
#[derive(Clone, Debug)]
pub(crate) struct Draws(Arc<AtomicU64>);

impl Draws {
    /// A series that no other process and no other instance has.
    pub(crate) fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(0_u8))
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    pub(crate) fn draw(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_series_of_its_source() {
        let draws = Draws::seeded(0);
        // The first numbers of the reference implementation.
        let expected = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        assert_eq!([draws.draw(), draws.draw(), draws.draw()], expected);
    }

    #[test]
    fn two_instances_do_not_draw_alike() {
        assert_ne!(Draws::new().draw(), Draws::new().draw());
    }
}
