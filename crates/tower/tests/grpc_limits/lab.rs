//! A server, its clients, and handlers that do as a test says.

use crate::text::Text;
use futures::{
    FutureExt, Stream, StreamExt,
    channel::mpsc::{UnboundedSender, unbounded},
    future::BoxFuture,
    stream,
};
use http::{Request as HttpRequest, Response as HttpResponse, uri::PathAndQuery};
use hyper_util::rt::TokioIo;
use plimsoll_tower::{GrpcCutOff, GrpcLimits};
use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client::Grpc as Client,
    server::Grpc,
    transport::{Channel, Endpoint, Server, server::Connected},
};
use tower::{Service, service_fn};

/// Says back what it is told.
pub(crate) const SAY: &str = "/lab/Say";
/// Answers when it is let go.
pub(crate) const HOLD: &str = "/lab/Hold";
/// Reads nothing until it is let go; answers with the length of all.
pub(crate) const COLLECT: &str = "/lab/Collect";
/// Says a word, and no more.
pub(crate) const WATCH: &str = "/lab/Watch";
/// Says thirty times 100 KB.
pub(crate) const POUR: &str = "/lab/Pour";

#[derive(Clone)]
pub(crate) struct Lab {
    pub(crate) limits: GrpcLimits,
    /// Lets one handler go that holds.
    pub(crate) go: Arc<Notify>,
    /// Which handlers were entered.
    pub(crate) entered: Arc<Mutex<Vec<String>>>,
}

impl Lab {
    pub(crate) fn new(limits: GrpcLimits) -> Self {
        Self { limits, go: Arc::default(), entered: Arc::default() }
    }

    pub(crate) fn entered(&self, path: &str) -> usize {
        self.entered.lock().unwrap().iter().filter(|entered| *entered == path).count()
    }

    /// Serves until it is told to stop.
    pub(crate) fn serve(&self) -> Serving {
        let (connections, incoming) = unbounded();
        let (stop, task) = self.serve_all(incoming);
        Serving { connections, stop: Some(stop), task, dialled: Arc::default() }
    }

    /// Serves all these connections until it is told to stop.
    pub(crate) fn serve_all<IO>(
        &self,
        incoming: impl Stream<Item = io::Result<IO>> + Send + 'static,
    ) -> (oneshot::Sender<()>, JoinHandle<GrpcCutOff>)
    where
        IO: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let (lab, limits) = (self.clone(), self.limits);
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            limits.serve(Server::builder(), lab, incoming, stopped).await
        });
        (stop, task)
    }
}

pub(crate) struct Serving {
    pub(crate) connections: UnboundedSender<io::Result<DuplexStream>>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<GrpcCutOff>,
    /// How many connections clients have opened.
    pub(crate) dialled: Arc<Mutex<usize>>,
}

impl Serving {
    /// A connection, to speak HTTP/2 over.
    pub(crate) fn connect(&self) -> DuplexStream {
        self.connect_through(1 << 20)
    }

    /// One that takes so many bytes until they are read.
    pub(crate) fn connect_through(&self, bytes: usize) -> DuplexStream {
        let (ours, theirs) = duplex(bytes);
        self.connections.unbounded_send(Ok(theirs)).unwrap();
        ours
    }

    pub(crate) fn client(&self) -> Client<Channel> {
        self.client_by(&Endpoint::from_static("http://lab"))
    }

    pub(crate) fn client_by(&self, endpoint: &Endpoint) -> Client<Channel> {
        let (connections, dialled) = (self.connections.clone(), self.dialled.clone());
        let connect = service_fn(move |_| {
            let (ours, theirs) = duplex(1 << 20);
            *dialled.lock().unwrap() += 1;
            let sent = connections.unbounded_send(Ok(theirs));
            async move { sent.map(|()| TokioIo::new(ours)).map_err(io::Error::other) }
        });
        let client = Client::new(endpoint.connect_with_connector_lazy(connect));
        client.max_encoding_message_size(usize::MAX).max_decoding_message_size(usize::MAX)
    }

    pub(crate) fn dialled(&self) -> usize {
        *self.dialled.lock().unwrap()
    }
}

/// Long enough for everything that can happen to happen.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

pub(crate) async fn unary(
    client: &Client<Channel>,
    path: &'static str,
    text: &str,
) -> Result<String, Status> {
    let (mut client, path) = (client.clone(), PathAndQuery::from_static(path));
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    Ok(client.unary(Request::new(text.to_owned()), path, Text).await?.into_inner())
}

/// Sends so many messages of this length.
pub(crate) async fn send(
    client: &Client<Channel>,
    messages: usize,
    length: usize,
) -> Result<String, Status> {
    let (mut client, path) = (client.clone(), PathAndQuery::from_static(COLLECT));
    client.ready().await.unwrap();
    // One at a time, so that each is a frame of its own.
    let texts = stream::iter(0..messages).then(move |_| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        "x".repeat(length)
    });
    Ok(client.client_streaming(Request::new(texts), path, Text).await?.into_inner())
}

pub(crate) async fn read(client: &Client<Channel>, path: &'static str) -> Streaming<String> {
    let (mut client, path) = (client.clone(), PathAndQuery::from_static(path));
    client.ready().await.unwrap();
    let request = Request::new(String::new());
    client.server_streaming(request, path, Text).await.unwrap().into_inner()
}

impl Service<HttpRequest<Body>> for Lab {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<HttpResponse<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        self.entered.lock().unwrap().push(path.clone());
        let (limits, go) = (self.limits, self.go.clone());
        async move {
            let mut grpc = limits.service(Grpc::new(Text));
            let say = async |request: Request<String>| Ok(Response::new(request.into_inner()));
            Ok(match path.as_str() {
                HOLD => {
                    let hold = |request: Request<String>| {
                        let go = go.clone();
                        async move {
                            go.notified().await;
                            Ok(Response::new(request.into_inner()))
                        }
                    };
                    grpc.unary(service_fn(hold), request).await
                }
                COLLECT => {
                    let collect =
                        |request: Request<Streaming<String>>| collect(request, go.clone());
                    grpc.client_streaming(service_fn(collect), request).await
                }
                WATCH => {
                    let watch = async |_: Request<String>| {
                        let word = stream::iter([Ok::<_, Status>("word".to_owned())]);
                        Ok(Response::new(word.chain(stream::pending())))
                    };
                    grpc.server_streaming(service_fn(watch), request).await
                }
                POUR => {
                    let pour = async |_: Request<String>| {
                        let texts = (0..30).map(|_| Ok::<_, Status>("x".repeat(100_000)));
                        Ok(Response::new(stream::iter(texts)))
                    };
                    grpc.server_streaming(service_fn(pour), request).await
                }
                _ => grpc.unary(service_fn(say), request).await,
            })
        }
        .boxed()
    }
}

async fn collect(
    request: Request<Streaming<String>>,
    go: Arc<Notify>,
) -> Result<Response<String>, Status> {
    let mut texts = request.into_inner();
    go.notified().await;
    let mut length = 0;
    while let Some(text) = texts.message().await? {
        length += text.len();
    }
    Ok(Response::new(length.to_string()))
}
