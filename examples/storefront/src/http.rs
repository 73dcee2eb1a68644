//! The routes.
//!
//! Every answer but `/metrics` is JSON. Every mistake is `{"error": "..."}`, and says what would
//! have been right.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{
        DefaultBodyLimit, FromRef, MatchedPath, Path, RawQuery, Request, State,
        rejection::PathRejection,
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use http::{HeaderValue, StatusCode};
use metrics::{counter, describe_counter};
use metrics_exporter_prometheus::PrometheusHandle;
use plimsoll::tower::ClientAddr;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time::timeout};

pub use crate::mistake::Mistake;
use crate::{
    gates::{self, Limits},
    orders::{self, Orders, route},
    query::{Hit, PageHit},
    store::Store,
};

/// The longest query text, in bytes.
pub const MAX_QUERY: usize = 256;

/// The longest client id, in bytes.
pub const MAX_CLIENT_ID: usize = 256;

/// The header in which a client says who it is.
pub const CLIENT_ID: &str = "x-client-id";

/// How long open connections may take to finish once the service stops.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct App {
    store: Store,
    orders: Orders,
    metrics: PrometheusHandle,
}

impl FromRef<App> for Orders {
    fn from_ref(app: &App) -> Self {
        app.orders.clone()
    }
}

/// Everything the service answers: behind its gates, or bare where there are no limits.
///
/// Metrics must be recorded before this: what a gate counts before there is a recorder is lost
/// for ever.
///
/// # Errors
///
/// When the limits make no sense.
pub fn router(
    store: Store,
    orders: Orders,
    metrics: PrometheusHandle,
    limits: Option<Limits>,
) -> anyhow::Result<Router> {
    describe_counter!("storefront_requests_total", "Requests answered, by route and status.");
    orders::describe();
    let limited = Router::new().route("/search", get(search)).route("/products/{id}", get(product));
    // The last layer is the first to see a request: who it is comes before how much it may.
    let limited = match limits {
        Some(limits) => gates::protect(limited, limits)?,
        None => limited,
    };
    let limited = limited.layer(middleware::from_fn(identify));
    let order = post(route::place).layer(DefaultBodyLimit::max(route::MAX_BODY));
    Ok(limited
        .route("/orders", order)
        .route("/health", get(health))
        .route("/metrics", get(render_metrics))
        .fallback(async || Mistake::new(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            let says = "this path answers another method: see the Allow field";
            Mistake::new(StatusCode::METHOD_NOT_ALLOWED, says)
        })
        .layer(middleware::from_fn(count))
        .with_state(App { store, orders, metrics }))
}

/// What `GET /search` answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct SearchAnswer<T = Vec<Hit>, P = Vec<PageHit>> {
    /// The text that was looked for.
    pub query: String,
    /// How many products follow.
    pub count: usize,
    /// The products, best first.
    pub products: T,
    /// Pages of documentation, best first, if they were asked for.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub pages: Option<P>,
}

fn none<P>() -> Option<P> {
    None
}

async fn search(State(app): State<App>, RawQuery(raw): RawQuery) -> Result<Response, Mistake> {
    let Search { query, limit, pages } = Search::parse(raw.as_deref().unwrap_or_default())?;
    let products = app.store.search(&query, limit).await?;
    // A second search, over much more text: only whoever wants it pays for it.
    let pages = match pages {
        0 => None,
        limit => Some(app.store.pages(&query, limit).await?),
    };
    Ok(Json(SearchAnswer { query, count: products.len(), products, pages }).into_response())
}

async fn product(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Mistake> {
    let id = id.ok().and_then(|Path(id)| id.parse().ok());
    let id = id.ok_or_else(|| Mistake::bad("a product's id is a whole number"))?;
    let found = app.store.product(id).await?;
    let found = found.ok_or_else(|| {
        Mistake::new(StatusCode::NOT_FOUND, format!("there is no product with the id {id}"))
    })?;
    Ok(Json(found).into_response())
}

async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "status": "ok" }))
}

