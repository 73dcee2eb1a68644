//! The limit in front of an axum router.

use super::MILLI;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
    response::IntoResponse,
    routing::get,
};
use plimsoll_backpressure::ConcurrencyLimit;
use plimsoll_core::TokioClock;
use plimsoll_tower::HttpGateLayer;
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::Instant};
use tower::ServiceExt;

const PLACES: u32 = 100;
const PATIENCE: Duration = Duration::from_millis(100);

/// A handler that takes `work`, behind the limit.
fn app(
    limit: &Arc<ConcurrencyLimit<plimsoll_backpressure::Fifo, TokioClock>>,
    work: Duration,
) -> Router {
    let handler = move || async move {
        tokio::time::sleep(work).await;
        "done"
    };
    let layer = HttpGateLayer::of(Arc::clone(limit)).wait().on_refusal(|refusal, _| {
        (plimsoll_tower::status(refusal), "server at capacity").into_response()
    });
    Router::new().route("/", get(handler)).layer(layer)
}

async fn ask(app: Router) -> (StatusCode, String) {
    let request = Request::builder().uri("/").body(Body::empty()).unwrap();
    let answer = app.oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), 1_000).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn with_100_places_taken_a_request_waits_100_ms_then_gets_503_server_at_capacity() {
    let limit = Arc::new(ConcurrencyLimit::new(PLACES).wait_at_most(PATIENCE).clock(TokioClock));
    let app = app(&limit, Duration::from_secs(1));
    let mut served = JoinSet::new();
    for _ in 0..PLACES {
        served.spawn(ask(app.clone()));
    }
    tokio::time::sleep(MILLI).await;
    assert_eq!(limit.in_flight(), PLACES);

    let start = Instant::now();
    let (status, text) = ask(app.clone()).await;
    assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "server at capacity"));
    assert_eq!(start.elapsed(), PATIENCE);

    while let Some(answer) = served.join_next().await {
        assert_eq!(answer.unwrap(), (StatusCode::OK, "done".to_owned()));
    }
    assert_eq!(limit.in_flight(), 0);
    assert_eq!(ask(app).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_free_within_100_ms_goes_to_the_request_that_waits() {
    let limit = Arc::new(ConcurrencyLimit::new(PLACES).wait_at_most(PATIENCE).clock(TokioClock));
    let app = app(&limit, PATIENCE - MILLI);
    let mut all = JoinSet::new();
    for _ in 0..2 * PLACES {
        all.spawn(ask(app.clone()));
    }
    let start = Instant::now();
    while let Some(answer) = all.join_next().await {
        assert_eq!(answer.unwrap().0, StatusCode::OK);
    }
    assert_eq!(start.elapsed(), (PATIENCE - MILLI) * 2);
}
