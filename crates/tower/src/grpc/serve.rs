//! A server that closes idle connections.

use super::{
    GrpcLimits,
    rpcs::Rpcs,
    wire::{Cut, Lone, Wire},
};
use bytes::Bytes;
use futures_core::Stream;
use http::{Request, Response};
use http_body::Body;
use std::{
    future::{pending, poll_fn},
    io,
    panic::resume_unwind,
    pin::{Pin, pin},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    sync::{oneshot, watch},
    task::{JoinError, JoinSet, yield_now},
    time::sleep,
};
use tonic::{
    body::Body as TonicBody,
    transport::{Server, server::Connected},
};
use tower_service::Service;

/// How long a client has for the end of a connection that was closed. tonic gives
/// as long for the answer to a ping.
const GRACE: Duration = Duration::from_secs(20);
/// The pause after a connection could not be accepted: where the system has no
/// more files, it cannot be for a while.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

impl GrpcLimits {
    /// Serves gRPC within these limits, the one on idle connections included,
    /// until `stop`; then it drops `incoming`, lets calls under way end, and returns.
    ///
    /// | | |
    /// |---|---|
    /// | `server` | any settings of tonic's: TLS, timeouts, keepalive. [`server`](Self::server) is applied to it. It has no layers |
    /// | `service` | `tonic::service::Routes` of some services, in layers as you like |
    /// | `incoming` | [`TcpIncoming`](tonic::transport::server::TcpIncoming), or connections of any kind |
    /// | `stop` | ready when the server is to stop: a signal, or [`pending`] |
    ///
    /// # What idle means
    ///
    /// A connection is idle while no call is under way, from its handler's start
    /// until the last of its answer was handed to the connection. A stream that is
    /// open and silent is under way. Pings are no calls: a client that only keeps
    /// its connection alive is idle. So is one that never gets through the TLS
    /// handshake.
    ///
    /// # What a client sees
    ///
    /// `GOAWAY` without an error, and the end of the connection. It opens another
    /// for its next call.
    ///
    /// Of calls at that very moment, all that were sent are served: HTTP/2 says
    /// good-bye twice (RFC 9113, 6.8), and what was sent before the client has
    /// answered the first is taken. What the client had yet to send it may send on
    /// a new connection. tonic's own client does not: a call that it takes up in
    /// the instant between the good-bye and the end fails there. It was never begun,
    /// and may be repeated.
    ///
    /// A client that does not answer the good-bye within 20 s is gone, and its
    /// connection is cut, calls under way aside. All this holds for connections
    /// that end because of `stop`, too.
    ///
    /// # Errors of accepting
    ///
    /// A connection that fails while it is accepted, or in a handshake within
    /// `incoming`, is left out. After other errors of `incoming`, such as too many
    /// open files, it accepts none for 100 ms, or until a connection has ended. Whoever wants to hear of them looks at
    /// the stream before he hands it over.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it accepts no more; calls under way still end, and then their
    /// connections.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use plimsoll_core::testing::Places;
    /// use plimsoll_tower::{GrpcLimits, HttpGateLayer};
    /// use std::future::pending;
    /// use tonic::{service::Routes, transport::{Server, server::TcpIncoming}};
    /// use tower_layer::Layer;
    ///
    /// # async fn run(routes: Routes) -> Result<(), Box<dyn std::error::Error>> {
    /// let service = HttpGateLayer::new(Places::new(1_000)).grpc().layer(routes);
    /// let incoming = TcpIncoming::bind("127.0.0.1:50051".parse()?)?.with_nodelay(Some(true));
    /// GrpcLimits::new().serve(Server::builder(), service, incoming, pending()).await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn serve<S, RB, I, IO>(
        &self,
        server: Server,
        service: S,
        incoming: I,
        stop: impl Future<Output = ()>,
    ) where
        S: Service<Request<TonicBody>, Response = Response<RB>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
        RB: Body<Data = Bytes> + Send + 'static,
        RB::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        I: Stream<Item = io::Result<IO>>,
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let server = self.server(server);
        let (to_stop, stopping) = watch::channel(false);
        let mut connections = JoinSet::new();
        {
            // Gone when it is to stop: clients would connect, and never be served.
            let (mut incoming, mut stop) = (pin!(incoming), pin!(stop));
            let mut accepting = true;
            while accepting || !connections.is_empty() {
                select! {
                    () = &mut stop => break,
                    Some(ended) = connections.join_next() => pass_panic_on(ended),
                    next = accept(incoming.as_mut()), if accepting => match next {
                        Some(io) => {
                            let (server, service) = (server.clone(), service.clone());
                            connections.spawn(one(server, service, io, self.idle, stopping.clone()));
                        }
                        None => accepting = false,
                    },
                }
            }
        }
        // No error: `stopping` is still there.
        let _ = to_stop.send(true);
        while let Some(ended) = connections.join_next().await {
            pass_panic_on(ended);
        }
    }
}

/// The next connection; `None` when no more will come.
async fn accept<IO>(mut incoming: Pin<&mut impl Stream<Item = io::Result<IO>>>) -> Option<IO> {
    loop {
        match poll_fn(|cx| incoming.as_mut().poll_next(cx)).await? {
            Ok(io) => return Some(io),
            // Others have their turn, however many fail.
            Err(error) if is_of_one_connection(error.kind()) => yield_now().await,
            Err(_) => sleep(OUT_OF_FILES).await,
        }
    }
}

/// Whether the next may be accepted all the same: a client reset its connection,
/// say, or failed a handshake that is part of accepting.
fn is_of_one_connection(error: io::ErrorKind) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error,
        Kind::ConnectionAborted
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::BrokenPipe
            | Kind::Interrupted
            | Kind::InvalidData
            | Kind::TimedOut
            | Kind::UnexpectedEof
    )
}

/// Serves one connection, with a tonic server of its own: that is what can be told
/// to close a connection in order.
async fn one<S, RB, IO>(
    server: Server,
    service: S,
    io: IO,
    idle: Option<Duration>,
    mut stopping: watch::Receiver<bool>,
) where
    S: Service<Request<TonicBody>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let rpcs = Rpcs::new();
    let (wire, ends) = Wire::new(io);
    let (to_close, closing) = oneshot::channel::<()>();
    let close = async {
        let is_idle = async {
            match idle {
                Some(time) => rpcs.idle_for(time).await,
                None => pending().await,
            }
        };
        select! {
            () = is_idle => {}
            _ = stopping.wait_for(|stop| *stop) => {}
            _ = ends.gone => {}
        }
        let _ = to_close.send(()); // nobody hears it when all is over
        // Idle by now it may be; so it has its time first, and then calls that
        // came meanwhile have theirs.
        sleep(GRACE).await;
        rpcs.idle_for(GRACE).await;
        let _ = ends.cut.send(Cut);
        pending::<()>().await;
    };
    let server = server.layer(rpcs.clone());
    let serving = server.serve_with_incoming_shutdown(service, Lone(Some(wire)), async {
        let _ = closing.await;
    });
    select! {
        // It reports no error: each connection's is its own, and tonic traces it.
        _ = serving => {}
        () = close => {}
    }
}

fn pass_panic_on(ended: Result<(), JoinError>) {
    if let Err(Ok(panic)) = ended.map_err(JoinError::try_into_panic) {
        resume_unwind(panic);
    }
}
