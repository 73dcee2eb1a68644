//! `RetryLayer::http` and `HedgeLayer::http`: methods, statuses, `Retry-After`.

#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use axum::{Router, body::Body, routing::any};
use http::{HeaderName, Method, Request, Response, StatusCode, header::RETRY_AFTER};
use plimsoll_core::{Error, Reason, Rejected, TokioClock, testing::Places};
use plimsoll_retry::{Hedge, Jitter, Refusals, Retry, Unobserved, Verdict};
use plimsoll_tower::{HedgeLayer, HttpGateLayer, RetryLayer, copy_if_empty};
use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

/// Two attempts, 100 ms apart.
fn twice() -> Retry<Refusals, Unobserved, TokioClock> {
    let retry = Retry::exponential(100 * MS).jitter(Jitter::None).without_budget();
    retry.attempts(2).clock(TokioClock)
}

type Outcome = Result<Response<String>, Error<io::Error>>;

/// How often a request of this method is sent to who always answers so, and how
/// long that takes.
async fn sent(
    method: Method,
    answer: impl Fn() -> Outcome + Send + Sync + 'static,
) -> (usize, Duration) {
    let (start, count, answer) = (Instant::now(), Arc::new(Mutex::new(0)), Arc::new(answer));
    let counted = count.clone();
    let inner = service_fn(move |_: Request<String>| {
        *counted.lock().unwrap() += 1;
        std::future::ready(answer())
    });
    let mut request = Request::new(String::new());
    *request.method_mut() = method;
    let _ = RetryLayer::http(twice()).layer(inner).oneshot(request).await;
    let count = *count.lock().unwrap();
    (count, start.elapsed())
}

fn status(status: u16) -> Outcome {
    Ok(Response::builder().status(status).body(String::new()).unwrap())
}

const IDEMPOTENT: [Method; 6] =
    [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE];
