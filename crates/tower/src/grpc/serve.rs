//! A server that closes idle connections, and stops when it is told to.

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

/// What was left of a server when its [time to drain](GrpcLimits::drain_within) was
/// over, and was cut off. Nothing, by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcCutOff {
    /// Connections whose clients did not close them.
    pub connections: usize,
    /// Calls under way on these: their handlers are dropped, and their clients see
    /// the connection break.
    pub calls: usize,
}

impl GrpcLimits {
    /// Serves gRPC within these limits, the one on idle connections included,
    /// until `stop`. Then it drops `incoming`, tells all clients, and lets calls
    /// under way end; after [`drain_within`](Self::drain_within) it cuts what is left.
    /// It returns when all connections have ended, and says what was cut.
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
    /// that end because of `stop`, too, within the time to drain: then also calls
    /// under way are cut, whether a handler hangs, a stream never ends or a client
    /// does not read. Only a handler that blocks its thread instead of awaiting
    /// cannot be cut, and is waited for.
    ///
    /// # Errors of accepting
    ///
    /// A connection that fails while it is accepted, or in a handshake within
    /// `incoming`, is left out. After other errors of `incoming`, such as too many
    /// open files, it accepts none for 100 ms, or until a connection has ended.
    /// Whoever wants to hear of them looks at the stream before he hands it over.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with timers. Handlers' panics end their own calls, in
    /// tonic's tasks; what else panics in serving a connection panics here.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it accepts no more and tells all clients; calls under way have the
    /// time to drain, and then their connections are cut. Nobody says which.
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
    ) -> GrpcCutOff
    where
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
                    Some(ended) = connections.join_next() => drop(or_its_panic(ended)),
                    next = accept(incoming.as_mut()), if accepting => match next {
                        Some(io) => {
                            let (server, service) = (server.clone(), service.clone());
                            connections.spawn(one(server, service, io, *self, stopping.clone()));
                        }
                        None => accepting = false,
                    },
                }
            }
        }
        // No error: `stopping` is still there.
        let _ = to_stop.send(true);
        let mut cut_off = GrpcCutOff::default();
        while let Some(ended) = connections.join_next().await {
            if let Some(calls) = or_its_panic(ended) {
                cut_off.connections += 1;
                cut_off.calls += calls;
            }
        }
        cut_off
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
/// to close a connection in order. If it was cut, says how many calls that ended.
async fn one<S, RB, IO>(
    server: Server,
    service: S,
    io: IO,
    limits: GrpcLimits,
    mut stopping: watch::Receiver<bool>,
) -> Option<usize>
where
    S: Service<Request<TonicBody>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
    RB: Body<Data = Bytes> + Send + 'static,
    RB::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let rpcs = Rpcs::new();
    let (wire, ends) = Wire::new(io, limits.drain);
    let (to_close, closing) = oneshot::channel::<()>();
    let cut = async {
        let is_idle = async {
            match limits.idle {
                Some(time) => rpcs.idle_for(time).await,
                None => pending().await,
            }
        };
        select! {
            () = is_idle => {}
            () = told(&mut stopping) => {}
            _ = ends.gone => {}
        }
        let _ = to_close.send(()); // nobody hears it when all is over
        let client_is_gone = async {
            // Idle by now it may be; so it has its time first, and then calls that
            // came meanwhile have theirs.
            sleep(GRACE).await;
            rpcs.idle_for(GRACE).await;
        };
        let time_is_up = async {
            told(&mut stopping).await;
            sleep(limits.drain).await;
        };
        select! {
            () = client_is_gone => {}
            () = time_is_up => {}
        }
        let calls = rpcs.under_way();
        let _ = ends.cut.send(Cut);
        calls
    };
    let server = server.layer(rpcs.clone());
    let mut serving = pin!(server.serve_with_incoming_shutdown(service, Lone(Some(wire)), async {
        let _ = closing.await;
    }));
    // It reports no error: each connection's is its own, and tonic traces it.
    select! {
        _ = &mut serving => None,
        calls = cut => {
            let _ = serving.await;
            Some(calls)
        }
    }
}

/// Waits until the server is to stop.
async fn told(stopping: &mut watch::Receiver<bool>) {
    // An error would say that the server is gone, and this with it.
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn or_its_panic<T: Default>(ended: Result<T, JoinError>) -> T {
    match ended.map_err(JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => resume_unwind(panic),
        Err(Err(_)) => T::default(), // nobody cancels it
    }
}
