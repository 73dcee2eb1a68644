//! The RateLimit header fields.

use http::{HeaderMap, HeaderName, HeaderValue, request::Parts};
use plimsoll_core::{ConfigError, Quota, QuotaState};
use std::{fmt, fmt::Write, sync::Arc, time::Duration};

/// The largest integer of a structured field (RFC 9651, 3.3.1).
const MAX: u64 = 999_999_999_999_999;

/// Where the RateLimit fields of answers come from.
#[derive(Clone)]
pub(crate) struct QuotaHeaders {
    name: &'static str,
    quota: Arc<dyn Quota<Parts>>,
}

impl QuotaHeaders {
    pub(crate) fn new(
        name: &'static str,
        quota: impl Quota<Parts> + 'static,
    ) -> Result<Self, ConfigError> {
        let fits = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\';
        if !name.bytes().all(fits) {
            let allowed = "printable ASCII without quotes and backslashes";
            return Err(ConfigError::new("policy name", format!("{name:?}"), allowed));
        }
        Ok(Self { name, quota: Arc::new(quota) })
    }

    /// What the sender of `parts` has left now.
    pub(crate) fn read(&self, parts: &Parts) -> Left {
        Left { name: self.name, state: self.quota.quota(parts) }
    }
}

impl fmt::Debug for QuotaHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaHeaders").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What one caller had left when its request was decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    name: &'static str,
    state: QuotaState,
}

impl Left {
    /// Adds `RateLimit-Policy` and `RateLimit`. Both are lists: those of a
    /// service further in stay.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let QuotaState { limit, remaining, reset, window } = self.state;
        // A window of no length is none: the draft wants it left out.
        let window = seconds(window).filter(|window| *window > 0);
        let policy = self.field(("q", limit.min(MAX)), ("w", window));
        let left = self.field(("r", remaining.min(MAX)), ("t", seconds(reset)));
        for (name, field) in [("ratelimit-policy", policy), ("ratelimit", left)] {
            // The name was checked, the rest are digits.
            if let Ok(value) = HeaderValue::try_from(field) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
    }

    fn field(&self, (key, amount): (&str, u64), (time_key, time): (&str, Option<u64>)) -> String {
        let mut field = format!("\"{}\";{key}={amount}", self.name);
        if let Some(time) = time {
            // Writing to a string cannot fail.
            let _ = write!(field, ";{time_key}={time}");
        }
        field
    }
}

/// Whole seconds, rounded up; none where a structured field can't hold them,
/// as for a quota that never comes back.
fn seconds(time: Duration) -> Option<u64> {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    (seconds <= MAX).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(state: QuotaState) -> (String, String) {
        let mut headers = HeaderMap::new();
        Left { name: "per client", state }.write(&mut headers);
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        (text("ratelimit-policy"), text("ratelimit"))
    }

    #[test]
    fn the_fields_are_those_of_the_draft_and_times_are_rounded_up() {
        let state = QuotaState {
            limit: 100,
            remaining: 50,
            reset: Duration::from_millis(29_001),
            window: Duration::from_secs(60),
        };
        let (policy, left) = fields(state);
        assert_eq!(policy, "\"per client\";q=100;w=60");
        assert_eq!(left, "\"per client\";r=50;t=30");
    }

    #[test]
    fn a_time_that_never_comes_is_left_out_and_amounts_stop_at_what_a_field_holds() {
        let never = Duration::MAX;
        let state = QuotaState { limit: u64::MAX, remaining: 0, reset: never, window: never };
        let (policy, left) = fields(state);
        assert_eq!(policy, "\"per client\";q=999999999999999");
        assert_eq!(left, "\"per client\";r=0");
    }

    #[test]
    fn a_window_of_no_length_is_left_out() {
        let none = Duration::ZERO;
        let state = QuotaState { limit: 0, remaining: 0, reset: none, window: none };
        let (policy, left) = fields(state);
        assert_eq!(policy, "\"per client\";q=0");
        assert_eq!(left, "\"per client\";r=0;t=0");
    }

    struct Nothing;
    impl Quota<Parts> for Nothing {
        fn quota(&self, _: &Parts) -> QuotaState {
            QuotaState { limit: 0, remaining: 0, reset: Duration::ZERO, window: Duration::ZERO }
        }
    }

    #[test]
    fn a_name_that_would_break_the_field_is_a_config_error() {
        for name in ["a\"b", "a\\b", "ü", "a\nb", "\u{7f}"] {
            let error = QuotaHeaders::new(name, Nothing).unwrap_err();
            assert_eq!(error.field(), "policy name", "{name:?}");
        }
        assert!(QuotaHeaders::new("per client; really", Nothing).is_ok());
    }
}
