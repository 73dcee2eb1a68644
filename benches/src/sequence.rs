//! Keys in the order in which they are asked for, drawn before any round.

use std::sync::Arc;

/// How often each key comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Draw {
    /// Zipf's law with s = 1: the k-th most frequent key comes 1/k as often as
    /// the first.
    Zipf,
    Uniform,
}

/// A reproducible source of numbers: splitmix64 (Steele, Lea and Flood, "Fast
/// Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct Random(u64);

impl Random {
    fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 up to 1, which it never is.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The key of rank `rank`. Spread over all of `u64` as identifiers are, so that
/// frequent keys are not neighbours; one to one.
pub(crate) fn key(rank: u64) -> u64 {
    mix(rank.wrapping_add(1))
}

/// `len` keys out of `keys`, in the order to ask for them.
pub(crate) fn draw(how: Draw, keys: u64, len: usize) -> Arc<[u64]> {
    let mut random = Random::seeded(42);
    match how {
        Draw::Uniform => (0..len).map(|_| key(random.next() % keys)).collect(),
        Draw::Zipf => {
            let mut total = 0.0;
            let upto: Vec<f64> = (1..=keys)
                .map(|rank| {
                    total += 1.0 / rank as f64;
                    total
                })
                .collect();
            (0..len)
                .map(|_| {
                    let at = random.unit() * total;
                    key(upto.partition_point(|&below| below <= at) as u64)
                })
                .collect()
        }
    }
}

/// One thread's walk round and round a sequence.
#[derive(Clone)]
pub(crate) struct Walk {
    keys: Arc<[u64]>,
    at: usize,
}

impl Walk {
    /// Threads start in different places.
    pub(crate) fn new(keys: &Arc<[u64]>, thread: usize) -> Self {
        Self { keys: keys.clone(), at: keys.len() / 3 * thread }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.at = if self.at + 1 < self.keys.len() { self.at + 1 } else { 0 };
        self.keys[self.at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ranks_have_keys_of_their_own() {
        let distinct: HashSet<u64> = (0..100_000).map(key).collect();
        assert_eq!(distinct.len(), 100_000);
    }

    #[test]
    fn the_first_key_of_a_zipf_draw_comes_twice_as_often_as_the_second() {
        let keys = draw(Draw::Zipf, 1_000, 200_000);
        let count = |rank| keys.iter().filter(|&&k| k == key(rank)).count() as f64;
        let ratio = count(0) / count(1);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
        // 1 / H(1000) = 0.1336 of all.
        let share = count(0) / keys.len() as f64;
        assert!((0.13..0.137).contains(&share), "{share}");
    }

    #[test]
    fn a_uniform_draw_reaches_every_key_about_as_often() {
        let keys = draw(Draw::Uniform, 10, 100_000);
        for rank in 0..10 {
            let count = keys.iter().filter(|&&k| k == key(rank)).count();
            assert!((9_500..10_500).contains(&count), "{rank}: {count}");
        }
    }
}
