//! How much passes in a stretch of time: the bounds, and how far off the
//! approximation is.

use crate::{Approximate, Exact, MINUTE, Window};
use plimsoll_core::{Clock, ManualClock, Outcome, Tick};
use proptest::prelude::*;
use std::time::Duration;

proptest! {
    #[test]
    fn no_interval_holds_more_than_the_bound(
        (limit, window) in (1..12_u32, 1..50_u64),
        arrivals in prop::collection::vec((0..12_u64, 1..6_u32, any::<bool>()), 1..300),
    ) {
        let exact = admitted::<Exact>(limit, window, &arrivals);
        for &(start, _) in &exact {
            let held = within(&exact, start, window);
            prop_assert!(held <= limit, "{held} of {limit} in one window from {start} on");
        }
        let approximate = admitted::<Approximate>(limit, window, &arrivals);
        for &(start, _) in &approximate {
            let held = within(&approximate, start, window);
            // The share that the interval reaches into the later aligned window.
            let share = start % window;
            let most = u64::from(limit) * (window + share) / window;
            prop_assert!(u64::from(held) <= most && held < 2 * limit, "{held} of {limit}");
            let aligned = within(&approximate, start - share, window);
            prop_assert!(aligned <= limit, "{aligned} of {limit} in an aligned window");
        }
    }
}

/// When how much is admitted and stays admitted of `arrivals` (after how long,
/// how much, whether it is given back at once).
fn admitted<W: Window>(limit: u32, window: u64, arrivals: &[(u64, u32, bool)]) -> Vec<(u64, u32)> {
    let clock = ManualClock::at(Tick::from_nanos(1_000));
    let gate = W::make(limit, Duration::from_nanos(window), &clock);
    let mut admitted = vec![];
    for &(after, n, unused) in arrivals {
        clock.advance(Duration::from_nanos(after));
        match gate.try_enter_n(n.into()) {
            Ok(ticket) if unused => gate.leave(ticket, Outcome::Unused),
            Ok(_) => admitted.push((clock.now().as_nanos(), n)),
            Err(_) => {}
        }
    }
    admitted
}

/// How much was admitted in `[start, start + window)`.
fn within(admitted: &[(u64, u32)], start: u64, window: u64) -> u32 {
    admitted.iter().filter(|(at, _)| (start..start + window).contains(at)).map(|(_, n)| n).sum()
}

/// The figures of the documentation: how many of evenly spread arrivals pass in
/// a window, in the steady state.
#[test]
fn evenly_spread_arrivals_are_judged_to_within_one_a_window() {
    const LIMIT: u32 = 100;
    fn passes<W: Window>(percent: u64) -> (u64, u64) {
        let clock = ManualClock::new();
        let gate = W::make(LIMIT, MINUTE, &clock);
        let start = clock.now();
        let arrivals = u64::from(LIMIT) * percent / 100;
        let (mut least, mut most) = (u64::MAX, 0);
        for window in 0..50 {
            let mut passed = 0;
            for arrival in 0..arrivals {
                let nanos = 60_000_000_000 * arrival / arrivals;
                clock.set(start + window * MINUTE + Duration::from_nanos(nanos));
                passed += u64::from(gate.try_enter_n(1).is_ok());
            }
            if window >= 3 {
                (least, most) = (least.min(passed), most.max(passed));
            }
        }
        (least, most)
    }
    for percent in [10, 30, 50, 90, 95, 98, 99, 100, 101, 110, 150, 200, 333, 1_000, 5_000] {
        let due = percent.min(100);
        assert_eq!(passes::<Exact>(percent), (due, due), "exact at {percent} %");
        let (least, most) = passes::<Approximate>(percent);
        assert!(due - 1 <= least && most <= due, "{least} to {most} at {percent} %");
        assert!(percent > 98 || least == due, "refused one of {percent} %");
    }
}

/// The figures of the documentation: Poisson arrivals for a thousand minutes.
#[test]
fn random_arrivals_pass_in_nearly_the_same_number_as_by_the_exact_log() {
    const LIMIT: u32 = 100;
    /// How many pass, and how many in the fullest minute.
    fn passes<W: Window>(percent: u32) -> (f64, usize) {
        let clock = ManualClock::new();
        let gate = W::make(LIMIT, MINUTE, &clock);
        let gap = MINUTE.as_secs_f64() * 100.0 / f64::from(LIMIT * percent);
        let (start, mut seed) = (clock.now(), 88_172_645_463_325_252_u64);
        let mut passed = vec![];
        while clock.now().since(start) < 1_000 * MINUTE {
            // Marsaglia's xorshift, for the same arrivals each time.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let uniform = ((seed >> 12) + 1) as f64 / (1_u64 << 52) as f64;
            clock.advance(Duration::from_secs_f64(-uniform.ln() * gap));
            if gate.try_enter_n(1).is_ok() {
                passed.push(clock.now());
            }
        }
        let held = |&last: &Tick| {
            let first = passed.partition_point(|&at| last.since(at) >= MINUTE);
            passed.partition_point(|&at| at <= last) - first
        };
        (passed.len() as f64, passed.iter().map(held).max().unwrap_or(0))
    }
    for percent in [50, 80, 100, 120, 200, 1_000] {
        let ((exact, fullest), (about, fullest_about)) =
            (passes::<Exact>(percent), passes::<Approximate>(percent));
        assert!(fullest <= 100 && fullest_about <= 120, "{fullest}, {fullest_about} in a minute");
        let off = about / exact - 1.0;
        assert!(off.abs() < 0.015, "{percent} %: {exact} against {about}");
    }
}
