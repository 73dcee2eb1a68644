//! Orders over HTTP: durable before the answer, each mistake its own answer.
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
};

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use rusqlite::Connection;
use serde_json::{Value, json};
use storefront::{
    catalogue::Product, database::Database, demo, gates::Limits, http::router, orders::Orders,
    store::Store,
};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// A shop whose database can be looked into from outside.
struct Shop {
    app: Router,
    orders: Orders,
    file: PathBuf,
}

impl Shop {
    fn new(name: &str, together: bool) -> Self {
        let file = env::temp_dir().join(format!("storefront-orders-{}-{name}.db", process::id()));
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue/sample.jsonl");
        let database = Database::at(&file).unwrap();
        let lines = fs::read_to_string(sample).unwrap();
        let products: Vec<_> =
            lines.lines().map(|it| Product::from_line(it.as_bytes()).unwrap()).collect();
        database.fill(&products).unwrap();
        let store = Store::open(database, 1, 8).unwrap();
        let make = if together { Orders::together } else { Orders::one_by_one };
        let orders = make(&store).unwrap();
        let limits = together.then_some(Limits { rate: 1, burst: 1 });
        let app = router(store, orders.clone(), demo::recorder().unwrap(), limits).unwrap();
        Self { app, orders, file }
    }

    /// A connection of somebody else's.
    fn look(&self) -> Connection {
        Connection::open(&self.file).unwrap()
    }

    fn count(&self) -> usize {
        self.look().query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap()
    }

    async fn send(app: Router, body: impl Into<Body>) -> Response<Body> {
        let request = Request::post("/orders").body(body.into()).unwrap();
        app.oneshot(request).await.unwrap()
    }

    async fn order(&self, body: impl Into<Body>) -> (StatusCode, Value) {
        let response = Self::send(self.app.clone(), body).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.file.display()));
        }
    }
}

/// One piece of a product.
fn of(product: i64) -> String {
    json!({ "product": product, "quantity": 1 }).to_string()
}

