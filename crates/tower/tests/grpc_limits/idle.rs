//! Connections that are idle, and those that are not.

use crate::{
    frames::{self, ACK, DATA, GOAWAY, PING, greet, next, next_of, number, write},
    lab::{HOLD, Lab, SAY, WATCH, read, settle, unary},
};
use futures::FutureExt;
use plimsoll_tower::GrpcLimits;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, sleep_until},
};
use tonic::transport::Endpoint;

const IDLE: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);

fn whole(time: Duration) -> u64 {
    (time + SECOND / 2).as_secs()
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_order_after_five_minutes_and_not_before() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let mut connection = serving.connect();
    let start = Instant::now();
    greet(&mut connection).await;
    let first = next_of(&mut connection, GOAWAY).await.unwrap();
    assert_eq!(whole(start.elapsed()), 300);
    let last = next_of(&mut connection, GOAWAY).await.unwrap();
    for goaway in [&first, &last] {
        assert_eq!(number(&goaway.payload, 4), 0, "no error");
    }
    // First: I will close. Then, when what was on its way has arrived: I have
    // seen your streams up to here.
    assert_eq!(number(&first.payload, 0), (1 << 31) - 1);
    assert_eq!(number(&last.payload, 0), 0);
    assert!(next(&mut connection).await.is_none(), "and the end");
    assert_eq!(whole(start.elapsed()), 300);
}

