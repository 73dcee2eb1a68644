//! How a server ends that is told to stop: in order, and at last in any case.

use crate::{
    frames::{self, PING, greet},
    lab::{HOLD, Lab, SAY, WATCH, read, settle, unary},
};
use plimsoll_tower::{GrpcCutOff, GrpcLimits};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::{JoinHandle, yield_now},
    time::{Instant, timeout},
};
use tonic::{
    client::Grpc,
    transport::{Channel, Endpoint, server::TcpIncoming},
};

const SECOND: Duration = Duration::from_secs(1);
/// Nothing here takes long: a test that hangs is to end.
const HUNG: Duration = Duration::from_secs(60);

/// A server on loopback.
struct Real {
    lab: Lab,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<GrpcCutOff>,
}

impl Real {
    async fn serve(drain: Duration) -> Self {
        let lab = Lab::new(GrpcLimits::new().drain_within(drain));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, task) = lab.serve_all(TcpIncoming::from(listener));
        Self { lab, address, stop, task }
    }

    async fn client(&self) -> Grpc<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Grpc::new(endpoint.connect().await.unwrap())
    }

    /// A connection that was accepted.
    async fn connection(&self) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        greet(&mut connection).await;
        // The server's first word.
        connection.read_u8().await.unwrap();
        connection
    }

    async fn entered(&self, path: &str) {
        while self.lab.entered(path) == 0 {
            yield_now().await;
        }
    }

    /// What was cut, and no handler is left.
    async fn stopped(self) -> (usize, usize) {
        drop(self.stop);
        let cut_off = timeout(HUNG, self.task).await.expect("it does not end").unwrap();
        // All that belongs to the server holds this.
        let gone = async {
            while Arc::strong_count(&self.lab.go) > 1 {
                yield_now().await;
            }
        };
        timeout(HUNG, gone).await.expect("a handler goes on");
        (cut_off.connections, cut_off.calls)
    }
}

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn calls_that_end_in_time_are_answered_and_nothing_is_cut() {
    let real = Real::serve(HUNG).await;
    let client = real.client().await;
    assert_eq!(unary(&client, SAY, "hello").await.unwrap(), "hello");
    let go = real.lab.go.clone();
    let call = async {
        let held = unary(&client, HOLD, "held").await;
        drop(client);
        held.unwrap()
    };
    let stop = async {
        real.entered(HOLD).await;
        go.notify_one();
        drop(go);
        real.stopped().await
    };
    assert_eq!(tokio::join!(call, stop), ("held".to_owned(), (0, 0)));
}

#[tokio::test]
async fn a_stream_without_end_is_cut_and_its_client_sees_that() {
    let real = Real::serve(SOON).await;
    let client = real.client().await;
    let mut words = read(&client, WATCH).await;
    assert_eq!(words.message().await.unwrap().as_deref(), Some("word"));
    assert_eq!(real.stopped().await, (1, 1));
    assert!(words.message().await.is_err(), "and takes it for no end");
}

#[tokio::test]
async fn handlers_that_hang_are_dropped_and_their_callers_hear_it() {
    let real = Real::serve(SOON).await;
    let client = real.client().await;
    let calls = async {
        tokio::join!(
            unary(&client, HOLD, "a"),
            unary(&client, HOLD, "b"),
            unary(&client, HOLD, "c")
        )
    };
    let stop = async {
        while real.lab.entered(HOLD) < 3 {
            yield_now().await;
        }
        real.stopped().await
    };
    let ((a, b, c), cut) = tokio::join!(calls, stop);
    assert!(a.is_err() && b.is_err() && c.is_err());
    assert_eq!(cut, (1, 3));
}

#[tokio::test]
async fn clients_that_answer_nothing_are_cut_off_whatever_they_have_said() {
    let real = Real::serve(SOON).await;
    let silent = TcpStream::connect(real.address).await.unwrap();
    let (greeted, mut calling) = (real.connection().await, real.connection().await);
    frames::call(&mut calling, HOLD, b"held").await;
    real.entered(HOLD).await;
    // Accepted in order, the silent one is served, too.
    assert_eq!(real.stopped().await, (3, 1));
    drop((silent, greeted, calling));
}

#[tokio::test]
async fn clients_that_never_stop_talking_and_never_read_are_cut_off_too() {
    let real = Real::serve(SOON).await;
    let mut loud = real.connection().await;
    let talks = async {
        let pings = [[0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]; 64].concat();
        while loud.write_all(&pings).await.is_ok() {}
    };
    let ((), cut) = tokio::join!(talks, real.stopped());
    // h2 may have ended it before, for all the answers that nobody reads.
    assert!(cut.0 <= 1 && cut.1 == 0, "{cut:?}");
}

#[tokio::test]
async fn dropped_it_cuts_what_is_left_all_the_same() {
    let real = Real::serve(SOON).await;
    let mut deaf = real.connection().await;
    let client = real.client().await;
    let mut words = read(&client, WATCH).await;
    assert_eq!(words.message().await.unwrap().as_deref(), Some("word"));
    real.task.abort();
    let ends = async {
        let mut said = Vec::new();
        // In order or with a reset.
        let _ = deaf.read_to_end(&mut said).await;
        words.message().await
    };
    assert!(timeout(HUNG, ends).await.expect("it lives on").is_err());
}

#[tokio::test(start_paused = true)]
async fn calls_have_all_of_the_time_and_no_more() {
    let lab = Lab::new(GrpcLimits::new());
    let mut serving = lab.serve();
    let client = serving.client();
    let mut words = read(&client, WATCH).await;
    words.message().await.unwrap();
    let start = Instant::now();
    drop(serving.stop.take());
    let cut_off = (&mut serving.task).await.unwrap();
    assert_eq!((cut_off.connections, cut_off.calls), (1, 1));
    let took = start.elapsed();
    assert!(took >= 20 * SECOND && took < 21 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_gone_has_no_more_time_than_a_server_that_is_to_stop() {
    let mut serving = Lab::new(GrpcLimits::new().drain_within(5 * SECOND)).serve();
    let mut gone = serving.connect();
    greet(&mut gone).await;
    settle().await;
    let start = Instant::now();
    drop(serving.stop.take());
    assert_eq!((&mut serving.task).await.unwrap().connections, 1);
    assert!(start.elapsed() < 6 * SECOND);
}
