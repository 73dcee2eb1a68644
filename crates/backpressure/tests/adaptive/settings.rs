//! Nonsense is refused where it is written, and every gate's promises are kept.

use super::{MILLI, SECOND};
use plimsoll_backpressure::AdaptiveLimit;
use plimsoll_core::{ConfigError, GateExt, testing::Conformance};
use std::time::Duration;

fn says(error: Result<AdaptiveLimit, ConfigError>) -> String {
    error.unwrap_err().to_string()
}

#[test]
fn settings_that_mean_nothing_are_errors_that_say_what_is_allowed() {
    let limit = AdaptiveLimit::vegas;
    let time = "1 ns to 584 years";
    assert_eq!(
        says(AdaptiveLimit::try_aimd(Duration::ZERO)),
        format!("target must be {time}, but is 0ns")
    );
    assert_eq!(
        says(AdaptiveLimit::try_probing(Duration::ZERO)),
        format!("interval must be {time}, but is 0ns")
    );
    assert_eq!(
        says(limit().try_window(Duration::ZERO)),
        format!("window must be {time}, but is 0ns")
    );
    assert!(limit().try_window(Duration::MAX).is_err());
    assert_eq!(
        says(limit().try_healthy_below(Duration::ZERO)),
        format!("healthy latency must be {time}, but is 0ns")
    );
    let range = "range must be a range within 1..=2147483647, but is";
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let empty = 5..=4;
    assert_eq!(says(limit().try_range(empty)), format!("{range} 5..=4"));
    assert_eq!(says(limit().try_range(0..=4)), format!("{range} 0..=4"));
    assert_eq!(says(limit().try_range(1..=u32::MAX)), format!("{range} 1..=4294967295"));
    assert_eq!(
        says(limit().range(5..=9).try_start_at(10)),
        "start must be within the range, but is 10 with range 5..=9"
    );
    assert!(limit().start_at(10).try_range(5..=9).is_err(), "in either order");
    assert_eq!(says(limit().try_min_samples(0)), "min_samples must be at least 1, but is 0");
    for q in [0.0, 1.0, -1.0, f64::NAN, f64::INFINITY] {
        let rule = "percentile must be between 0 and 1, both excluded";
        assert_eq!(says(limit().try_percentile(q)), format!("{rule}, but is {q}"));
    }
    for share in [1.0, -0.1, f64::NAN] {
        let rule = "tolerated failures must be 0 to below 1";
        assert_eq!(says(limit().try_tolerate_failures(share)), format!("{rule}, but is {share}"));
    }
}

#[test]
#[should_panic(expected = "target must be 1 ns to 584 years, but is 0ns")]
fn a_target_of_nothing_panics_where_it_is_written() {
    let _ = AdaptiveLimit::aimd(Duration::ZERO);
}

#[test]
#[should_panic(expected = "range must be a range within 1..=2147483647, but is 0..=4")]
fn a_range_that_begins_at_0_panics_where_it_is_written() {
    let _ = AdaptiveLimit::gradient().range(0..=4);
}

#[test]
fn the_limit_starts_at_20_or_at_the_end_of_the_range_that_is_nearer() {
    for (range, start) in [(1..=1_000, 20), (30..=50, 30), (1..=10, 10)] {
        assert_eq!(AdaptiveLimit::vegas().range(range).limit(), start);
    }
    assert_eq!(AdaptiveLimit::vegas().start_at(77).limit(), 77);
}

#[tokio::test(start_paused = true)]
async fn adaptive_limits_conform_with_weights_and_without() {
    let kinds: [fn() -> AdaptiveLimit; 4] = [
        || AdaptiveLimit::aimd(MILLI * 50),
        AdaptiveLimit::vegas,
        AdaptiveLimit::gradient,
        || AdaptiveLimit::probing(SECOND),
    ];
    for (kind, capacity) in kinds.into_iter().zip([7, 7, 7, 3]) {
        Conformance::new("adaptive limit", |clock| kind().start_at(7).clock(clock))
            .capacity(capacity)
            .holds()
            .check();
        Conformance::new("adaptive limit", |clock| {
            kind().start_at(7).percentile(0.9).wait_at_most(MILLI * 100).clock(clock)
        })
        .capacity(capacity)
        .holds()
        .waits()
        .check();
        if capacity == 7 {
            Conformance::new("adaptive limit", |clock| {
                let limit = kind().start_at(21).wait_at_most(MILLI * 100).clock(clock);
                limit.weighted(|&n: &u64| n)
            })
            .capacity(capacity)
            .holds()
            .waits()
            .check_for(&3);
        }
    }
}
