//! When an HTTP answer says to come back.

use http::{
    HeaderMap, HeaderName,
    header::{DATE, RETRY_AFTER},
};
use std::time::{Duration, SystemTime};

/// How long `Retry-After` asks to wait, where it says so and the time has not
/// passed. Too many seconds to count are for ever.
///
/// A date is measured from the answer's own `Date`, so that a clock here that is
/// not right does no harm; where there is none, from `now`.
///
/// Source: RFC 9110, 5.6.7 (dates, in three forms) and 10.2.3.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    let sent = self::text(headers, &DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    then.duration_since(sent.unwrap_or(now)).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim_matches([' ', '\t']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const THEN: Duration = Duration::from_secs(784_111_777);

    fn read(value: &[u8], date: Option<&str>, now: Duration) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_bytes(value).unwrap());
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers, SystemTime::UNIX_EPOCH + now)
    }

    fn secs(n: u64) -> Option<Duration> {
        Some(Duration::from_secs(n))
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        for (value, seconds) in [("0", 0), ("120", 120), (" 7\t", 7), ("0007", 7)] {
            assert_eq!(read(value.as_bytes(), None, THEN), secs(seconds), "{value:?}");
        }
    }

    #[test]
    fn seconds_without_end_are_for_ever_and_do_not_wrap() {
        assert_eq!(read(b"18446744073709551615", None, THEN), secs(u64::MAX));
        assert_eq!(read(b"18446744073709551616", None, THEN), secs(u64::MAX));
        assert_eq!(read("9".repeat(1_000).as_bytes(), None, THEN), secs(u64::MAX));
    }

    #[test]
    fn a_date_in_any_of_the_three_forms_is_measured_from_now() {
        for value in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let a_minute_before = THEN - Duration::from_secs(60);
            assert_eq!(read(value.as_bytes(), None, a_minute_before), secs(60), "{value}");
        }
    }

    #[test]
    fn a_clock_that_is_not_right_here_does_no_harm_where_the_answer_has_a_date() {
        let then = b"Sun, 06 Nov 1994 08:49:37 GMT";
        let a_minute_before = Some("Sun, 06 Nov 1994 08:48:37 GMT");
        for now in [Duration::ZERO, THEN, 9 * THEN] {
            assert_eq!(read(then, a_minute_before, now), secs(60));
        }
        assert_eq!(read(then, Some("yesterday"), THEN), secs(0), "no date is none");
    }

    #[test]
    fn what_has_passed_and_what_cannot_be_read_asks_for_nothing() {
        let past = b"Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(read(past, None, THEN + Duration::from_secs(1)), None);
        for value in [
            &b"-5"[..],
            b"+5",
            b"1.5",
            b"",
            b"5 s",
            b"5, 6",
            b"soon",
            b"\xff",
            b"Sun, 06 Nov 1994 08:49:37 CET",
            b"Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(read(value, None, Duration::ZERO), None, "{value:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
