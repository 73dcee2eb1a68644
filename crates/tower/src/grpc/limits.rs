//! How much one connection may ask of a gRPC server.

use plimsoll_core::ConfigError;
use std::time::Duration;

/// The largest window of HTTP/2 (RFC 9113, 6.9.1).
const WIDEST: u32 = (1 << 31) - 1;
/// The length of a gRPC message has 32 bits.
const LONGEST: u64 = u32::MAX as u64;

/// Bounds on what one connection may ask of a gRPC server built with tonic.
///
/// | | by default | protects against |
/// |---|---|---|
/// | [concurrent streams](Self::streams) | 100 | a client that opens calls without end: more wait in the client |
/// | [window of a stream](Self::stream_window) | 64 KiB | a sender that is faster than the handler: what is sent and not yet read is bounded |
/// | [window of a connection](Self::connection_window) | one stream window for each stream | the sum of the same. See below |
/// | [idle connections](Self::idle_after) | closed after 5 minutes | clients that are gone, or will not be back, and keep sockets and memory |
/// | [messages](Self::message) | 10 MiB | one message that fills the memory: it is decoded as a whole |
/// | [time to drain](Self::drain_within) | 20 s | clients that never go and streams that never end: a server told to stop that does not |
///
/// What tonic does by itself: 200 streams, windows of 1 MiB, messages of 4 MiB,
/// connections that are idle for ever, and a server that stops when the last client
/// lets it.
///
/// # Windows: why the connection's is larger
///
/// With both windows at 64 KiB, one handler that does not read stops everybody on
/// its connection: what it leaves unread fills the connection's window, and that
/// opens again only when the handler reads.
///
/// So the connection's window is by default the sum of the streams' windows, 100
/// × 64 KiB: however many handlers stall, no other stream is in their way. The
/// price is that a connection may hold 6.25 MiB unread instead of 64 KiB. Where
/// memory is dearer, and calls of one connection may wait for each other, say
/// `.connection_window(64 * 1024)`.
///
/// There is a second reason. h2 ends a connection, with all its calls, when too
/// many small frames on it are unread, and the bound goes with its window: some
/// 130 messages of a few bytes at 64 KiB, some 13,000 by default (h2 0.4.20).
///
/// A window is the receiver's. The server's rules what clients send; what a
/// client reads slowly is ruled by the client's, see [`endpoint`](Self::endpoint).
///
/// # Memory
///
/// A message may be larger than a window: it passes through it piece by piece and
/// is put together behind it. So a connection takes up to `streams × message` in
/// the end, 1,000 MiB by default. Bound the sum by a gate before the service, by
/// bytes or by count. How many connections there are is bounded by whoever accepts
/// them.
///
/// # Example
///
/// `examples/grpc.rs` is a whole server. The parts:
///
/// ```
/// use plimsoll_tower::GrpcLimits;
/// use tonic::transport::Server;
///
/// let limits = GrpcLimits::new().streams(50).message(1024 * 1024);
/// let server = limits.server(Server::builder()); // any setting of tonic's before or after
/// assert_eq!(limits.max_connection_window(), 50 * 64 * 1024);
/// # let _ = server;
/// // Of a generated service:
/// // GreeterServer::new(greeter).max_decoding_message_size(limits.max_message())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcLimits {
    pub(super) streams: u32,
    pub(super) stream_window: u32,
    /// None: one stream window for each stream.
    pub(super) connection_window: Option<u32>,
    pub(super) idle: Option<Duration>,
    pub(super) message: usize,
    pub(super) drain: Duration,
}

