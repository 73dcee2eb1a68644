//! A permit that is kept until the body of the answer ends.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod support;

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, response::Builder};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use plimsoll_core::{Outcome, testing::Places};
use plimsoll_tower::HttpGateLayer;
use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use support::{Heard, Recorder, poll};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot::{self, Receiver},
};
use tower::{Layer, ServiceExt, service_fn};

type Piece = Result<Frame<Bytes>, io::Error>;

/// A body whose frames are given; where there is none, it panics.
struct Frames(VecDeque<Option<Piece>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = io::Error;
    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(self.0.pop_front().expect("the body panics"))
    }
}

/// A body of one frame that comes when it is sent.
struct Late(Receiver<Bytes>);

impl http_body::Body for Late {
    type Data = Bytes;
    type Error = Infallible;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_terminated() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.0).poll(cx).map(|sent| sent.ok().map(|data| Ok(Frame::data(data))))
    }
}

fn data() -> Option<Piece> {
    Some(Ok(Frame::data(Bytes::from_static(b"data"))))
}

fn trailers(code: &'static str) -> Option<Piece> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    Some(Ok(Frame::trailers(trailers)))
}

type Gated = plimsoll_tower::GateBody<Body, Arc<Recorder>, plimsoll_tower::HttpOutcome>;

/// The answer with this status and body, behind a gate that keeps its permit
/// until the body's end.
async fn answer(status: u16, body: Body) -> (Response<Gated>, Arc<Recorder>, Heard) {
    answer_with(Response::builder().status(status), body).await
}

async fn answer_with(head: Builder, body: Body) -> (Response<Gated>, Arc<Recorder>, Heard) {
    let (gate, heard) = Recorder::new(Places::new(1));
    let response = Arc::new(Mutex::new(head.body(body).ok()));
    let service = service_fn(move |_: Request<Body>| {
        std::future::ready(Ok::<_, Infallible>(response.lock().unwrap().take().unwrap()))
    });
    let layer = HttpGateLayer::of(gate.clone()).until_body_end();
    let answer = layer.layer(service).oneshot(Request::new(Body::empty())).await.unwrap();
    (answer, gate, heard)
}

fn frames<const N: usize>(frames: [Option<Piece>; N]) -> Body {
    Body::new(Frames(frames.into()))
}

fn next(body: &mut Gated) -> Poll<Option<bool>> {
    poll(pin!(body.frame())).map(|frame| frame.map(|frame| frame.is_ok()))
}

#[tokio::test]
async fn the_place_is_taken_until_the_last_frame() {
    let (answer, gate, heard) = answer(200, frames([data(), data(), None])).await;
    let mut body = answer.into_body();
    assert_eq!(gate.places.used(), 1);
    assert_eq!(next(&mut body), Poll::Ready(Some(true)));
    assert_eq!(next(&mut body), Poll::Ready(Some(true)));
    assert_eq!((gate.places.used(), heard.take()), (1, vec![]));
    assert_eq!(next(&mut body), Poll::Ready(None));
    assert_eq!((gate.places.used(), heard.take()), (0, vec![Outcome::Success]));
    drop(body);
    assert_eq!(heard.take(), [], "only once");
}

#[tokio::test]
async fn a_body_that_says_it_is_at_its_end_is_not_polled_again_for_it() {
    let (answer, _, heard) = answer(200, Body::from("hello")).await;
    let mut body = answer.into_body();
    assert_eq!(next(&mut body), Poll::Ready(Some(true)));
    assert!(body.is_end_stream());
    assert_eq!(heard.take(), [Outcome::Success]);
}

#[tokio::test]
async fn an_empty_body_ends_with_the_head() {
    let (answer, gate, heard) = answer(200, Body::empty()).await;
    assert_eq!((gate.places.used(), heard.take()), (0, vec![Outcome::Success]));
    drop(answer);
    assert_eq!(heard.take(), []);
}

#[tokio::test]
async fn length_and_bytes_pass_through() {
    let (answer, ..) = answer(200, Body::from("hello")).await;
    let body = answer.into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");
}

