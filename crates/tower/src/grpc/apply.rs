//! Where the limits hold: tonic's servers, services and clients.

use super::GrpcLimits;
use tonic::{
    client, server,
    transport::{Endpoint, Server},
};

/// Where they hold.
impl GrpcLimits {
    /// Sets streams and windows of a server. Windows that adapt by themselves are
    /// switched off.
    ///
    /// Messages are a matter of each [service](Self::message), and idle
    /// connections are closed by [`serve`](Self::serve).
    #[must_use]
    pub fn server<L>(&self, server: Server<L>) -> Server<L> {
        server
            .max_concurrent_streams(self.max_streams())
            .initial_stream_window_size(self.max_stream_window())
            .initial_connection_window_size(self.max_connection_window())
            .http2_adaptive_window(Some(false))
    }

    /// Sets the windows of a client: what servers may send it before it reads.
    /// Windows that adapt by themselves are switched off.
    ///
    /// One answer that is read slowly then stalls no other of the same channel.
    /// tonic's own client has windows of 2 and 5 MiB: the third stalls all.
    #[must_use]
    pub fn endpoint(&self, endpoint: Endpoint) -> Endpoint {
        endpoint
            .initial_stream_window_size(self.max_stream_window())
            .initial_connection_window_size(self.max_connection_window())
            .http2_adaptive_window(false)
    }

    /// Sets the longest message of a service written by hand.
    #[must_use]
    pub fn service<T: tonic::codec::Codec>(&self, grpc: server::Grpc<T>) -> server::Grpc<T> {
        grpc.max_decoding_message_size(self.max_message())
    }

    /// Sets the longest answer of a client written by hand.
    #[must_use]
    pub fn client<T>(&self, grpc: client::Grpc<T>) -> client::Grpc<T> {
        grpc.max_decoding_message_size(self.max_message())
    }
}
