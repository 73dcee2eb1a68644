//! Enough of HTTP/2 to hear what a server says to every client (RFC 9113, 4.1).

use std::io;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

pub(crate) const DATA: u8 = 0;
const HEADERS: u8 = 1;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
}

/// Says hello, without any settings.
pub(crate) async fn greet(connection: &mut (impl AsyncWrite + Unpin)) {
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    write(connection, SETTINGS, 0, &[]).await;
}

/// A frame about the whole connection.
pub(crate) async fn write(
    connection: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    flags: u8,
    payload: &[u8],
) {
    write_on(connection, 0, kind, flags, payload).await;
}

async fn write_on(
    to: &mut (impl AsyncWrite + Unpin),
    stream: u8,
    kind: u8,
    flags: u8,
    payload: &[u8],
) {
    let length = u8::try_from(payload.len()).unwrap();
    let head = [0, 0, length, kind, flags, 0, 0, 0, stream];
    to.write_all(&[&head, payload].concat()).await.unwrap();
}

/// A call with one message, on the first stream.
pub(crate) async fn call(to: &mut (impl AsyncWrite + Unpin), path: &str, message: &[u8]) {
    let mut block = Vec::new();
    let headers = [(":method", "POST"), (":scheme", "http"), (":path", path)];
    for (name, value) in headers.into_iter().chain([("content-type", "application/grpc")]) {
        block.push(0); // a literal that is not kept (RFC 7541, 6.2.2)
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    write_on(to, 1, HEADERS, END_HEADERS, &block).await;
    let head = [0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    write_on(to, 1, DATA, END_STREAM, &[&head, message].concat()).await;
}

/// The next frame; `None` at the end of the connection.
pub(crate) async fn next(connection: &mut DuplexStream) -> Option<Frame> {
    let mut head = [0; 9];
    match connection.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return None,
        Err(error) => panic!("{error}"),
    }
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    connection.read_exact(&mut payload).await.unwrap();
    Some(Frame { kind: head[3], flags: head[4], payload })
}

/// The next frame of this kind that is no answer; others are let pass.
pub(crate) async fn until(connection: &mut DuplexStream, kind: u8) -> Option<Frame> {
    loop {
        let frame = next(connection).await?;
        if frame.kind == kind && frame.flags & ACK == 0 {
            return Some(frame);
        }
    }
}

/// The next frame of this kind, pings answered on the way.
pub(crate) async fn next_of(connection: &mut DuplexStream, kind: u8) -> Option<Frame> {
    loop {
        let frame = next(connection).await?;
        if frame.kind == kind && frame.flags & ACK == 0 {
            return Some(frame);
        }
        if frame.kind == PING && frame.flags & ACK == 0 {
            write(connection, PING, ACK, &frame.payload).await;
        }
    }
}

/// The 32 bits at `at`.
pub(crate) fn number(payload: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(payload[at..at + 4].try_into().unwrap())
}