impl GrpcLimits {
    /// 100 streams with windows of 64 KiB, messages of 10 MiB, 5 minutes for a
    /// connection to be idle, and 20 seconds to drain.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            streams: 100,
            stream_window: 64 * 1024,
            connection_window: None,
            idle: Some(Duration::from_secs(300)),
            message: 10 * 1024 * 1024,
            drain: Duration::from_secs(20),
        }
    }

    /// At most so many calls of one connection at the same time. By default 100.
    ///
    /// A client that keeps to HTTP/2 lets more calls wait until others have ended:
    /// they take their turn and are not refused. One that opens more all the same
    /// has them refused by the connection before they reach a handler.
    ///
    /// # Panics
    ///
    /// When `n` is 0. [`try_streams`](Self::try_streams) returns the error.
    #[track_caller]
    #[must_use]
    pub fn streams(self, n: u32) -> Self {
        or_panic(self.try_streams(n))
    }

    /// [`streams`](Self::streams) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `n` is 0: calls would wait for ever.
    pub fn try_streams(self, n: u32) -> Result<Self, ConfigError> {
        if n == 0 {
            return Err(ConfigError::new("streams", n, "at least 1: calls would wait for ever"));
        }
        Ok(Self { streams: n, ..self })
    }

    /// What a peer may send on one stream before it is read. By default 64 KiB.
    ///
    /// On a long way a small window is a slow one: throughput per stream is at
    /// most window over round trip, at 64 KiB and 50 ms some 1.3 MB/s.
    ///
    /// # Panics
    ///
    /// When `bytes` is not from 1 to 2³¹ − 1.
    /// [`try_stream_window`](Self::try_stream_window) returns the error.
    #[track_caller]
    #[must_use]
    pub fn stream_window(self, bytes: u32) -> Self {
        or_panic(self.try_stream_window(bytes))
    }

    /// [`stream_window`](Self::stream_window) for values that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `bytes` is not from 1 to 2³¹ − 1.
    pub fn try_stream_window(self, bytes: u32) -> Result<Self, ConfigError> {
        Ok(Self { stream_window: window("stream_window", bytes)?, ..self })
    }

    /// What a peer may send on all streams of a connection before it is read. By
    /// default one [stream window](Self::stream_window) for each of the
    /// [streams](Self::streams), so that streams do not stall each other.
    ///
    /// Room for `k` stream windows is room for `k - 1` handlers that do not read.
    /// HTTP/2 starts each connection with 65,535 bytes: a smaller window holds
    /// once these have been used.
    ///
    /// # Panics
    ///
    /// When `bytes` is not from 1 to 2³¹ − 1.
    /// [`try_connection_window`](Self::try_connection_window) returns the error.
    #[track_caller]
    #[must_use]
    pub fn connection_window(self, bytes: u32) -> Self {
        or_panic(self.try_connection_window(bytes))
    }

    /// [`connection_window`](Self::connection_window) for values that come from
    /// configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `bytes` is not from 1 to 2³¹ − 1.
    pub fn try_connection_window(self, bytes: u32) -> Result<Self, ConfigError> {
        let bytes = window("connection_window", bytes)?;
        Ok(Self { connection_window: Some(bytes), ..self })
    }

    /// Refuses larger messages. By default 10 MiB; 0 refuses all that are not
    /// empty.
    ///
    /// tonic keeps this for each service, so it is yours to hand on: of a
    /// generated service by `max_decoding_message_size(limits.max_message())`, else
    /// by [`service`](Self::service). Where it is forgotten, tonic's 4 MiB hold. A
    /// message is refused by its stated length before it is read, with
    /// `OUT_OF_RANGE`. One that is only found too long as it is unpacked gets
    /// `RESOURCE_EXHAUSTED`.
    ///
    /// # Panics
    ///
    /// When `bytes` is over 2³² − 1. [`try_message`](Self::try_message) returns
    /// the error.
    #[track_caller]
    #[must_use]
    pub fn message(self, bytes: usize) -> Self {
        or_panic(self.try_message(bytes))
    }

    /// [`message`](Self::message) for values that come from configuration.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when `bytes` is over 2³² − 1, the longest there is.
    pub fn try_message(self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes as u64 > LONGEST {
            return Err(ConfigError::new("message", bytes, "at most 4294967295: it has 32 bits"));
        }
        Ok(Self { message: bytes, ..self })
    }
}

/// What they are.
impl GrpcLimits {
    /// At most so many calls of one connection at the same time.
    #[must_use]
    pub const fn max_streams(&self) -> u32 {
        self.streams
    }

    /// What may be sent on one stream before it is read, in bytes.
    #[must_use]
    pub const fn max_stream_window(&self) -> u32 {
        self.stream_window
    }