#[tokio::test]
async fn the_head_decides_what_a_whole_body_means() {
    for (status, outcome) in
        [(200, Outcome::Success), (404, Outcome::Ignored), (500, Outcome::Failure)]
    {
        let (answer, _, heard) = answer(status, frames([data(), None])).await;
        let _ = answer.into_body().collect().await;
        assert_eq!(heard.take(), [outcome], "{status}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let broken = Some(Err(io::Error::other("reset")));
    let (answer, _, heard) = answer(200, frames([data(), broken])).await;
    assert!(answer.into_body().collect().await.is_err());
    assert_eq!(heard.take(), [Outcome::Failure]);
}

#[tokio::test]
async fn a_body_that_panics_is_a_failure() {
    let (answer, _, heard) = answer(200, frames([data()])).await;
    let mut body = answer.into_body();
    assert_eq!(next(&mut body), Poll::Ready(Some(true)));
    assert!(catch_unwind(AssertUnwindSafe(|| next(&mut body))).is_err());
    assert_eq!(heard.take(), [Outcome::Failure], "before the body is dropped");
}

#[tokio::test]
async fn a_body_dropped_before_its_end_tells_nothing_unless_the_head_was_a_failure() {
    for (status, outcome) in
        [(200, Outcome::Ignored), (404, Outcome::Ignored), (500, Outcome::Failure)]
    {
        let (answer, gate, heard) = answer(status, frames([data(), None])).await;
        let mut body = answer.into_body();
        assert_eq!(next(&mut body), Poll::Ready(Some(true)));
        drop(body);
        assert_eq!((gate.places.used(), heard.take()), (0, vec![outcome]), "{status}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_there_yet_keeps_the_place() {
    let (sender, receiver) = oneshot::channel::<Bytes>();
    let (answer, gate, heard) = answer(200, Body::new(Late(receiver))).await;
    let mut body = answer.into_body();
    assert_eq!(next(&mut body), Poll::Pending);
    assert_eq!(gate.places.used(), 1);
    sender.send(Bytes::from_static(b"late")).unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "late");
    assert_eq!((gate.places.used(), heard.take()), (0, vec![Outcome::Success]));
}

#[tokio::test]
async fn a_refused_request_holds_nothing_and_has_a_body() {
    let service =
        service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let layer = HttpGateLayer::new(Places::new(0)).until_body_end();
    let answer = layer.layer(service).oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
}

/// The body of hyper's answer to one request, when the connection has closed.
async fn served(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let server = tokio::spawn(async { axum::serve(listener, app).await });
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    server.abort();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

#[tokio::test]
async fn a_server_that_stops_at_the_stated_length_has_sent_the_whole_body() {
    let (gate, heard) = Recorder::new(Places::new(1));
    // It does not say where it ends, and hyper drops it at its length, unasked.
    let answer = async || ([("content-length", "8")], frames([data(), data(), None]));
    let layer = HttpGateLayer::of(gate).until_body_end();
    let sent = served(Router::new().route("/", get(answer)).layer(layer)).await;
    assert_eq!((sent.as_str(), heard.take()), ("datadata", vec![Outcome::Success]));
}

#[tokio::test]
async fn a_body_dropped_before_its_stated_length_tells_nothing() {
    for length in ["9", "no number"] {
        let body = frames([data(), data(), None]);
        let (answer, gate, heard) =
            answer_with(Response::builder().header("content-length", length), body).await;
        let mut body = answer.into_body();
        assert_eq!(next(&mut body), Poll::Ready(Some(true)));
        assert_eq!(next(&mut body), Poll::Ready(Some(true)));
        assert_eq!(gate.places.used(), 1, "{length}");
        drop(body);
        assert_eq!(heard.take(), [Outcome::Ignored], "{length}");
    }
}

async fn heard_of_grpc(header: Option<&'static str>, body: Body) -> Vec<Outcome> {
    let (gate, heard) = Recorder::new(Places::new(1));
    let mut response = Response::new(body);
    if let Some(code) = header {
        response.headers_mut().insert("grpc-status", HeaderValue::from_static(code));
    }
    let response = Arc::new(Mutex::new(Some(response)));
    let service = service_fn(move |_: Request<Body>| {
        std::future::ready(Ok::<_, Infallible>(response.lock().unwrap().take().unwrap()))
    });
    let layer = HttpGateLayer::of(gate).grpc().until_body_end();
    let answer = layer.layer(service).oneshot(Request::new(Body::empty())).await.unwrap();
    let _ = answer.into_body().collect().await;
    heard.take()
}

#[tokio::test]
async fn the_trailers_say_how_a_grpc_call_ended() {
    for (code, outcome) in [
        ("0", Outcome::Success),
        ("5", Outcome::Ignored),
        ("8", Outcome::Ignored),
        ("14", Outcome::Failure),
        ("99", Outcome::Failure),
        ("no number", Outcome::Failure),
    ] {
        let ended = heard_of_grpc(None, frames([data(), trailers(code), None])).await;
        assert_eq!(ended, [outcome], "{code}");
        assert_eq!(heard_of_grpc(Some(code), Body::empty()).await, [outcome], "in the header");
    }
}

#[tokio::test]
async fn a_grpc_answer_without_a_code_is_a_failure() {
    assert_eq!(heard_of_grpc(None, frames([data(), None])).await, [Outcome::Failure]);
    assert_eq!(heard_of_grpc(None, Body::empty()).await, [Outcome::Failure]);
}