async fn render_metrics(State(app): State<App>) -> impl IntoResponse {
    orders::record(&app.orders);
    ([(http::header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render())
}

/// Counts every answer, the refusals included. The label is the route's pattern, never the path:
/// a label per product id would be a time series per product id.
async fn count(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    counter!("storefront_requests_total", "route" => route, "status" => status).increment(1);
    response
}

/// Who asks: the key of every per-client gate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// It said so in [`CLIENT_ID`]. A service on the open net would take this from a proof of
    /// identity: an id that anyone can make up is a limit that anyone can dodge.
    Named(HeaderValue),
    /// It did not say; all clients behind one address are one.
    Address(IpAddr),
    /// No connection at all: a router called by hand, as in tests.
    Unknown,
}

/// Says who asks, for the gates behind it. An id that is none is a mistake, not a stranger's
/// address: whoever sends one should hear of it.
async fn identify(request: Request, next: Next) -> Result<Response, Mistake> {
    let (mut parts, body) = request.into_parts();
    let client = if let Some(id) = parts.headers.get(CLIENT_ID) {
        if id.is_empty() || id.len() > MAX_CLIENT_ID {
            let length = id.len();
            return Err(Mistake::bad(format!(
                "{CLIENT_ID} is 1 to {MAX_CLIENT_ID} bytes long, not {length}"
            )));
        }
        if std::str::from_utf8(id.as_bytes()).is_err() {
            return Err(Mistake::bad(format!("{CLIENT_ID} is UTF-8 text")));
        }
        Client::Named(id.clone())
    } else {
        ClientAddr::connect_info().of(&parts).map_or(Client::Unknown, Client::Address)
    };
    parts.extensions.insert(client);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// What a search asks for.
#[derive(Debug, PartialEq, Eq)]
struct Search {
    query: String,
    limit: u8,
    pages: u8,
}

impl Search {
    /// Parses a query string and is strict about it: a lenient parser answers a question that
    /// nobody asked. Parameters with other names are left alone.
    fn parse(raw: &str) -> Result<Self, Mistake> {
        const Q: &str = "q is what to look for: 1 to 256 bytes of text, given once, as in ?q=lamp";
        const LIMIT: &str = "limit is a whole number from 1 to 100, given once";
        const PAGES: &str = "pages is a whole number from 0 to 100, given once";
        let number = |value, range: RangeInclusive<u8>, rule| {
            let number = decode(value)?.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| Mistake::bad(rule)).map(Some)
        };
        let (mut query, mut limit, mut pages) = (None, None, None);
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match &*decode(name)? {
                "q" if query.is_some() => return Err(Mistake::bad(Q)),
                "q" => query = Some(decode(value)?.into_owned()),
                "limit" if limit.is_some() => return Err(Mistake::bad(LIMIT)),
                "limit" => limit = number(value, 1..=100, LIMIT)?,
                "pages" if pages.is_some() => return Err(Mistake::bad(PAGES)),
                "pages" => pages = number(value, 0..=100, PAGES)?,
                _ => {}
            }
        }
        let query = query.filter(|text| !text.trim().is_empty() && text.len() <= MAX_QUERY);
        let query = query.ok_or_else(|| Mistake::bad(Q))?;
        Ok(Self { query, limit: limit.unwrap_or(10), pages: pages.unwrap_or(0) })
    }
}

/// `application/x-www-form-urlencoded` back to text; a broken escape is a mistake and not text.
fn decode(encoded: &str) -> Result<Cow<'_, str>, Mistake> {
    if !encoded.contains(['%', '+']) {
        return Ok(Cow::Borrowed(encoded));
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = rest.split_at_checked(2).and_then(|(digits, tail)| {
                    rest = tail;
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
                });
                digits.ok_or_else(|| Mistake::bad("a % is followed by two hexadecimal digits"))?
            }
            other => other,
        });
    }
    let text = String::from_utf8(decoded);
    Ok(Cow::Owned(text.map_err(|_| Mistake::bad("the query string is not UTF-8"))?))
}

/// A service that listens. Dropped, it stops at once; [`Server::stop`] lets it finish first.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Listens on a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub async fn start(app: Router) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0));
        let listener = listener.await.context("could not listen on 127.0.0.1")?;
        let address = listener.local_addr()?;
        // Answers are small and late enough: Nagle's algorithm would hold them back for more.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                eprintln!("could not set TCP_NODELAY: {error}");
            }
        });
        let (stop, stopped) = oneshot::channel();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await
        });
        Ok(Self { address, stop: Some(stop), task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connection, finishes every request that has begun, and returns then.
    ///
    /// # Errors
    ///
    /// When connections are still open after five seconds; they are cut off.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        drop(self.stop.take());
        let ended = timeout(DRAIN_WITHIN, &mut self.task).await;
        ended
            .with_context(|| format!("connections were still open after {DRAIN_WITHIN:?}"))???;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(raw: &str) -> Result<(String, u8), String> {
        Search::parse(raw)
            .map(|search| (search.query, search.limit))
            .map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn a_query_string_is_decoded() {
        assert_eq!(parsed("q=lamp"), Ok(("lamp".into(), 10)));
        assert_eq!(parsed("q=desk+lamp%21&limit=100"), Ok(("desk lamp!".into(), 100)));
        assert_eq!(parsed("&&limit=1&other=%41&q=gr%C3%BCn"), Ok(("grün".into(), 1)));
        assert_eq!(parsed("%71=a=b"), Ok(("a=b".into(), 10)));
    }

    #[test]
    fn a_query_of_the_greatest_length_passes_and_one_byte_more_does_not() {
        let longest = "x".repeat(MAX_QUERY);
        assert!(parsed(&format!("q={longest}")).is_ok());
        assert!(parsed(&format!("q={longest}x")).unwrap_err().starts_with("q is"));
    }

    #[test]
    fn a_mistake_names_the_parameter_and_the_rule() {
        for raw in ["", "q", "q=", "q=+%20", "limit=5", "q=a&q=b"] {
            assert!(parsed(raw).unwrap_err().starts_with("q is what to look for"), "{raw}");
        }
        for limit in ["0", "101", "256", "-1", "1.5", "ten", "", "5&limit=5"] {
            let said = parsed(&format!("q=a&limit={limit}")).unwrap_err();
            assert_eq!(said, "limit is a whole number from 1 to 100, given once", "{limit}");
        }
        for pages in ["101", "-1", "ten", "", "5&pages=5"] {
            let said = parsed(&format!("q=a&pages={pages}")).unwrap_err();
            assert_eq!(said, "pages is a whole number from 0 to 100, given once", "{pages}");
        }
        for escape in ["%", "%4", "%zz", "%+1", "a%2", "%%20"] {
            let said = parsed(&format!("q={escape}")).unwrap_err();
            assert_eq!(said, "a % is followed by two hexadecimal digits", "{escape}");
        }
        assert_eq!(parsed("q=%ff").unwrap_err(), "the query string is not UTF-8");
        assert_eq!(parsed("%ff=1&q=a").unwrap_err(), "the query string is not UTF-8");
    }
}
