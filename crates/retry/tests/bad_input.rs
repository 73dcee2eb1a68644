//! Settings that cannot mean anything.

use plimsoll_retry::Retry;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn nonsense_from_configuration_is_an_error_that_states_the_rule() {
    let retry = || Retry::exponential(SECOND);
    let told = |error: Option<plimsoll_core::ConfigError>| error.unwrap().to_string();
    assert_eq!(
        told(Retry::try_exponential(Duration::ZERO).err()),
        "base must be over zero: no pause grows from nothing, but is 0"
    );
    assert_eq!(
        told(retry().try_cap(SECOND / 2).err()),
        "cap must be at least the base, but is 500ms with a base of 1s"
    );
    assert_eq!(
        told(retry().try_attempts(0).err()),
        "attempts must be at least 1: the first is one, but is 0"
    );
    for factor in [0.5, 0.0, -2.0, f64::NAN, f64::INFINITY] {
        let text = told(retry().try_factor(factor).err());
        assert!(text.starts_with("factor must be a number from 1, but is"), "{text}");
    }
}

#[test]
fn what_only_looks_odd_is_taken_as_it_is() {
    assert!(Retry::exponential(SECOND).try_cap(SECOND).is_ok());
    assert!(Retry::exponential(Duration::MAX).try_cap(Duration::MAX).is_ok());
    let _ = Retry::constant(Duration::ZERO).within(Duration::ZERO).attempts(u32::MAX).factor(1.0);
}

#[test]
#[should_panic(expected = "attempts must be at least 1")]
fn zero_attempts_panic_where_they_are_written() {
    let _ = Retry::exponential(SECOND).attempts(0);
}

#[test]
#[should_panic(expected = "cap must be at least the base")]
fn an_inverted_cap_panics_where_it_is_written() {
    let _ = Retry::exponential(SECOND).cap(Duration::from_millis(1));
}

#[test]
#[should_panic(expected = "base must be over zero")]
fn a_zero_base_panics_where_it_is_written() {
    let _ = Retry::exponential(Duration::ZERO);
}
