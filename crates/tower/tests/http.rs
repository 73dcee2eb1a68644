//! What `HttpGateLayer` promises, behind axum's router as it is.

#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

mod support;

use axum::{Router, body::Body, response::IntoResponse, routing::get};
use http::{HeaderMap, Request, Response, StatusCode, request::Parts};
use http_body_util::BodyExt;
use plimsoll_core::{
    Admit, AnyGate, Gate, GateExt, Outcome, Quota, QuotaState, Reason, Rejected, testing::Places,
};
use plimsoll_tower::{HttpGateLayer, HttpOutcome, status};
use std::{
    convert::Infallible,
    future::pending,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use support::{Recorder, poll, ready, strict};
use tower::{Layer, Service, ServiceExt, service_fn};

/// Refuses all, for one reason.
#[derive(Clone, Copy)]
struct Refuses(Rejected);

impl Refuses {
    fn because(reason: Reason) -> Self {
        Self(Rejected::new(reason, "a secret name"))
    }
}

impl Gate for Refuses {
    type Ticket = ();
    fn leave(&self, (): (), _: Outcome) {}
}

impl<C: ?Sized> Admit<C> for Refuses {
    fn try_enter(&self, _: &C) -> Result<(), Rejected> {
        Err(self.0)
    }
}

fn request(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

fn routes() -> Router {
    Router::new().route("/", get(async || "hello"))
}

async fn ask(app: &Router, path: &str) -> Response<Body> {
    app.clone().oneshot(request(path)).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn each_reason_has_its_status_and_a_line_that_names_no_gate() {
    for reason in Reason::all() {
        let app = routes().layer(HttpGateLayer::of(Refuses::because(*reason)));
        let answer = ask(&app, "/").await;
        let expected = match reason {
            Reason::Rate => StatusCode::TOO_MANY_REQUESTS,
            Reason::Deadline => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        assert_eq!(answer.status(), expected, "{reason:?}");
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert!(answer.headers().get("retry-after").is_none(), "it is not known");
        let refusal = *answer.extensions().get::<Rejected>().unwrap();
        assert_eq!(refusal.reason(), *reason);
        let text = text(answer).await;
        assert!(!text.is_empty() && !text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn retry_after_is_whole_seconds_rounded_up_and_never_0() {
    for (wait, seconds) in [
        (Duration::ZERO, "1"),
        (Duration::from_nanos(1), "1"),
        (Duration::from_secs(1), "1"),
        (Duration::new(1, 1), "2"),
        (Duration::from_secs(86_400), "86400"),
    ] {
        let refuses = Refuses(Rejected::new(Reason::Rate, "bucket").retry_in(wait));
        let app = routes().layer(HttpGateLayer::of(refuses));
        assert_eq!(ask(&app, "/").await.headers()["retry-after"], seconds, "{wait:?}");
    }
}

#[tokio::test]
async fn the_gate_sees_the_head_and_the_service_gets_the_whole_request() {
    struct PostsOnly;
    impl Gate for PostsOnly {
        type Ticket = ();
        fn leave(&self, (): (), _: Outcome) {}
    }
    impl Admit<Parts> for PostsOnly {
        fn try_enter(&self, parts: &Parts) -> Result<(), Rejected> {
            let posts = parts.method == http::Method::POST && parts.uri.path() == "/echo";
            posts.then_some(()).ok_or(Rejected::new(Reason::Closed, "posts only"))
        }
    }
    let echo = async |headers: HeaderMap, body: String| format!("{:?} {body}", headers["x-a"]);
    let app: Router = Router::new()
        .route("/echo", get(async || "read").post(echo))
        .layer(HttpGateLayer::new(PostsOnly));
    let post = Request::post("/echo").header("x-a", "1").body(Body::from("text")).unwrap();
    let answer = app.clone().oneshot(post).await.unwrap();
    assert_eq!(text(answer).await, "\"1\" text");
    assert_eq!(ask(&app, "/echo").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_answer_of_ones_own_is_given_and_gets_its_retry_after() {
    let refuses = Refuses(Rejected::new(Reason::Rate, "bucket").retry_in(Duration::from_secs(9)));
    let layer = HttpGateLayer::of(refuses).on_refusal(|refusal, parts| {
        (StatusCode::IM_A_TEAPOT, format!("{} {:?}", parts.uri, refusal.reason())).into_response()
    });
    let answer = ask(&routes().layer(layer), "/?q=1").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (418, &"9".parse().unwrap())
    );
    assert!(answer.extensions().get::<Rejected>().is_some());
    assert_eq!(text(answer).await, "/?q=1 Rate");

    let own = HttpGateLayer::of(refuses)
        .on_refusal(|refusal, _| (status(refusal), [("retry-after", "3600")]).into_response());
    let answer = ask(&routes().layer(own), "/").await;
    assert_eq!(answer.headers()["retry-after"], "3600", "its own stays");
}

async fn heard_of(answer: StatusCode) -> Vec<Outcome> {
    let (gate, heard) = Recorder::new(Places::new(1));
    let app = Router::new().route("/", get(async move || answer)).layer(HttpGateLayer::of(gate));
    assert_eq!(ask(&app, "/").await.status(), answer);
    heard.take()
}

#[tokio::test]
async fn statuses_mean_success_failure_or_nothing() {
    for code in [200, 204, 301, 304] {
        assert_eq!(
            heard_of(StatusCode::from_u16(code).unwrap()).await,
            [Outcome::Success],
            "{code}"
        );
    }
    for code in [400, 404, 408, 429, 499, 501, 505] {
        assert_eq!(
            heard_of(StatusCode::from_u16(code).unwrap()).await,
            [Outcome::Ignored],
            "{code}"
        );
    }
    for code in [500, 502, 503, 504, 599, 999] {
        assert_eq!(
            heard_of(StatusCode::from_u16(code).unwrap()).await,
            [Outcome::Failure],
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_meaning_of_ones_own_decides() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let layer = HttpGateLayer::of(gate).classify(|status, headers| {
        if headers.contains_key("x-degraded") { Outcome::Failure } else { HttpOutcome::of(status) }
    });
    let app: Router = Router::new()
        .route("/", get(async || [("x-degraded", "1")]))
        .route("/whole", get(async || "whole"))
        .layer(layer);
    ask(&app, "/").await;
    ask(&app, "/whole").await;
    assert_eq!(heard.take(), [Outcome::Failure, Outcome::Success]);
}

#[tokio::test]
async fn a_refusal_of_a_gate_further_in_is_no_failure() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let app = routes()
        .layer(HttpGateLayer::of(Refuses::because(Reason::Concurrency)))
        .layer(HttpGateLayer::of(gate));
    assert_eq!(ask(&app, "/").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(heard.take(), [Outcome::Ignored]);
}

#[tokio::test]
async fn an_error_of_the_service_is_a_failure_and_stays_an_error() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let broken =
        service_fn(async |_: Request<Body>| Err::<Response<Body>, _>(io::Error::other("reset")));
    let error = HttpGateLayer::of(gate).layer(broken).oneshot(request("/")).await.unwrap_err();
    assert_eq!(error.to_string(), "reset");
    assert_eq!(heard.take(), [Outcome::Failure]);
}

/// A quota that shrinks with the length of the path.
struct Shrinking;

impl Quota<Parts> for Shrinking {
    fn quota(&self, parts: &Parts) -> QuotaState {
        QuotaState {
            limit: 100,
            remaining: 100 - parts.uri.path().len() as u64,
            reset: Duration::from_millis(30_500),
            window: Duration::from_secs(60),
        }
    }
}

fn fields(answer: &Response<Body>) -> (Vec<String>, Vec<String>) {
    let all = |name| {
        let values = answer.headers().get_all(name).into_iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    (all("ratelimit-policy"), all("ratelimit"))
}

#[tokio::test]
async fn admitted_and_refused_callers_are_told_what_they_have_left() {
    let admits = HttpGateLayer::new(Places::new(1)).quota_from(Shrinking);
    let (policy, left) = fields(&ask(&routes().layer(admits), "/").await);
    assert_eq!(
        (policy, left),
        (vec!["\"default\";q=100;w=60".into()], vec!["\"default\";r=99;t=31".into()])
    );

    let refuses = HttpGateLayer::new(Places::new(0)).quota_named("per client", Shrinking);
    let (policy, left) = fields(&ask(&routes().layer(refuses), "/12345").await);
    assert_eq!(policy, ["\"per client\";q=100;w=60"]);
    assert_eq!(left, ["\"per client\";r=94;t=31"]);

    let none = routes().layer(HttpGateLayer::new(Places::new(1)));
    assert_eq!(fields(&ask(&none, "/").await), (vec![], vec![]));
}

#[tokio::test]
async fn quotas_of_nested_layers_are_one_list() {
    let app = routes()
        .layer(HttpGateLayer::new(Places::new(1)).quota_named("inner", Shrinking))
        .layer(HttpGateLayer::new(Places::new(1)).quota_named("outer", Shrinking));
    let (policy, left) = fields(&ask(&app, "/").await);
    assert_eq!(policy, ["\"inner\";q=100;w=60", "\"outer\";q=100;w=60"]);
    assert_eq!(left, ["\"inner\";r=99;t=31", "\"outer\";r=99;t=31"]);
}

#[test]
#[should_panic(expected = "policy name must be printable ASCII")]
fn a_policy_name_that_breaks_the_field_panics_where_it_is_written() {
    let _ = HttpGateLayer::new(Places::new(1)).quota_named("a\"b", Shrinking);
}

type Never = Result<Response<Body>, Infallible>;

async fn hello(_: Request<Body>) -> Never {
    Ok(Response::new(Body::from("hello")))
}

#[test]
fn dropped_before_its_first_poll_work_was_never_started_and_later_it_tells_nothing() {
    for wait in [false, true] {
        let (gate, heard) = Recorder::new(Places::new(1));
        let hangs = service_fn(|_: Request<Body>| pending::<Never>());
        let layer = HttpGateLayer::of(gate);
        let layer = if wait { layer.wait() } else { layer };
        let mut service = layer.layer(hangs);
        drop(service.call(request("/")));
        assert_eq!(heard.take(), [Outcome::Unused]);
        {
            let mut answer = pin!(service.call(request("/")));
            assert!(poll(answer.as_mut()).is_pending());
        }
        assert_eq!(heard.take(), [Outcome::Ignored]);
    }
}

#[test]
fn a_panic_is_a_failure_though_it_is_caught_further_out() {
    let (gate, heard) = Recorder::new(Places::new(1));
    let broken = service_fn(async |_: Request<Body>| -> Never { panic!("in the handler") });
    let mut service = HttpGateLayer::of(gate).layer(broken);
    let mut answer = Box::pin(service.call(request("/")));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(answer.as_mut()).is_ready())).is_err());
    assert_eq!(heard.take(), [Outcome::Failure], "before the future is dropped");
}

#[tokio::test]
async fn requests_wait_in_line_for_the_clone_that_was_made_ready() {
    let (gate, heard) = Recorder::new(Places::new(1).waiting());
    let mut service = HttpGateLayer::of(gate.clone()).wait().layer(strict(hello));
    let held = gate.try_admit().unwrap();
    let mut first = pin!(ready(&mut service).call(request("/")));
    let mut second = pin!(ready(&mut service).call(request("/")));
    assert!(poll(first.as_mut()).is_pending() && poll(second.as_mut()).is_pending());
    held.finish(Outcome::Success);
    assert!(poll(second.as_mut()).is_pending(), "the first goes first");
    assert!(first.await.is_ok() && second.await.is_ok());
    assert_eq!(gate.refusals(), 0, "a wait is no refusal");
    assert_eq!(heard.take(), [Outcome::Success; 3]);
}

#[test]
fn a_wait_that_is_dropped_leaves_no_trace() {
    let (gate, heard) = Recorder::new(Places::new(1).waiting());
    let mut service = HttpGateLayer::of(gate.clone()).wait().layer(service_fn(hello));
    let held = gate.try_admit().unwrap();
    for polls in 0..3 {
        let mut waiting = Box::pin(service.call(request("/")));
        (0..polls).for_each(|_| assert!(poll(waiting.as_mut()).is_pending()));
    }
    held.finish(Outcome::Success);
    assert_eq!((heard.take(), gate.places.used()), (vec![Outcome::Success], 0));
}

#[tokio::test]
async fn without_wait_a_gate_that_lets_work_wait_refuses() {
    let gate = Arc::new(Places::new(1).waiting());
    let _held = gate.try_admit().unwrap();
    let app = routes().layer(HttpGateLayer::of(Arc::clone(&gate)));
    assert_eq!(ask(&app, "/").await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_wait_refused_in_the_end_is_answered() {
    struct SlowNo;
    impl Gate for SlowNo {
        type Ticket = ();
        fn leave(&self, (): (), _: Outcome) {}
    }
    impl<C: ?Sized> Admit<C> for SlowNo {
        fn try_enter(&self, _: &C) -> Result<(), Rejected> {
            unreachable!("the layer waits")
        }
        async fn enter<'a>(&'a self, _: &'a C) -> Result<(), Rejected>
        where
            C: Sync,
        {
            tokio::task::yield_now().await;
            Err(Rejected::new(Reason::Deadline, "slow no"))
        }
    }
    let app = routes().layer(HttpGateLayer::new(SlowNo).wait().quota_from(Shrinking));
    let answer = ask(&app, "/").await;
    assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(fields(&answer).1, ["\"default\";r=99;t=31"]);
}

#[tokio::test]
async fn every_handle_and_every_form_fits_a_router() {
    let forms = [
        routes().layer(HttpGateLayer::new((Places::new(1), Places::new(2)))),
        routes().layer(HttpGateLayer::leaked(Places::new(1)).wait()),
        routes().layer(HttpGateLayer::of(AnyGate::<Parts>::new(Places::new(1))).until_body_end()),
        routes().route_layer(HttpGateLayer::new(Some(Places::new(1))).quota_from(Shrinking)),
    ];
    for app in forms {
        let answer = ask(&app, "/").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(text(answer).await, "hello");
    }
}