#[tokio::test]
async fn an_order_is_in_the_database_when_it_is_answered() {
    for (name, together) in [("answered-together", true), ("answered-alone", false)] {
        let shop = Shop::new(name, together);
        let order = json!({ "product": 3, "quantity": 1_000, "note": "ring twice" }).to_string();
        let (status, body) = shop.order(order).await;
        assert_eq!((status, &body), (StatusCode::CREATED, &json!({ "id": 1 })));
        let row: (i64, i64, String) = shop
            .look()
            .query_row("SELECT product, quantity, note FROM orders WHERE id = 1", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(row, (3, 1_000, "ring twice".to_owned()));
    }
}

#[tokio::test]
async fn a_mistake_is_answered_with_its_status_and_what_would_be_right() {
    let shop = Shop::new("mistakes", true);
    let long = json!({ "product": 1, "quantity": 1, "note": "x".repeat(257) }).to_string();
    for (body, status, says) in [
        ("", StatusCode::BAD_REQUEST, "no JSON"),
        ("{", StatusCode::BAD_REQUEST, "no JSON"),
        ("\u{fe}", StatusCode::BAD_REQUEST, "no JSON"),
        ("[]", StatusCode::UNPROCESSABLE_ENTITY, "an order is {"),
        ("{}", StatusCode::UNPROCESSABLE_ENTITY, "missing field `product`"),
        (r#"{"product": 1}"#, StatusCode::UNPROCESSABLE_ENTITY, "missing field `quantity`"),
        (r#"{"product": "1", "quantity": 1}"#, StatusCode::UNPROCESSABLE_ENTITY, "expected i64"),
        (r#"{"product": 1, "quantity": 1.5}"#, StatusCode::UNPROCESSABLE_ENTITY, "expected i64"),
        (r#"{"product": 1, "quantity": 0}"#, StatusCode::UNPROCESSABLE_ENTITY, "from 1 to 1000"),
        (r#"{"product": 1, "quantity": -1}"#, StatusCode::UNPROCESSABLE_ENTITY, "from 1 to 1000"),
        (r#"{"product": 1, "quantity": 1001}"#, StatusCode::UNPROCESSABLE_ENTITY, "from 1 to"),
        (r#"{"product": 1, "quantity": 1, "x": 1}"#, StatusCode::UNPROCESSABLE_ENTITY, "`x`"),
        (&long, StatusCode::UNPROCESSABLE_ENTITY, "at most 256 bytes"),
        (&of(999_999), StatusCode::NOT_FOUND, "no product with the id 999999"),
        (&of(-1), StatusCode::NOT_FOUND, "no product with the id -1"),
        (&" ".repeat(4_097), StatusCode::PAYLOAD_TOO_LARGE, "at most 4096 bytes"),
    ] {
        let (answered, said) = shop.order(body.to_owned()).await;
        assert_eq!(answered, status, "{body}: {said}");
        assert!(said["error"].as_str().unwrap().contains(says), "{body}: {said}");
    }
    let get = Request::get("/orders").body(Body::empty()).unwrap();
    let response = shop.app.clone().oneshot(get).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
    assert_eq!(shop.count(), 0);
}

/// Sends them all at once.
fn all(shop: &Shop, products: impl IntoIterator<Item = i64>) -> JoinSet<Response<Body>> {
    let mut sent = JoinSet::new();
    for product in products {
        sent.spawn(Shop::send(shop.app.clone(), of(product)));
    }
    sent
}

#[tokio::test]
async fn a_bad_order_fails_alone_among_those_that_share_its_commit() {
    let shop = Shop::new("alone", true);
    let answers =
        all(&shop, (0..90).map(|n| if n % 3 == 0 { 999_999 } else { 1 })).join_all().await;
    let of = |status| answers.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((of(StatusCode::CREATED), of(StatusCode::NOT_FOUND)), (60, 30));
    assert_eq!(shop.count(), 60);
    // Some shared one: far fewer commits than orders.
    assert!(shop.orders.stats().unwrap().batches() < 90);
}

#[tokio::test]
async fn a_full_line_is_a_503_that_says_when_to_come_back_and_the_rest_are_written() {
    let shop = Shop::new("full", true);
    let held = shop.look();
    held.execute_batch("BEGIN IMMEDIATE").unwrap(); // nobody else writes now
    let mut answers = all(&shop, std::iter::repeat_n(1, 1_300));
    let refused = answers.join_next().await.unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    held.execute_batch("ROLLBACK").unwrap();
    let answers = answers.join_all().await;
    let written = answers.iter().filter(|answer| answer.status() == StatusCode::CREATED).count();
    // The line, and what was being written.
    assert!((1_000..=1_200).contains(&written), "{written}");
    assert_eq!(shop.count(), written);
}

#[tokio::test]
async fn nothing_that_was_accepted_is_lost_when_the_service_stops() {
    let shop = Shop::new("stop", true);
    let held = shop.look();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answers = all(&shop, std::iter::repeat_n(1, 50));
    for _ in 0..100 {
        tokio::task::yield_now().await; // all are accepted, none can be written
    }
    let orders = shop.orders.clone();
    let closing = tokio::spawn(async move { orders.close().await });
    tokio::task::yield_now().await;
    assert_eq!(shop.order(of(1)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    held.execute_batch("ROLLBACK").unwrap();
    closing.await.unwrap().unwrap();
    assert_eq!(shop.count(), 50);
    assert!(answers.join_all().await.iter().all(|it| it.status() == StatusCode::CREATED));
}

#[tokio::test]
async fn how_large_batches_are_is_among_the_metrics() {
    let shop = Shop::new("metrics", true);
    assert_eq!(shop.order(of(1)).await.0, StatusCode::CREATED);
    let get = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = shop.app.clone().oneshot(get).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    for series in [
        r#"storefront_order_batches_total{why="free"}"#,
        "storefront_orders_in_batches_total",
        "storefront_order_batch_largest",
        r#"storefront_requests_total{route="/orders",status="201"}"#,
    ] {
        assert!(text.contains(series), "{series} in\n{text}");
    }
}
