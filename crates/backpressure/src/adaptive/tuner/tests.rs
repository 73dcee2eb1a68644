use super::*;
use std::time::Duration;

const MILLI: f64 = 1e6;

fn rules() -> Rules {
    Rules { low: 1, high: 1_000, tolerated: 0.1, healthy: f64::INFINITY }
}

/// A window of good work at `latency`, with all places in use.
fn full(latency: f64) -> Window {
    Window { samples: 1_000, failures: 0, latency, peak: u32::MAX }
}

fn laws() -> [Law; 4] {
    [
        Law::Aimd(Aimd { target: 50.0 * MILLI }),
        Law::Vegas(Vegas::new()),
        Law::Gradient(Gradient::new()),
        Law::Probing(Probing::new(Duration::from_secs(60))),
    ]
}

/// A tuner that knows 40 ms for normal and is not measuring.
fn settled(law: Law, start: u32) -> Tuner {
    let mut tuner = Tuner::new(rules(), law, start);
    tuner.learn(&full(40.0 * MILLI), Tick::ZERO, 0.0);
    tuner.limit = start.into();
    tuner
}

/// The limit after a window.
fn after(tuner: &mut Tuner, window: Window) -> f64 {
    tuner.learn(&window, Tick::ZERO, 0.0);
    tuner.limit
}

#[test]
fn aimd_takes_one_step_of_a_tenth_a_window_and_rests_near_its_target() {
    for (millis, expected) in
        [(56.0, 90.0), (55.0, 100.0), (50.0, 100.0), (40.0, 100.0), (39.0, 110.0)]
    {
        let mut tuner = Tuner::new(rules(), laws()[0].clone(), 100);
        let limit = after(&mut tuner, full(millis * MILLI));
        assert!((limit - expected).abs() < 1e-9, "{millis} ms: {limit}");
    }
}

#[test]
fn a_small_limit_grows_too() {
    let mut tuner = Tuner::new(rules(), laws()[0].clone(), 1);
    for _ in 0..8 {
        tuner.learn(&full(MILLI), Tick::ZERO, 0.0);
    }
    assert_eq!(tuner.limit(), 2);
}

#[test]
fn every_law_shrinks_when_work_takes_ten_times_as_long_and_grows_when_it_does_not() {
    for law in laws() {
        let mut tuner = settled(law, 100);
        assert!(after(&mut tuner, full(30.0 * MILLI)) > 100.0, "{:?}", tuner.law);
        tuner.limit = 100.0;
        assert!(after(&mut tuner, full(400.0 * MILLI)) < 100.0, "{:?}", tuner.law);
    }
}

#[test]
fn no_law_grows_a_limit_that_holds_nothing_back() {
    for law in laws() {
        let mut tuner = settled(law, 100);
        let idle = Window { peak: 49, ..full(30.0 * MILLI) };
        assert!(after(&mut tuner, idle) <= 100.0, "{:?}", tuner.law);
        let half = Window { peak: 50, ..full(30.0 * MILLI) };
        assert!(after(&mut tuner, half) > 100.0, "{:?}", tuner.law);
    }
}

#[test]
fn failures_are_congestion_however_fast_they_are() {
    for law in laws() {
        let mut tuner = settled(law, 100);
        let mut window = Window { samples: 900, failures: 100, ..full(MILLI) };
        assert!(after(&mut tuner, window) > 90.0, "a tenth is tolerated: {:?}", tuner.law);
        (window.failures, tuner.limit) = (101, 100.0);
        assert!((after(&mut tuner, window) - 90.0).abs() < 1e-9, "{:?}", tuner.law);
    }
}

#[test]
fn constant_timeouts_are_not_taken_for_a_steady_latency() {
    for law in laws() {
        let mut tuner = settled(law, 100);
        for _ in 0..100 {
            after(&mut tuner, Window { samples: 0, failures: 50, latency: 1.0, peak: 100 });
        }
        assert_eq!(tuner.limit(), 1, "{:?}", tuner.law);
    }
}

#[test]
fn a_state_that_is_never_healthy_does_not_become_normal_however_long_it_lasts() {
    for law in laws() {
        let mut tuner = settled(law, 100);
        tuner.rules.healthy = 200.0 * MILLI;
        for _ in 0..10_000 {
            after(&mut tuner, full(400.0 * MILLI));
        }
        assert_eq!(tuner.limit(), 1, "{:?}", tuner.law);
        tuner.limit = 100.0;
        after(&mut tuner, full(150.0 * MILLI));
        assert!(tuner.limit <= 100.0, "40 ms are still what is normal: {:?}", tuner.law);
    }
}

#[test]
fn the_room_for_a_queue_is_not_added_while_there_is_one() {
    let mut tuner = settled(laws()[2].clone(), 100);
    for _ in 0..10 {
        after(&mut tuner, full(40.0 * MILLI));
    }
    tuner.limit = 100.0;
    // A mild overload, for ever a little over what is tolerated. The average
    // follows it, and only then does the limit rise again.
    let mut last = 100.0;
    for _ in 0..5 {
        let limit = after(&mut tuner, full(66.0 * MILLI));
        assert!(limit <= last, "{limit} after {last}");
        last = limit;
    }
}

