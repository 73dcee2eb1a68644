//! What the word of some places says: `[waiting 1 | used 31 | limit 32]`, `limit` at
//! most [`Places::MAX`](super::Places::MAX).

use super::NoPlace;

/// Set while anybody waits: then places go to the line and to nobody else.
pub(super) const WAITING: u64 = 1 << 63;
const USED_SHIFT: u32 = 32;

#[expect(clippy::cast_possible_truncation, reason = "the lower half is the limit")]
pub(super) fn limit_of(word: u64) -> u32 {
    word as u32
}

pub(super) fn used_of(word: u64) -> u32 {
    ((word & !WAITING) >> USED_SHIFT) as u32
}

pub(super) fn fits(word: u64, n: u32) -> bool {
    u64::from(used_of(word)) + u64::from(n) <= u64::from(limit_of(word))
}

/// Whether nobody waits and `n` more fit: with the bit of those who wait above it,
/// what is taken is more than any limit, so that one comparison answers both.
pub(super) fn is_free(word: u64, n: u32) -> bool {
    (word >> USED_SHIFT) + u64::from(n) <= u64::from(limit_of(word))
}

/// Why `n` places were not free.
pub(super) fn refusal(word: u64, n: u32) -> NoPlace {
    if n > limit_of(word) { NoPlace::TooLarge } else { NoPlace::Full }
}

pub(super) fn used(n: u32) -> u64 {
    u64::from(n) << USED_SHIFT
}