    /// What may be sent on a connection before it is read, in bytes: as it was
    /// set, or the sum of the windows of all streams, up to the widest there is.
    #[must_use]
    pub const fn max_connection_window(&self) -> u32 {
        if let Some(bytes) = self.connection_window {
            return bytes;
        }
        let sum = self.stream_window.saturating_mul(self.streams);
        if sum < WIDEST { sum } else { WIDEST }
    }

    /// The longest message, in bytes.
    #[must_use]
    pub const fn max_message(&self) -> usize {
        self.message
    }
}

impl Default for GrpcLimits {
    fn default() -> Self {
        Self::new()
    }
}

#[track_caller]
pub(super) fn or_panic(limits: Result<GrpcLimits, ConfigError>) -> GrpcLimits {
    match limits {
        Ok(limits) => limits,
        Err(error) => error.panic(),
    }
}

fn window(field: &'static str, bytes: u32) -> Result<u32, ConfigError> {
    if (1..=WIDEST).contains(&bytes) {
        return Ok(bytes);
    }
    Err(ConfigError::new(field, bytes, "1 to 2147483647"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_is_what_its_table_says() {
        let limits = GrpcLimits::new();
        assert_eq!(limits.max_streams(), 100);
        assert_eq!(limits.max_stream_window(), 64 * 1024);
        assert_eq!(limits.max_connection_window(), 100 * 64 * 1024);
        assert_eq!(limits.max_idle(), Some(Duration::from_secs(5 * 60)));
        assert_eq!(limits.max_message(), 10 * 1024 * 1024);
        assert_eq!(limits.max_drain(), Duration::from_secs(20));
        assert_eq!(GrpcLimits::default(), limits);
    }

    #[test]
    fn every_value_can_be_set() {
        let limits = GrpcLimits::new()
            .streams(7)
            .stream_window(1_000)
            .connection_window(64 * 1024)
            .idle_after(Duration::from_secs(1))
            .message(0)
            .drain_within(Duration::from_millis(1));
        assert_eq!((limits.max_streams(), limits.max_stream_window()), (7, 1_000));
        assert_eq!((limits.max_connection_window(), limits.max_message()), (64 * 1024, 0));
        assert_eq!(limits.max_idle(), Some(Duration::from_secs(1)));
        assert_eq!(limits.max_drain(), Duration::from_millis(1));
        assert_eq!(limits.without_idle_limit().max_idle(), None);
    }

    #[test]
    fn the_connection_has_room_for_all_streams_up_to_the_widest_window() {
        assert_eq!(GrpcLimits::new().streams(3).stream_window(10).max_connection_window(), 30);
        let many = GrpcLimits::new().streams(u32::MAX);
        assert_eq!(many.max_connection_window(), WIDEST);
        assert_eq!(many.streams(1 << 16).max_connection_window(), WIDEST, "2³² in all");
        assert_eq!(many.stream_window(WIDEST).max_connection_window(), WIDEST);
    }

    #[test]
    fn nonsense_from_configuration_is_told_with_the_rule() {
        let limits = GrpcLimits::new();
        let error = |result: Result<GrpcLimits, ConfigError>| result.unwrap_err().to_string();
        assert_eq!(
            error(limits.try_streams(0)),
            "streams must be at least 1: calls would wait for ever, but is 0"
        );
        assert_eq!(
            error(limits.try_stream_window(0)),
            "stream_window must be 1 to 2147483647, but is 0"
        );
        assert_eq!(
            error(limits.try_connection_window(1 << 31)),
            "connection_window must be 1 to 2147483647, but is 2147483648"
        );
        assert!(limits.try_stream_window(WIDEST).is_ok());
        #[cfg(target_pointer_width = "64")]
        assert_eq!(
            error(limits.try_message(1 << 32)),
            "message must be at most 4294967295: it has 32 bits, but is 4294967296"
        );
    }

    #[test]
    #[should_panic(expected = "stream_window must be 1 to 2147483647, but is 0")]
    fn a_window_of_nothing_panics_where_it_is_written() {
        let _ = GrpcLimits::new().stream_window(0);
    }
}