#[tokio::test(start_paused = true)]
async fn a_client_makes_its_next_call_on_a_new_connection_and_sees_no_error() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let client = serving.client();
    for connections in 1..=3 {
        assert_eq!(unary(&client, SAY, "hello").await.unwrap(), "hello");
        assert_eq!(serving.dialled(), connections);
        sleep(IDLE + SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_now_and_then_keeps_a_connection_open_for_ever() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let client = serving.client();
    for _ in 0..100 {
        assert_eq!(unary(&client, SAY, "hello").await.unwrap(), "hello");
        sleep(IDLE - SECOND).await;
    }
    assert_eq!(serving.dialled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_call_and_a_silent_stream_are_not_idle() {
    let lab = Lab::new(GrpcLimits::new());
    let serving = lab.serve();
    let client = serving.client();
    let mut long = Box::pin(unary(&client, HOLD, "held"));
    futures::future::select(&mut long, Box::pin(sleep(10 * IDLE))).await;
    lab.go.notify_one();
    assert_eq!(long.await.unwrap(), "held");

    let mut silent = read(&client, WATCH).await;
    assert_eq!(silent.message().await.unwrap().unwrap(), "word");
    sleep(10 * IDLE).await;
    assert!(silent.message().now_or_never().is_none(), "open as ever");
    assert_eq!(
        (unary(&client, SAY, "hello").await.unwrap().as_str(), serving.dialled()),
        ("hello", 1)
    );

    // Its end begins the five minutes.
    drop(silent);
    sleep(IDLE - SECOND).await;
    assert_eq!(
        (unary(&client, SAY, "hello").await.unwrap().as_str(), serving.dialled()),
        ("hello", 1)
    );
    sleep(IDLE + SECOND).await;
    assert_eq!(
        (unary(&client, SAY, "hello").await.unwrap().as_str(), serving.dialled()),
        ("hello", 2)
    );
}

#[tokio::test(start_paused = true)]
async fn pings_are_no_calls() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let endpoint = Endpoint::from_static("http://lab");
    let pinging = endpoint.http2_keep_alive_interval(10 * SECOND).keep_alive_while_idle(true);
    let client = serving.client_by(&pinging);
    unary(&client, SAY, "hello").await.unwrap();
    sleep(IDLE + SECOND).await;
    unary(&client, SAY, "hello").await.unwrap();
    assert_eq!(serving.dialled(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_call_at_the_very_moment_is_served_or_was_never_begun() {
    // Before, at and after the instant, in steps smaller than the timer's.
    for micros in (0..4_000).step_by(250) {
        let lab = Lab::new(GrpcLimits::new());
        let serving = lab.serve();
        let client = serving.client();
        unary(&client, SAY, "hello").await.unwrap();
        let moment = Instant::now() + IDLE - Duration::from_micros(2_000);
        sleep_until(moment + Duration::from_micros(micros)).await;
        let answer = unary(&client, SAY, "hello").await;
        // tonic's client fails a call that it can't send any more, and does not
        // send it on a new connection.
        let began = usize::from(answer.is_ok());
        assert_eq!(lab.entered(SAY), 1 + began, "{micros} µs: {answer:?}");
        assert_eq!(unary(&client, SAY, "hello").await.unwrap(), "hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_under_way_to_a_server_that_closes_is_served() {
    let lab = Lab::new(GrpcLimits::new());
    let serving = lab.serve();
    let mut connection = serving.connect();
    greet(&mut connection).await;
    let goaway = frames::until(&mut connection, GOAWAY).await.unwrap();
    assert_eq!(number(&goaway.payload, 0), (1 << 31) - 1);
    // Sent before the client has heard of it.
    frames::call(&mut connection, SAY, b"hello").await;
    let ping = frames::until(&mut connection, PING).await.unwrap();
    write(&mut connection, PING, ACK, &ping.payload).await;

    let (mut said, mut last) = (Vec::new(), None);
    while let Some(frame) = next(&mut connection).await {
        match frame.kind {
            DATA => said.extend(frame.payload),
            GOAWAY => last = Some(number(&frame.payload, 0)),
            _ => {}
        }
    }
    assert_eq!(said, b"\0\0\0\0\x05hello");
    assert_eq!(last, Some(1), "it was seen");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_is_cut_off_twenty_seconds_later() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let mut connection = serving.connect();
    let start = Instant::now();
    greet(&mut connection).await;
    // Reads, and answers nothing.
    let mut kinds = Vec::new();
    while let Some(frame) = next(&mut connection).await {
        kinds.push(frame.kind);
    }
    assert!(kinds.ends_with(&[GOAWAY, PING]), "{kinds:?}");
    assert_eq!(whole(start.elapsed()), 320);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_says_a_word_is_cut_off_too() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let mut connection = serving.connect();
    let start = Instant::now();
    let mut said = Vec::new();
    connection.read_to_end(&mut said).await.unwrap();
    assert_eq!(whole(start.elapsed()), 320);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_cut_off_too() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let mut connection = serving.connect_through(64);
    // The server is stuck in the midst of what it has to say.
    greet(&mut connection).await;
    sleep(IDLE + 19 * SECOND).await;
    assert!(connection.write(b"x").now_or_never().unwrap().is_ok());
    sleep(2 * SECOND).await;
    assert!(connection.write(b"x").now_or_never().unwrap().is_err(), "the other end is gone");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_a_connection_may_be_idle_for_a_week() {
    let serving = Lab::new(GrpcLimits::new().without_idle_limit()).serve();
    let client = serving.client();
    unary(&client, SAY, "hello").await.unwrap();
    sleep(7 * 24 * 3_600 * SECOND).await;
    unary(&client, SAY, "hello").await.unwrap();
    assert_eq!(serving.dialled(), 1);
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_ends_when_its_last_call_has() {
    let lab = Lab::new(GrpcLimits::new().drain_within(2 * IDLE));
    let mut serving = lab.serve();
    let (client, mut gone) = (serving.client(), serving.connect());
    greet(&mut gone).await; // and never answers
    let mut call = Box::pin(unary(&client, HOLD, "held"));
    futures::future::select(&mut call, Box::pin(settle())).await;
    drop(serving.stop.take());
    futures::future::select(&mut call, Box::pin(sleep(IDLE))).await;
    assert!(!serving.task.is_finished(), "a call is under way");
    lab.go.notify_one();
    assert_eq!(call.await.unwrap(), "held");
    let cut_off = (&mut serving.task).await.unwrap();
    assert_eq!((cut_off.connections, cut_off.calls), (1, 0), "the one that was gone");
}

#[tokio::test(start_paused = true)]
async fn told_to_stop_it_stops_listening_while_calls_end() {
    let lab = Lab::new(GrpcLimits::new());
    let mut serving = lab.serve();
    let client = serving.client();
    let mut call = Box::pin(unary(&client, HOLD, "held"));
    futures::future::select(&mut call, Box::pin(settle())).await;
    drop(serving.stop.take());
    futures::future::select(&mut call, Box::pin(settle())).await;
    // Else clients would connect to somebody who never answers.
    assert!(serving.connections.is_closed());
    lab.go.notify_one();
    assert_eq!(call.await.unwrap(), "held");
}

#[tokio::test(start_paused = true)]
async fn dropped_it_lets_calls_under_way_end() {
    let lab = Lab::new(GrpcLimits::new());
    let serving = lab.serve();
    let client = serving.client();
    let mut call = Box::pin(unary(&client, HOLD, "held"));
    futures::future::select(&mut call, Box::pin(settle())).await;
    serving.task.abort();
    settle().await;
    lab.go.notify_one();
    assert_eq!(call.await.unwrap(), "held");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_accepted_does_not_end_the_server() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    for kind in [std::io::ErrorKind::ConnectionAborted, std::io::ErrorKind::Other] {
        serving.connections.unbounded_send(Err(kind.into())).unwrap();
    }
    assert_eq!(unary(&serving.client(), SAY, "hello").await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn clients_whose_own_connections_fail_do_not_hold_up_the_next() {
    use std::io::ErrorKind::{BrokenPipe, InvalidData, TimedOut, UnexpectedEof};
    let serving = Lab::new(GrpcLimits::new()).serve();
    let start = Instant::now();
    // As a TLS handshake within the stream of connections reports them.
    for kind in [InvalidData, UnexpectedEof, BrokenPipe, TimedOut].repeat(100) {
        serving.connections.unbounded_send(Err(kind.into())).unwrap();
    }
    assert_eq!(unary(&serving.client(), SAY, "hello").await.unwrap(), "hello");
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn failures_without_end_do_not_keep_it_from_hearing_that_it_is_to_stop() {
    let failures = futures::stream::repeat_with(|| {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionReset.into())
    });
    let server = tonic::transport::Server::builder();
    let lab = Lab::new(GrpcLimits::new());
    let stop = tokio::task::yield_now();
    GrpcLimits::new().serve(server, lab, failures, stop).await;
}

#[tokio::test(start_paused = true)]
async fn when_no_more_come_it_serves_those_that_are_there() {
    let mut serving = Lab::new(GrpcLimits::new()).serve();
    let client = serving.client();
    unary(&client, SAY, "hello").await.unwrap();
    serving.connections.close_channel();
    settle().await;
    assert_eq!(unary(&client, SAY, "hello").await.unwrap(), "hello");
    (&mut serving.task).await.unwrap(); // idle, it was closed
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_its_client_closes_leaves_nothing_behind() {
    let mut serving = Lab::new(GrpcLimits::new()).serve();
    let client = serving.client();
    unary(&client, SAY, "hello").await.unwrap();
    let start = Instant::now();
    drop(client);
    serving.connections.close_channel();
    (&mut serving.task).await.unwrap();
    assert!(start.elapsed() < SECOND);
}
