//! `HttpGateLayer::grpc` in a tonic server as it is, over the loopback, before
//! a service written by hand: text goes in, text comes out.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod support;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use http::{Request as HttpRequest, Response as HttpResponse, uri::PathAndQuery};
use plimsoll_core::{Admit, Gate, Outcome, Reason, Rejected, testing::Places};
use plimsoll_tower::{HttpGateLayer, grpc_code};
use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};
use support::{Recorder, text::Text};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    client::Grpc as Client,
    server::{Grpc, NamedService},
    service::LayerExt,
    transport::{Channel, Server, server::TcpIncoming},
};
use tower::{Service, service_fn};

/// What text asks for: a code to end with, or to be said back.
fn ending(text: &str) -> Result<String, Status> {
    match text.parse::<i32>() {
        Ok(code) => Err(Status::new(Code::from(code), "as you wish")),
        Err(_) => Ok(text.to_owned()),
    }
}

const SAY: &str = "/test.Echo/Say";
/// Says a word before it does what it was asked for.
const STREAM: &str = "/test.Echo/Stream";

#[derive(Clone, Copy)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<HttpRequest<Body>> for Echo {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<HttpResponse<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        let say = async |request: Request<String>| ending(&request.into_inner()).map(Response::new);
        let stream = async |request: Request<String>| {
            let last = ending(&request.into_inner());
            Ok::<_, Status>(Response::new(stream::iter([Ok("first".to_owned()), last])))
        };
        async move {
            Ok(match request.uri().path() {
                SAY => Grpc::new(Text).unary(service_fn(say), request).await,
                _ => Grpc::new(Text).server_streaming(service_fn(stream), request).await,
            })
        }
        .boxed()
    }
}

/// A client of a server that stops with it.
struct Running {
    client: Client<Channel>,
    server: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Runs a tonic server behind the given layer.
macro_rules! serve {
    ($layer:expr) => {{
        let (listener, client) = loopback().await;
        let router = Server::builder().layer($layer).add_service(Echo);
        let server = router.serve_with_incoming(TcpIncoming::from(listener));
        Running { client, server: tokio::spawn(async { server.await.unwrap() }) }
    }};
}

async fn loopback() -> (TcpListener, Client<Channel>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, Client::new(Channel::from_shared(address).unwrap().connect_lazy()))
}

impl Running {
    async fn say(&mut self, text: &str) -> Result<String, Status> {
        self.client.ready().await.unwrap();
        let path = PathAndQuery::from_static(SAY);
        let said = self.client.unary(Request::new(text.to_owned()), path, Text).await?;
        Ok(said.into_inner())
    }

    /// The messages, and how the stream ended.
    async fn stream(&mut self, text: &str) -> (Vec<String>, Code) {
        self.client.ready().await.unwrap();
        let path = PathAndQuery::from_static(STREAM);
        let request = Request::new(text.to_owned());
        let mut stream =
            self.client.server_streaming(request, path, Text).await.unwrap().into_inner();
        let mut messages = Vec::new();
        while let Some(message) = stream.next().await {
            match message {
                Ok(message) => messages.push(message),
                Err(status) => return (messages, status.code()),
            }
        }
        (messages, Code::Ok)
    }
}

/// Refuses all.
#[derive(Clone, Copy)]
struct Refuses(Rejected);

impl Gate for Refuses {
    type Ticket = ();
    fn leave(&self, (): (), _: Outcome) {}
}

impl<C: ?Sized> Admit<C> for Refuses {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        Err(self.0)
    }
}