const OTHERS: [Method; 2] = [Method::POST, Method::PATCH];

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_sent_again_where_that_does_no_harm() {
    for code in [408, 425, 429, 502, 503, 504] {
        for method in IDEMPOTENT {
            assert_eq!(sent(method.clone(), move || status(code)).await.0, 2, "{method} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_other_methods_only_what_was_refused_is_sent_again() {
    for method in OTHERS {
        assert_eq!(sent(method.clone(), || status(429)).await.0, 2);
        for code in [408, 425, 502, 503, 504] {
            assert_eq!(sent(method.clone(), move || status(code)).await.0, 1, "{method} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_sent_once() {
    for method in IDEMPOTENT.into_iter().chain(OTHERS) {
        for code in [200, 204, 301, 400, 401, 404, 409, 500, 501, 505] {
            assert_eq!(sent(method.clone(), move || status(code)).await.0, 1, "{method} {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_tried_again_if_the_request_may_be_or_was_refused_before_it_began() {
    let lost = || Err(Error::Inner(io::ErrorKind::ConnectionReset.into()));
    let refused = |reason| move || Err(Rejected::new(reason, "gate").into());
    for method in IDEMPOTENT {
        assert_eq!(sent(method.clone(), lost).await.0, 2);
        assert_eq!(sent(method.clone(), refused(Reason::Concurrency)).await.0, 2);
        assert_eq!(sent(method, refused(Reason::Open)).await.0, 1);
    }
    for method in OTHERS {
        assert_eq!(sent(method.clone(), lost).await.0, 1, "it may have arrived");
        assert_eq!(sent(method.clone(), refused(Reason::Concurrency)).await.0, 2);
        assert_eq!(sent(method, refused(Reason::Deadline)).await.0, 1, "it may have been cut off");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_a_gates_refusal_is_taken_for_one() {
    let answer = |reason, wait: Option<Duration>| {
        move || {
            let refusal = Rejected::new(reason, "gate");
            let refusal = wait.map_or(refusal, |wait| refusal.retry_in(wait));
            let answer = status(503);
            answer.map(|mut answer| {
                answer.extensions_mut().insert(refusal);
                answer
            })
        }
    };
    for method in [Method::GET, Method::POST] {
        let (calls, took) = sent(method.clone(), answer(Reason::Rate, Some(1_500 * MS))).await;
        assert_eq!((calls, took.as_millis() / 10), (2, 150), "to the millisecond");
        assert_eq!(sent(method.clone(), answer(Reason::Concurrency, None)).await.0, 2);
        assert_eq!(sent(method.clone(), answer(Reason::Open, None)).await.0, 1);
        assert_eq!(sent(method, answer(Reason::Closed, None)).await.0, 1);
    }
    let late = || answer(Reason::Deadline, None);
    assert_eq!(sent(Method::GET, late()).await.0, 2);
    assert_eq!(sent(Method::POST, late()).await.0, 1, "it may have been cut off");
}

#[tokio::test(start_paused = true)]
async fn a_function_that_judges_answers_sends_nothing_twice_that_may_have_begun() {
    let judge = |answer: &Response<String>| match answer.status().as_u16() {
        429 => Some(Verdict::NotBefore(3_000 * MS)),
        500 => Some(Verdict::Transient),
        _ => None,
    };
    for (method, code, calls, seconds) in [
        (Method::GET, 500, 2, 0),
        (Method::POST, 500, 1, 0),
        (Method::GET, 429, 2, 3),
        (Method::POST, 429, 2, 3),
        (Method::POST, 200, 1, 0),
        (Method::GET, 503, 1, 0), // a success, it says
    ] {
        let (start, count) = (Instant::now(), Arc::new(Mutex::new(0)));
        let counted = count.clone();
        let inner = service_fn(move |_: Request<String>| {
            *counted.lock().unwrap() += 1;
            std::future::ready(status(code))
        });
        let service = RetryLayer::http(twice()).judge_answers(judge).layer(inner);
        let mut request = Request::new(String::new());
        *request.method_mut() = method.clone();
        assert_eq!(service.oneshot(request).await.unwrap().status(), code);
        assert_eq!(*count.lock().unwrap(), calls, "{method} {code}");
        assert_eq!(start.elapsed().as_secs(), seconds, "{method} {code}");
    }
}

/// How long the pause is after an answer with this `Retry-After`; `None` if there
/// is no second attempt.
async fn pause_after(value: &str) -> Option<Duration> {
    let value = value.to_owned();
    let busy = move || {
        let mut answer = status(503);
        let headers = answer.as_mut().map(Response::headers_mut).unwrap();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        answer
    };
    let (calls, took) = sent(Method::GET, busy).await;
    (calls == 2).then_some(took)
}

fn about(pause: Option<Duration>, expected: Duration) {
    let pause = pause.unwrap();
    assert!(pause.abs_diff(expected) <= 5 * MS, "{pause:?} is not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_not_asked_before() {
    about(pause_after("7").await, 7_000 * MS);
    let soon = httpdate::fmt_http_date(SystemTime::now() + 40_000 * MS);
    let pause = pause_after(&soon).await.unwrap();
    assert!(pause > 30_000 * MS && pause <= 40_000 * MS, "a date is in whole seconds: {pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_time_that_has_passed_or_cannot_be_read_leaves_the_pause_as_it_is_drawn() {
    for value in ["0", "-5", "1.5", "soon", "", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        about(pause_after(value).await, 100 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_cannot_make_anybody_wait_for_a_year_or_for_ever() {
    let forever = "9".repeat(40);
    for value in ["61", "31536000", &forever, "Fri, 31 Dec 9999 23:59:59 GMT"] {
        assert_eq!(pause_after(value).await, None, "{value}: the answer comes back at once");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_with_a_key_is_idempotent_where_one_says_so() {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let inner = service_fn(move |_: Request<String>| {
        *counted.lock().unwrap() += 1;
        std::future::ready(status(503))
    });
    let keyed = |method: &Method, headers: &http::HeaderMap| {
        method == Method::POST && headers.contains_key("idempotency-key")
    };
    let client = RetryLayer::http(twice()).idempotent_if(keyed).layer(inner);
    let with_key = Request::post("/").header("idempotency-key", "7").body(String::new()).unwrap();
    client.clone().oneshot(with_key).await.unwrap();
    assert_eq!(std::mem::take(&mut *count.lock().unwrap()), 2);
    client.oneshot(Request::post("/").body(String::new()).unwrap()).await.unwrap();
    assert_eq!(*count.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_carries_its_number_where_that_is_asked_for() {
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let heard = numbers.clone();
    let inner = service_fn(move |request: Request<String>| {
        let number = request.headers().get("x-attempt").map(|n| n.to_str().unwrap().to_owned());
        heard.lock().unwrap().push(number);
        std::future::ready(status(503))
    });
    let layer = RetryLayer::http(twice());
    let named = layer.clone().attempt_header(HeaderName::from_static("x-attempt"));
    let judged = named.clone().judge_answers(|_: &Response<String>| Some(Verdict::Transient));
    let heard = || std::mem::take(&mut *numbers.lock().unwrap());
    for service in
        [named.layer(inner.clone()).boxed_clone(), judged.layer(inner.clone()).boxed_clone()]
    {
        service.oneshot(Request::default()).await.unwrap();
        assert_eq!(heard(), [Some("1".into()), Some("2".into())]);
    }
    layer.layer(inner).oneshot(Request::default()).await.unwrap();
    assert_eq!(heard(), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn each_hedge_carries_its_number_where_that_is_asked_for() {
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let heard = numbers.clone();
    let slow = service_fn(move |request: Request<String>| {
        heard.lock().unwrap().push(request.headers()["x-attempt"].to_str().unwrap().to_owned());
        async {
            sleep(120 * MS).await;
            status(200)
        }
    });
    let hedge = Hedge::after(50 * MS).at_most(3).without_budget().clock(TokioClock);
    let layer = HedgeLayer::http(hedge).attempt_header(HeaderName::from_static("x-attempt"));
    layer.layer(slow).oneshot(Request::default()).await.unwrap();
    assert_eq!(*numbers.lock().unwrap(), ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_a_stream_is_no_reason_not_to_send_an_empty_one_again() {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let busy = any(move || {
        *counted.lock().unwrap() += 1;
        std::future::ready(StatusCode::SERVICE_UNAVAILABLE)
    });
    let retry = twice().retry_if(|_: &Infallible| false);
    let app: Router = Router::new().route("/", busy);
    let app = RetryLayer::http(retry).copied_by(copy_if_empty).layer(app);
    let answer = app.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(std::mem::take(&mut *count.lock().unwrap()), 2);
    app.oneshot(Request::put("/").body(Body::from("a chair")).unwrap()).await.unwrap();
    assert_eq!(*count.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gate_of_the_same_process_refuses_a_post_and_it_is_sent_again() {
    let (gate, app) = (Arc::new(Places::new(1)), Router::new().route("/", any(async || "done")));
    let held = plimsoll_core::GateExt::try_admit(&*gate).unwrap();
    let retry = twice().retry_if(|_: &Infallible| false);
    let app: Router = app.layer(HttpGateLayer::of(gate.clone()));
    let app = RetryLayer::http(retry).copied_by(copy_if_empty).layer(app);
    let call = app.oneshot(Request::post("/").body(Body::empty()).unwrap());
    let free = async {
        sleep(50 * MS).await;
        drop(held);
    };
    let (answer, ()) = tokio::join!(call, free);
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn only_what_may_run_twice_is_hedged() {
    let count = Arc::new(Mutex::new(0));
    let counted = count.clone();
    let slow = service_fn(move |_: Request<String>| {
        *counted.lock().unwrap() += 1;
        async {
            sleep(200 * MS).await;
            status(200)
        }
    });
    let hedge = Hedge::after(50 * MS).without_budget().clock(TokioClock);
    let client = HedgeLayer::http(hedge).layer(slow);
    for (request, calls) in [(Request::get("/"), 2), (Request::post("/"), 1)] {
        client.clone().oneshot(request.body(String::new()).unwrap()).await.unwrap();
        assert_eq!(std::mem::take(&mut *count.lock().unwrap()), calls);
    }
}