#[test]
fn a_gradient_never_multiplies_the_limit_up() {
    let mut tuner = settled(laws()[2].clone(), 100);
    let limit = after(&mut tuner, full(1.0));
    assert!(limit <= 100.0 + 4.0, "{limit}");
}

#[test]
fn vegas_forgets_its_best_only_after_it_has_shrunk_for_half_a_minute() {
    let mut tuner = settled(laws()[1].clone(), 40);
    // The way has become longer for good.
    let mut lowest = f64::INFINITY;
    for _ in 0..28 {
        lowest = lowest.min(after(&mut tuner, full(80.0 * MILLI)));
    }
    assert!(lowest <= 14.0, "it took the longer way for normal at {lowest}");
    for _ in 0..60 {
        after(&mut tuner, full(80.0 * MILLI));
    }
    assert!(tuner.limit > 100.0, "and never grew again: {}", tuner.limit);
}

fn probing(every: u64) -> Tuner {
    Tuner::new(rules(), Law::Probing(Probing::new(Duration::from_secs(every))), 100)
}

fn at(second: u64) -> Tick {
    Tick::from_nanos(second * 1_000_000_000)
}

#[test]
fn a_probe_is_of_its_own_size_whatever_the_range_and_the_limit_is_back_after_it() {
    let mut tuner = probing(60);
    tuner.rules.low = 50;
    assert_eq!((tuner.limit(), tuner.enough()), (3, 50));
    tuner.learn(&full(10.0 * MILLI), at(0), 0.0);
    assert_eq!((tuner.limit(), tuner.enough()), (100, u64::MAX));
}

#[test]
fn the_next_probe_is_always_set_also_after_one_that_failed() {
    let mut tuner = probing(60);
    let bad = Window { samples: 0, failures: 50, latency: 1.0, peak: 3 };
    tuner.learn(&bad, at(0), 0.0);
    assert!(tuner.is_probing(), "without a measurement it goes on measuring");
    tuner.learn(&full(10.0 * MILLI), at(1), 0.5);
    // 60 seconds and half of 15 %.
    for (second, probes) in [(2, false), (65, false), (66, true)] {
        tuner.learn(&full(10.0 * MILLI), at(second), 0.0);
        assert_eq!(tuner.is_probing(), probes, "at {second} s");
    }
    tuner.learn(&bad, at(67), 0.0);
    assert!(!tuner.is_probing(), "what it knew still holds");
    tuner.learn(&full(10.0 * MILLI), at(127), 0.0);
    assert!(tuner.is_probing());
}

#[test]
fn instances_that_began_together_do_not_measure_together_again() {
    let measures = |draw: f64| {
        let mut tuner = probing(100);
        tuner.learn(&full(10.0 * MILLI), at(0), draw);
        let due = |&second: &u64| {
            tuner.learn(&full(10.0 * MILLI), at(second), 0.0);
            tuner.is_probing()
        };
        (1..200).find(due).unwrap_or_default()
    };
    assert_eq!([0.0, 0.34, 0.67, 1.0].map(measures), [100, 106, 111, 115]);
}

#[test]
fn at_the_floor_for_long_it_measures_anew() {
    let mut tuner = probing(3_600);
    tuner.rules.low = 20;
    tuner.learn(&full(10.0 * MILLI), at(0), 0.0);
    // What is behind it takes ten times as long for good.
    let windows = (1..30).take_while(|&second| {
        tuner.learn(&full(100.0 * MILLI), at(second), 0.0);
        !tuner.is_probing()
    });
    assert!(windows.count() < 10);
    tuner.learn(&full(100.0 * MILLI), at(30), 0.0);
    tuner.learn(&full(100.0 * MILLI), at(31), 0.0);
    assert!(tuner.limit() > 20, "a hundred is normal now");
}

proptest::proptest! {
    #[test]
    fn every_law_stays_within_its_range_whatever_happens(
        law in 0_usize..4,
        low in 1_u32..50,
        more in 0_u32..500,
        windows in proptest::collection::vec((0_u64..3_000, 0_u64..300, 1.0..1e11_f64, 0_u32..600), 0..200),
    ) {
        let rules = Rules { low, high: low + more, ..rules() };
        let mut tuner = Tuner::new(rules, laws()[law].clone(), low);
        for (second, (samples, failures, latency, peak)) in windows.into_iter().enumerate() {
            let before = tuner.limit;
            let window = Window { samples, failures, latency, peak };
            tuner.learn(&window, at(second as u64), 0.5);
            proptest::prop_assert!((f64::from(low)..=f64::from(low + more)).contains(&tuner.limit));
            proptest::prop_assert!(tuner.limit() >= 1);
            proptest::prop_assert!(tuner.limit <= before || window.binds(before));
        }
    }
}
