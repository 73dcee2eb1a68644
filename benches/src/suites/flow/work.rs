//! Functions that take a known time.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

/// Some 50 ns of arithmetic that no compiler can shorten. A CPU begins the next before
/// it has ended one, so one after the other they take less time than one alone.
#[inline]
pub(super) fn cheap(n: u64) -> u64 {
    (0..78).fold(black_box(n), |x, _| (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

/// Keeps the CPU for so long.
pub(super) fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}
