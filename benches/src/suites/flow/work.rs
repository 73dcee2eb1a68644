//! Functions that take a known time.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Some 50 ns of arithmetic, each step of which waits for the one before, and which
/// no compiler can shorten.
#[inline]
pub(super) fn cheap(n: u64) -> u64 {
    (0..30).fold(black_box(n), |x, _| (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

/// Keeps the CPU for so long.
pub(super) fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}
