//! One request over HTTP, and what its answer means.

use std::net::SocketAddr;

use axum::body::Body;
use http::{Request, StatusCode, Uri, header::RETRY_AFTER};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::de::IgnoredAny;

use crate::http::{CLIENT_ID, SearchAnswer};

/// What a request met with.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It got what it asked for.
    Admitted,
    /// It was told to come back later.
    Refused,
    /// Anything else, in words.
    Wrong(String),
}

/// What an order met with.
#[derive(Debug)]
pub(crate) enum Ordered {
    /// It was written, under this number.
    Written(i64),
    /// It was told to come back later.
    Refused,
    /// Anything else, in words.
    Wrong(String),
}

/// Asks one service, over connections that stay open.
pub(crate) struct Caller {
    client: Client<HttpConnector, Body>,
    address: SocketAddr,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), address }
    }

    /// Asks for `path` under a client's name. Takes as long as it takes.
    pub(crate) async fn ask(&self, name: &str, path: &str) -> Answer {
        let asked = self.try_ask(name, path).await;
        asked.unwrap_or_else(|error| Answer::Wrong(format!("{path}: {error:#}")))
    }

    /// Orders one piece of a product. Takes as long as it takes.
    pub(crate) async fn order(&self, product: i64) -> Ordered {
        let ordered = self.try_order(product).await;
        ordered.unwrap_or_else(|error| Ordered::Wrong(format!("/orders: {error:#}")))
    }

    async fn try_order(&self, product: i64) -> anyhow::Result<Ordered> {
        #[derive(serde::Deserialize)]
        struct Placed {
            id: i64,
        }
        let body = serde_json::json!({ "product": product, "quantity": 1 }).to_string();
        let request = Request::post(self.uri("/orders")?).body(Body::from(body))?;
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(match head.status {
            StatusCode::CREATED => Ordered::Written(serde_json::from_slice::<Placed>(&body)?.id),
            StatusCode::SERVICE_UNAVAILABLE if head.headers.contains_key(RETRY_AFTER) => {
                Ordered::Refused
            }
            other => Ordered::Wrong(format!("/orders: {other}")),
        })
    }

    fn uri(&self, path: &str) -> Result<Uri, http::Error> {
        let authority = self.address.to_string();
        Uri::builder().scheme("http").authority(authority).path_and_query(path).build()
    }

    async fn try_ask(&self, name: &str, path: &str) -> anyhow::Result<Answer> {
        let uri = self.uri(path)?;
        let request = Request::get(uri).header(CLIENT_ID, name).body(Body::empty())?;
        let (head, body) = self.client.request(request).await?.into_parts();
        // Read to the end also what is thrown away: a half-read answer costs its connection.
        let body = body.collect().await?.to_bytes();
        Ok(match head.status {
            StatusCode::OK if path.starts_with("/search") => {
                // Every search is made from a product, so it has something to find.
                let found: SearchAnswer<IgnoredAny, IgnoredAny> = serde_json::from_slice(&body)?;
                if found.count == 0 {
                    Answer::Wrong(format!("{path}: found nothing"))
                } else {
                    Answer::Admitted
                }
            }
            StatusCode::OK => Answer::Admitted,
            StatusCode::TOO_MANY_REQUESTS if head.headers.contains_key(RETRY_AFTER) => {
                Answer::Refused
            }
            StatusCode::TOO_MANY_REQUESTS => {
                Answer::Wrong(format!("{path}: 429 and not when to come back"))
            }
            other => Answer::Wrong(format!("{path}: {other}")),
        })
    }
}
