//! Ours, through the calls that users make.

use super::peers::RATE;
use crate::{
    calls::finished,
    rounds::{Subject, admitted},
};
use plimsoll_ratelimit::{SlidingWindow, TokenBucket};
use std::time::Duration;

/// A bucket that admits whatever a round asks for.
fn bucket() -> TokenBucket {
    TokenBucket::per_second(RATE).burst(u32::MAX)
}

pub(super) fn token_bucket() -> Subject {
    Subject::shared("token bucket allowed", bucket, |bucket| admitted(bucket.try_acquire()))
}

/// At a rate whose tokens do not come a whole number of nanoseconds apart, as at
/// most rates they do.
pub(super) fn uneven() -> Subject {
    let uneven = || TokenBucket::per_second(RATE / 10 * 7).burst(u32::MAX);
    let name = "token bucket allowed, uneven rate";
    Subject::shared(name, uneven, |bucket| admitted(bucket.try_acquire()))
}

pub(super) fn leased() -> Subject {
    let leased = || bucket().leased(64);
    Subject::shared("token bucket leased", leased, |bucket| admitted(bucket.try_acquire()))
}

pub(super) fn permit() -> Subject {
    Subject::shared("token bucket allowed, permit", bucket, |bucket| finished(bucket, &()))
}

pub(super) fn tuple_of_three() -> Subject {
    let gates = || (bucket(), bucket(), bucket());
    Subject::shared("three token buckets, tuple and permit", gates, |gates| finished(gates, &()))
}

pub(super) fn refusing() -> Subject {
    let empty = || {
        let bucket = TokenBucket::per_hour(1);
        admitted(bucket.try_acquire());
        bucket
    };
    Subject::shared("token bucket refused", empty, |bucket| admitted(bucket.try_acquire()))
}

/// As many in this time as two threads cannot reach.
pub(super) const WINDOW: (u32, Duration) = (100_000, Duration::from_micros(100));

pub(super) fn exact_window() -> Subject {
    let window = || SlidingWindow::new(WINDOW.0, WINDOW.1);
    Subject::shared("sliding window, exact", window, |window| admitted(window.try_acquire()))
}

pub(super) fn approximate_window() -> Subject {
    let window = || SlidingWindow::approximate(WINDOW.0, WINDOW.1);
    Subject::shared("sliding window, approximate", window, |window| admitted(window.try_acquire()))
}