#[tokio::test]
async fn a_refusal_is_a_status_that_clients_understand() {
    for (reason, code) in [
        (Reason::Rate, Code::ResourceExhausted),
        (Reason::Deadline, Code::DeadlineExceeded),
        (Reason::Concurrency, Code::Unavailable),
        (Reason::Overload, Code::Unavailable),
        (Reason::Open, Code::Unavailable),
        (Reason::Closed, Code::Unavailable),
    ] {
        let refusal = Rejected::new(reason, "a secret name");
        assert_eq!(Code::from(i32::from(grpc_code(&refusal))), code);
        let mut running = serve!(HttpGateLayer::of(Refuses(refusal)).grpc());
        let status = running.say("hello").await.unwrap_err();
        assert_eq!(status.code(), code, "{reason:?}");
        assert!(!status.message().is_empty() && !status.message().contains("secret"));
        assert!(status.metadata().get("grpc-retry-pushback-ms").is_none(), "it is not known");
    }
}

#[tokio::test]
async fn the_pushback_is_in_milliseconds_rounded_up() {
    for (wait, millis) in [
        (Duration::ZERO, "0"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_millis(1_500), "1500"),
        (Duration::from_secs(400 * 86_400), "2147483647"),
    ] {
        let refusal = Rejected::new(Reason::Rate, "bucket").retry_in(wait);
        let mut running = serve!(HttpGateLayer::of(Refuses(refusal)).grpc());
        let status = running.say("hello").await.unwrap_err();
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), millis, "{wait:?}");
    }
}

#[tokio::test]
async fn the_code_of_a_handlers_error_says_how_it_went() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let mut running = serve!(HttpGateLayer::of(gate).grpc());
    assert_eq!(running.say("hello").await.unwrap(), "hello");
    assert_eq!(heard.take(), [Outcome::Success]);
    for code in 1..=16 {
        let status = running.say(&code.to_string()).await.unwrap_err();
        assert_eq!(status.code(), Code::from(code));
        let expected = match status.code() {
            Code::Unknown
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => Outcome::Failure,
            _ => Outcome::Ignored,
        };
        assert_eq!(heard.take(), [expected], "{:?}", status.code());
    }
}

#[tokio::test]
async fn until_the_bodys_end_the_trailers_of_a_stream_say_how_it_went() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let mut running = serve!(HttpGateLayer::of(gate.clone()).grpc().until_body_end());
    assert_eq!(running.stream("last").await, (vec!["first".into(), "last".into()], Code::Ok));
    assert_eq!(running.stream("14").await, (vec!["first".into()], Code::Unavailable));
    assert_eq!(running.stream("5").await, (vec!["first".into()], Code::NotFound));
    assert_eq!(running.say("hello").await.unwrap(), "hello");
    let ended = [Outcome::Success, Outcome::Failure, Outcome::Ignored, Outcome::Success];
    assert_eq!(heard.take(), ended);
    assert_eq!(gate.places.used(), 0);

    let (gate, heard) = Recorder::new(Places::new(1));
    let mut running = serve!(HttpGateLayer::of(gate).grpc());
    assert_eq!(running.stream("14").await.1, Code::Unavailable);
    assert_eq!(heard.take(), [Outcome::Success], "the head alone can't know");
}

#[tokio::test]
async fn one_service_of_several_may_have_a_layer_of_its_own() {
    let (listener, client) = loopback().await;
    let layer = HttpGateLayer::new(Places::new(0)).grpc();
    let router = Server::builder().add_service(layer.named_layer(Echo));
    let server = router.serve_with_incoming(TcpIncoming::from(listener));
    let server = tokio::spawn(async { server.await.unwrap() });
    let mut running = Running { client, server };
    assert_eq!(running.say("hello").await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn calls_wait_where_the_gate_lets_them() {
    let (gate, heard) = Recorder::new(Places::new(1).waiting());
    let running = serve!(HttpGateLayer::of(gate.clone()).grpc().wait().until_body_end());
    let calls = (0..20).map(|n| {
        let mut running =
            Running { client: running.client.clone(), server: tokio::spawn(async {}) };
        async move { running.say(&format!("call {n}")).await }
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(heard.take(), [Outcome::Success; 20]);
    assert_eq!(gate.refusals(), 0);
}
