//! How long connections may last on a gRPC server.

use super::{GrpcLimits, limits::or_panic};
use plimsoll_core::ConfigError;
use std::time::Duration;

/// How long connections last.
impl GrpcLimits {
    /// Closes a connection that had no call under way for `time`. By default 5
    /// minutes. [`serve`](Self::serve) keeps to it; tonic alone has no such limit.
    ///
    /// # Panics
    ///
    /// When `time` is zero. [`try_idle_after`](Self::try_idle_after) returns the
    /// error.
    #[track_caller]
    #[must_use]
    pub fn idle_after(self, time: Duration) -> Self {
        or_panic(self.try_idle_after(time))
    }

    /// [`idle_after`](Self::idle_after) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `time` is zero: no call could ever be made.
    pub fn try_idle_after(self, time: Duration) -> Result<Self, ConfigError> {
        if time.is_zero() {
            return Err(ConfigError::new("idle_after", "0", "over zero"));
        }
        Ok(Self { idle: Some(time), ..self })
    }

    /// Lets connections be idle for ever: behind a proxy that keeps some open, and
    /// has a limit of its own.
    #[must_use]
    pub fn without_idle_limit(self) -> Self {
        Self { idle: None, ..self }
    }

    /// How long calls under way have to end once the server is told to stop. By
    /// default 20 s. Then [`serve`](Self::serve) cuts what is left, and says what
    /// that was.
    ///
    /// Stay under the time after which whoever sent the signal kills the process:
    /// Kubernetes gives 30 s, unless told otherwise.
    ///
    /// # Panics
    ///
    /// When `time` is zero. [`try_drain_within`](Self::try_drain_within) returns
    /// the error.
    #[track_caller]
    #[must_use]
    pub fn drain_within(self, time: Duration) -> Self {
        or_panic(self.try_drain_within(time))
    }

    /// [`drain_within`](Self::drain_within) for values that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `time` is zero: no call could end.
    pub fn try_drain_within(self, time: Duration) -> Result<Self, ConfigError> {
        if time.is_zero() {
            return Err(ConfigError::new("drain_within", "0", "over zero: no call could end"));
        }
        Ok(Self { drain: time, ..self })
    }

    /// How long a connection may be idle, if there is a limit.
    #[must_use]
    pub const fn max_idle(&self) -> Option<Duration> {
        self.idle
    }

    /// How long calls have to end once the server is told to stop.
    #[must_use]
    pub const fn max_drain(&self) -> Duration {
        self.drain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_at_all_is_told_with_the_rule() {
        let limits = GrpcLimits::new();
        let error = |result: Result<GrpcLimits, ConfigError>| result.unwrap_err().to_string();
        assert_eq!(
            error(limits.try_idle_after(Duration::ZERO)),
            "idle_after must be over zero, but is 0"
        );
        assert_eq!(
            error(limits.try_drain_within(Duration::ZERO)),
            "drain_within must be over zero: no call could end, but is 0"
        );
    }

    #[test]
    #[should_panic(expected = "drain_within must be over zero: no call could end, but is 0")]
    fn no_time_to_drain_panics_where_it_is_written() {
        let _ = GrpcLimits::new().drain_within(Duration::ZERO);
    }
}
