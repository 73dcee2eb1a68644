//! What the service answers, over the sample catalogue: in memory where a router is enough, over
//! a socket where the connection matters.
#![allow(clippy::unwrap_used, reason = "a test that meets an error should stop at it")]

use std::{fs, path::Path};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use storefront::{
    catalogue::Product,
    database::Database,
    demo,
    gates::Limits,
    http::{CLIENT_ID, Server, router},
    orders::Orders,
    store::Store,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;

/// More than any test here asks for.
const PLENTY: Limits = Limits { rate: 1_000_000, burst: 1_000_000 };

/// A request that does not say who sends it.
const UNNAMED: &[u8] = b"GET /search?q=lamp HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n";

fn store() -> Store {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue/sample.jsonl");
    let database = Database::temporary().unwrap();
    let lines = fs::read_to_string(sample).unwrap();
    let products: Vec<_> =
        lines.lines().map(|it| Product::from_line(it.as_bytes()).unwrap()).collect();
    database.fill(&products).unwrap();
    Store::open(database, 2, 64).unwrap()
}

fn app(limits: Limits) -> Router {
    try_app(Some(limits)).unwrap()
}

/// Bare where there are no limits.
fn try_app(limits: Option<Limits>) -> anyhow::Result<Router> {
    let store = store();
    let orders = match limits {
        Some(_) => Orders::together(&store)?,
        None => Orders::one_by_one(&store)?,
    };
    router(store, orders, demo::recorder()?, limits)
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn get_as(client: HeaderValue, path: &str) -> Request<Body> {
    Request::get(path).header(CLIENT_ID, client).body(Body::empty()).unwrap()
}

/// The status and the JSON of an answer.
async fn ask(app: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn names(app: &Router, path: &str) -> Vec<String> {
    let (status, body) = ask(app, get(path)).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    let products = body["products"].as_array().unwrap();
    assert_eq!(body["count"], products.len());
    products.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_search_finds_what_has_all_words_best_first() {
    let app = app(PLENTY);
    // A word in the name outweighs a keyword, and that the description.
    assert_eq!(names(&app, "/search?q=knife").await.len(), 3);
    let tea = names(&app, "/search?q=tea").await;
    assert_eq!(tea, ["teapot", "kettle"], "teapot is found by the beginning of a word as well");
    assert_eq!(names(&app, "/search?q=Tent+peg").await[0], "tent-peg");
    assert_eq!(names(&app, "/search?q=knife+baking").await, ["bread-knife"]);
    assert_eq!(names(&app, "/search?q=screwd").await, ["screwdriver-set"]);
    assert_eq!(names(&app, "/search?q=steel&limit=2").await.len(), 2);
    assert!(names(&app, "/search?q=submarine").await.is_empty());
}

#[tokio::test]
async fn what_a_search_lists_can_be_fetched() {
    let app = app(PLENTY);
    let (_, found) = ask(&app, get("/search?q=teapot")).await;
    let (status, product) =
        ask(&app, get(&format!("/products/{}", found["products"][0]["id"]))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(product["name"], "teapot");
    assert_eq!(product["keywords"], serde_json::json!(["tea", "table"]));
    assert_eq!(product["licence"], "MIT");
    assert_eq!(product["pages"], 0);
}

#[tokio::test]
async fn operators_of_the_search_engine_are_plain_words() {
    let app = app(PLENTY);
    for query in [
        "NOT",
        "lamp+NOT+desk",
        "lamp*",
        "%22",
        "lamp%22",
        "NEAR(lamp+desk)",
        "name%3Alamp",
        "%5Elamp",
        "(",
        "lamp%00",
        "-lamp",
        "%F0%9F%A6%80",
    ] {
        let (status, body) = ask(&app, get(&format!("/search?q={query}"))).await;
        assert_eq!(status, StatusCode::OK, "{query}: {body}");
    }
    // As an operator this would find every lamp but the desk's; as words it finds nothing.
    assert!(names(&app, "/search?q=lamp+NOT+desk").await.is_empty());
}

#[tokio::test]
async fn a_malformed_query_string_is_a_400_that_says_what_is_right() {
    let app = app(PLENTY);
    let long = format!("/search?q={}", "x".repeat(257));
    for (path, says) in [
        ("/search", "q is what to look for"),
        ("/search?q=", "q is what to look for"),
        ("/search?q=a&q=b", "given once"),
        (&long, "1 to 256 bytes"),
        ("/search?q=%", "two hexadecimal digits"),
        ("/search?q=%f", "two hexadecimal digits"),
        ("/search?q=%C3%28", "not UTF-8"),
        ("/search?q=lamp&limit=0", "from 1 to 100"),
        ("/search?q=lamp&limit=101", "from 1 to 100"),
        ("/search?q=lamp&limit=99999999999999999999", "from 1 to 100"),
        ("/search?q=lamp&limit=ten", "from 1 to 100"),
    ] {
        let (status, body) = ask(&app, get(path)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(body["error"].as_str().unwrap().contains(says), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_product_that_is_not_there_is_404_and_an_id_that_is_none_is_400() {
    let app = app(PLENTY);
    for (path, status) in [
        ("/products/999999", StatusCode::NOT_FOUND),
        ("/products/-1", StatusCode::NOT_FOUND),
        ("/products/teapot", StatusCode::BAD_REQUEST),
        ("/products/1.5", StatusCode::BAD_REQUEST),
        ("/products/%ff", StatusCode::BAD_REQUEST),
        ("/products/99999999999999999999", StatusCode::BAD_REQUEST),
        ("/products", StatusCode::NOT_FOUND),
        ("/nothing/here", StatusCode::NOT_FOUND),
    ] {
        let (answered, body) = ask(&app, get(path)).await;
        assert_eq!(answered, status, "{path}");
        assert!(body["error"].is_string(), "{path}: {body}");
    }
    let post = Request::post("/search?q=lamp").body(Body::empty()).unwrap();
    let (status, body) = ask(&app, post).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(body["error"].is_string());
}

#[tokio::test]
async fn a_client_id_that_is_none_is_a_400() {
    let app = app(PLENTY);
    let vast = HeaderValue::from_bytes(&vec![b'x'; 1 << 20]).unwrap();
    for (id, says) in [
        (vast, "1 to 256 bytes long, not 1048576"),
        (HeaderValue::from_static(""), "1 to 256 bytes long, not 0"),
        (HeaderValue::from_bytes(b"caf\xe9").unwrap(), "UTF-8"),
        (HeaderValue::from_bytes(b"\xff\xfe").unwrap(), "UTF-8"),
    ] {
        let (status, body) = ask(&app, get_as(id, "/search?q=lamp")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body["error"].as_str().unwrap().contains(says), "{body}");
    }
    let longest = HeaderValue::from_bytes(&[b'x'; 256]).unwrap();
    for id in [longest, HeaderValue::from_bytes("Zoë".as_bytes()).unwrap()] {
        assert_eq!(ask(&app, get_as(id, "/search?q=lamp")).await.0, StatusCode::OK);
    }
}

/// Asks under `client`'s name until it is refused, and returns that answer.
async fn until_refused(app: &Router, client: &'static str) -> Response<Body> {
    for _ in 0..100 {
        let request = get_as(HeaderValue::from_static(client), "/search?q=lamp");
        let response = app.clone().oneshot(request).await.unwrap();
        if response.status() != StatusCode::OK {
            return response;
        }
    }
    panic!("100 requests passed a burst of 2 at 1/s");
}

#[tokio::test]
async fn a_client_beyond_its_burst_is_a_429_that_says_when_to_come_back() {
    let app = app(Limits { rate: 1, burst: 2 });
    let response = until_refused(&app, "greedy").await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    assert_eq!(header("retry-after"), "1");
    assert_eq!(header("ratelimit-policy"), r#""default";q=2;w=2"#);
    assert!(header("ratelimit").starts_with(r#""default";r="#));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"], "more requests than one client may make");
}

#[tokio::test]
async fn a_client_held_to_its_rate_takes_nothing_from_another() {
    let app = app(Limits { rate: 1, burst: 2 });
    until_refused(&app, "greedy").await;
    let polite = get_as(HeaderValue::from_static("polite"), "/search?q=lamp");
    let response = app.clone().oneshot(polite).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["ratelimit"], r#""default";r=1;t=1"#);
    // By its address, if it does not say who it is: a third client.
    let unnamed = raw(&Server::start(app).await.unwrap(), UNNAMED).await;
    assert!(unnamed.starts_with("HTTP/1.1 200 "), "{unnamed}");
}

#[tokio::test]
async fn what_the_gate_refused_is_among_the_metrics() {
    let app = app(Limits { rate: 1, burst: 2 });
    until_refused(&app, "greedy").await;
    let response = app.oneshot(get("/metrics")).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let text = std::str::from_utf8(&text).unwrap();
    for series in [
        r#"plimsoll_refused_total{gate="per-client",by="token bucket",reason="rate"}"#,
        r#"plimsoll_outcomes_total{gate="per-client",outcome="success"}"#,
        r#"storefront_requests_total{route="/search",status="429"}"#,
    ] {
        assert!(text.contains(series), "{series} in\n{text}");
    }
}

#[tokio::test]
async fn a_burst_of_zero_refuses_everybody_and_a_bare_service_nobody() {
    let closed = app(Limits { rate: 20, burst: 0 });
    assert_eq!(ask(&closed, get("/search?q=lamp")).await.0, StatusCode::TOO_MANY_REQUESTS);
    let bare = try_app(None).unwrap();
    for _ in 0..100 {
        let response = bare.clone().oneshot(get("/search?q=lamp")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("ratelimit"));
    }
}

#[tokio::test]
async fn a_rate_beyond_reason_is_an_error_that_states_the_rule() {
    let limits = Limits { rate: u32::MAX, burst: 1 };
    let said = try_app(Some(limits)).unwrap_err().to_string();
    assert!(said.starts_with("rate must be at most 1000000000 per second"), "{said}");
}

#[tokio::test]
async fn health_and_metrics_answer_whoever_asks() {
    let app = app(Limits { rate: 0, burst: 0 });
    assert_eq!(ask(&app, get("/health")).await.0, StatusCode::OK);
    let response = app.oneshot(get("/metrics")).await.unwrap();
    let content_type = response.headers()[header::CONTENT_TYPE].clone();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(content_type.to_str().unwrap().starts_with("text/plain"));
    let counted = r#"storefront_requests_total{route="/health",status="200"}"#;
    assert!(std::str::from_utf8(&text).unwrap().contains(counted));
}

/// Writes raw bytes to a fresh connection and returns what comes back.
async fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // The server may stop reading before the end; what it said is still to be read.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn bytes_that_are_no_request_get_an_answer_and_the_service_goes_on() {
    let server = Server::start(app(PLENTY)).await.unwrap();
    let head = b"GET /search?q=lamp HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n".as_slice();

    let vast = [head, b"x-client-id: ", &vec![b'x'; 1 << 20], b"\r\n\r\n"].concat();
    let answer = raw(&server, &vast).await;
    // hyper's own bound on a request's head comes first. Closing with bytes still unread may
    // reset the connection, and then the answer can be lost on its way.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");

    let answer = raw(&server, &[head, b"x-client-id: \xff\xfe\r\n\r\n"].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("UTF-8"), "{answer}");

    let answer = raw(&server, b"\x16\x03\x01\x00\xff\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    let answer = raw(&server, b"GET /search?q=caf\xe9 HTTP/1.1\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    let answer = raw(&server, &[head, b"\r\n"].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("desk-lamp"), "{answer}");
    server.stop().await.unwrap();
}
