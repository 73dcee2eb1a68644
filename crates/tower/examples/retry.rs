//! An HTTP client that sends again what may pass: by method, status and
//! `Retry-After`, within a budget. Its server is in the same process, and busy for
//! the first two seconds.
//!
//! `cargo run -p plimsoll-tower --example retry --features retry`

use http::{Method, Request, Response, header::RETRY_AFTER};
use plimsoll_core::{Error, TokioClock, testing::Places};
use plimsoll_retry::{Retry, RetryBudget};
use plimsoll_tower::{GateLayer, RetryLayer};
use std::{io, time::Duration};
use tokio::time::Instant;
use tower::{ServiceBuilder, ServiceExt, service_fn};

type Answer = Result<Response<String>, Error<io::Error>>;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let server = service_fn(move |_: Request<String>| {
        let busy = start.elapsed() < Duration::from_secs(2);
        let answer = if busy {
            Response::builder().status(503).header(RETRY_AFTER, "1").body(String::new())
        } else {
            Ok(Response::new("hello".to_owned()))
        };
        std::future::ready(answer.map_err(io::Error::other))
    });

    let budget = RetryBudget::new(0.2).at_least(10); // one for each dependency, shared
    let retry = Retry::exponential(Duration::from_millis(100))
        .attempts(4)
        .budget(&budget)
        .clock(TokioClock)
        .on_retry(|attempt, result: &Answer, pause| {
            let said = result.as_ref().map(Response::status);
            println!("    attempt {attempt}: {said:?}, again in {pause:?}");
        })
        .on_give_up(|attempts, _, why| println!("    gave up after {attempts}: {}", why.as_str()));
    let client = ServiceBuilder::new()
        .layer(RetryLayer::http(retry))
        .layer(GateLayer::new(Places::new(100)))
        .service(server);

    // A POST is not sent twice: it may have begun.
    for method in [Method::POST, Method::GET] {
        println!("{method}");
        let request = Request::builder().method(method).uri("/").body(String::new())?;
        let answer = client.clone().oneshot(request).await?;
        println!("    {} at {:.1?}", answer.status(), start.elapsed());
    }
    Ok(())
}
