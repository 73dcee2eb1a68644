//! A tonic server within limits: 100 streams of 64 KiB, messages of 10 MiB, and
//! here connections that are closed when they were idle for a fifth of a second.
//!
//! `cargo run -p plimsoll-tower --example grpc --features grpc`

#[path = "../tests/support/text.rs"]
#[allow(unreachable_pub, reason = "tests share it")]
mod text; // a codec by hand, in place of generated code

use http::uri::PathAndQuery;
use plimsoll_core::testing::Places;
use plimsoll_tower::{GrpcLimits, HttpGateLayer};
use std::{convert::Infallible, error::Error, time::Duration};
use text::Text;
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use tonic::{
    Request, Response, Status,
    body::Body,
    client,
    server::Grpc,
    transport::{Endpoint, Server, server::TcpIncoming},
};
use tower::{Layer, service_fn};

const LIMITS: GrpcLimits = GrpcLimits::new();

/// What `tonic-build` would generate, with one method.
async fn greet(request: http::Request<Body>) -> Result<http::Response<Body>, Infallible> {
    let hello = async |name: Request<String>| {
        Ok::<_, Status>(Response::new(format!("hello, {}", name.into_inner())))
    };
    Ok(LIMITS.service(Grpc::new(Text)).unary(service_fn(hello), request).await)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    // Gates and other layers go around the service.
    let service = HttpGateLayer::new(Places::new(1_000)).grpc().layer(service_fn(greet));
    let limits = LIMITS.idle_after(Duration::from_millis(200));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        limits.serve(Server::builder(), service, incoming, async { drop(stopped.await) }).await
    });

    let channel = LIMITS.endpoint(Endpoint::from_shared(address)?).connect().await?;
    let mut client = LIMITS.client(client::Grpc::new(channel));
    for name in ["you", "you, on a new connection"] {
        client.ready().await?;
        let path = PathAndQuery::from_static("/greeter/Greet");
        let answer = client.unary(Request::new(name.to_owned()), path, Text).await?;
        println!("{}", answer.into_inner());
        sleep(Duration::from_millis(500)).await; // idle: the server closes the connection
    }
    drop(stop);
    println!("{:?}", server.await?);
    Ok(())
}
