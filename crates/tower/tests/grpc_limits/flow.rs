//! Streams, windows and messages.

use crate::{
    frames::{SETTINGS, WINDOW_UPDATE, greet, next_of, number},
    lab::{COLLECT, HOLD, Lab, POUR, SAY, read, send, settle, unary},
};
use futures::{FutureExt, future::join_all};
use plimsoll_tower::GrpcLimits;
use tonic::{Code, transport::Endpoint};

const MIB: usize = 1024 * 1024;

/// The settings of a server, by number, and the window of its connection.
async fn told(limits: GrpcLimits) -> (Vec<(u16, u32)>, u32) {
    let serving = Lab::new(limits).serve();
    let mut connection = serving.connect();
    greet(&mut connection).await;
    let settings = next_of(&mut connection, SETTINGS).await.unwrap();
    let pairs = settings.payload.chunks(6);
    let pairs = pairs.map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), number(pair, 2)));
    let more = next_of(&mut connection, WINDOW_UPDATE).await.unwrap();
    (pairs.collect(), 65_535 + number(&more.payload, 0))
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_the_limits_as_they_are_set() {
    let (settings, window) = told(GrpcLimits::new()).await;
    assert!(settings.contains(&(3, 100)), "concurrent streams: {settings:?}");
    assert!(settings.contains(&(4, 64 * 1024)), "window of a stream: {settings:?}");
    assert_eq!(window, 100 * 64 * 1024);

    let limits = GrpcLimits::new().streams(3).stream_window(1_000).connection_window(1 << 20);
    let (settings, window) = told(limits).await;
    assert!(settings.contains(&(3, 3)) && settings.contains(&(4, 1_000)), "{settings:?}");
    assert_eq!(window, 1 << 20);
}

#[tokio::test(start_paused = true)]
async fn the_call_after_the_hundredth_waits_in_the_client() {
    let lab = Lab::new(GrpcLimits::new());
    let serving = lab.serve();
    let client = serving.client();
    unary(&client, SAY, "so that the client knows the limits").await.unwrap();

    let mut calls = join_all((0..101).map(|_| unary(&client, HOLD, "held")));
    futures::future::select(&mut calls, Box::pin(settle())).await;
    assert_eq!(lab.entered(HOLD), 100);
    lab.go.notify_one();
    futures::future::select(&mut calls, Box::pin(settle())).await;
    assert_eq!(lab.entered(HOLD), 101, "one ended, one came");
    assert_eq!(serving.dialled(), 1);

    lab.go.notify_waiters();
    assert!(calls.await.iter().all(Result::is_ok), "it waited, and was not refused");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_stalls_its_own_stream_and_nobody_elses() {
    let lab = Lab::new(GrpcLimits::new());
    let serving = lab.serve();
    let client = serving.client();
    // Each is to send three times its window.
    let mut stalled = join_all((0..99).map(|_| send(&client, 20, 10_000)));
    futures::future::select(&mut stalled, Box::pin(settle())).await;
    settle().await;
    assert!((&mut stalled).now_or_never().is_none(), "they wait for their windows");
    assert_eq!(lab.entered(COLLECT), 99);

    let other = unary(&client, SAY, &"x".repeat(MIB)).await.unwrap();
    assert_eq!(other.len(), MIB, "sixteen windows, through the one stream that is read");

    lab.go.notify_waiters();
    assert!(stalled.await.into_iter().all(|sent| sent.unwrap() == "200000"), "late, but whole");
}

#[tokio::test(start_paused = true)]
async fn with_a_connection_window_like_a_streams_one_handler_stalls_all() {
    let lab = Lab::new(GrpcLimits::new().connection_window(64 * 1024));
    let serving = lab.serve();
    let client = serving.client();
    let mut stalled = Box::pin(send(&client, 20, 10_000));
    futures::future::select(&mut stalled, Box::pin(settle())).await;
    futures::future::select(&mut stalled, Box::pin(settle())).await;

    let mut other = Box::pin(unary(&client, SAY, "hello"));
    futures::future::select(&mut other, Box::pin(settle())).await;
    assert!((&mut other).now_or_never().is_none(), "why the preset's is larger");

    lab.go.notify_one();
    let (stalled, other) = tokio::join!(stalled, other);
    assert_eq!((stalled.unwrap().as_str(), other.unwrap().as_str()), ("200000", "hello"));
}

#[tokio::test(start_paused = true)]
async fn many_small_messages_unread_do_not_end_the_connection() {
    let lab = Lab::new(GrpcLimits::new());
    let serving = lab.serve();
    let client = serving.client();
    let mut stalled = Box::pin(send(&client, 10_000, 4));
    let long = Box::pin(tokio::time::sleep(std::time::Duration::from_secs(60)));
    futures::future::select(&mut stalled, long).await;
    assert_eq!(unary(&client, SAY, "hello").await.unwrap(), "hello");
    lab.go.notify_one();
    assert_eq!(stalled.await.unwrap(), "40000");
    assert_eq!(serving.dialled(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_slowly_stalls_no_other_of_its_channel() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let endpoint = GrpcLimits::new().endpoint(Endpoint::from_static("http://lab"));
    let client = serving.client_by(&endpoint);
    let mut stalled = join_all((0..5).map(|_| read(&client, POUR))).await;
    settle().await;
    let other = unary(&client, SAY, &"x".repeat(MIB)).await.unwrap();
    assert_eq!(other.len(), MIB);

    for stalled in &mut stalled {
        let mut length = 0;
        while let Some(text) = stalled.message().await.unwrap() {
            length += text.len();
        }
        assert_eq!(length, 3_000_000, "late, but whole");
    }
}

#[tokio::test(start_paused = true)]
async fn with_tonics_own_windows_three_that_are_read_slowly_stall_all() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let client = serving.client();
    let stalled = join_all((0..3).map(|_| read(&client, POUR))).await;
    settle().await;
    let mut other = Box::pin(unary(&client, SAY, "hello"));
    futures::future::select(&mut other, Box::pin(settle())).await;
    assert!((&mut other).now_or_never().is_none(), "why the preset is for clients too");
    drop(stalled);
    assert_eq!(other.await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn a_message_of_ten_mebibytes_passes_and_one_more_byte_is_out_of_range() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let client = serving.client();
    let said = unary(&client, SAY, &"x".repeat(10 * MIB)).await.unwrap();
    assert_eq!(said.len(), 10 * MIB);

    let status = unary(&client, SAY, &"x".repeat(10 * MIB + 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    assert_eq!(unary(&client, SAY, "hello").await.unwrap(), "hello", "the connection is well");
    assert_eq!(serving.dialled(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_the_limit_is_refused_by_the_client() {
    let serving = Lab::new(GrpcLimits::new()).serve();
    let client = GrpcLimits::new().message(10).client(serving.client());
    assert_eq!(unary(&client, SAY, "ten bytes.").await.unwrap(), "ten bytes.");
    let status = unary(&client, SAY, "eleven byte").await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
}
