//! A connection that can be cut, and says when it is gone.

use futures_core::Stream;
use std::{
    convert::Infallible,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
    time::{Sleep, sleep},
};
use tonic::transport::server::Connected;

/// A connection, for the server.
pub(super) struct Wire<IO> {
    io: IO,
    knife: Knife,
    /// How long it lives when nobody is there any more to cut it.
    left: Duration,
    /// Dropped with the connection.
    _gone: oneshot::Sender<Infallible>,
}

enum Knife {
    /// With whoever holds the [`Ends`].
    Held(oneshot::Receiver<Cut>),
    /// They are gone: it falls by itself.
    Falling(Pin<Box<Sleep>>),
    Fallen,
}

impl Knife {
    /// Waits until it has fallen.
    fn poll(&mut self, left: Duration, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            *self = match self {
                Self::Held(cut) => match ready!(Pin::new(cut).poll(cx)) {
                    Ok(Cut) => Self::Fallen,
                    Err(_) => Self::Falling(Box::pin(sleep(left))),
                },
                Self::Falling(time) => {
                    ready!(time.as_mut().poll(cx));
                    Self::Fallen
                }
                Self::Fallen => return Poll::Ready(()),
            }
        }
    }
}

/// The word to cut a connection.
pub(super) struct Cut;

/// The other end of a [`Wire`].
pub(super) struct Ends {
    pub(super) cut: oneshot::Sender<Cut>,
    /// Ready when the connection is gone.
    pub(super) gone: oneshot::Receiver<Infallible>,
}

impl<IO> Wire<IO> {
    /// Cut `left` after its ends are dropped, if it still is there.
    pub(super) fn new(io: IO, left: Duration) -> (Self, Ends) {
        let (cut, to_cut) = oneshot::channel();
        let (is_gone, gone) = oneshot::channel();
        (Self { io, knife: Knife::Held(to_cut), left, _gone: is_gone }, Ends { cut, gone })
    }

    /// What the connection says, unless it was cut. It is asked both ways, as one that
    /// is dead may be stuck in either; and the knife before the connection, which a
    /// client that never stops sending keeps ready.
    fn unless_cut<T>(
        &mut self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(Pin<&mut IO>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>>
    where
        IO: Unpin,
    {
        if self.knife.poll(self.left, cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ask(Pin::new(&mut self.io), cx)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_cut(cx, |io, cx| io.poll_read(cx, buf))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut(cx, |io, cx| io.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unless_cut(cx, |io, cx| io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_cut(cx, |io, cx| io.poll_shutdown(cx))
    }
}

/// Handlers see what they would without it: addresses, certificates.
impl<IO: Connected> Connected for Wire<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> IO::ConnectInfo {
        self.io.connect_info()
    }
}

/// One connection, and no end: at the end a server would close it.
pub(super) struct Lone<IO>(pub(super) Option<IO>);

impl<IO: Unpin> Stream for Lone<IO> {
    type Item = io::Result<IO>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.take().map_or(Poll::Pending, |io| Poll::Ready(Some(Ok(io))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, copy, duplex, join, repeat, sink},
        time::Instant,
    };

    #[tokio::test]
    async fn it_is_cut_in_the_midst_of_reading_and_of_writing() {
        for writing in [false, true] {
            let (ours, _theirs) = duplex(1);
            let (mut wire, ends) = Wire::new(ours, Duration::MAX);
            let stuck = async {
                if writing { wire.write_all(b"xx").await } else { wire.read_u8().await.map(drop) }
            };
            let cut = async { drop(ends.cut.send(Cut)) };
            let (result, ()) = tokio::join!(stuck, cut);
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut, "writing: {writing}");
            let still = wire.read_u8().await.unwrap_err().kind();
            assert_eq!(still, io::ErrorKind::TimedOut, "what is cut stays cut");
        }
    }

    #[tokio::test]
    async fn who_never_stops_sending_or_reading_is_cut_all_the_same() {
        let wire = || {
            let (wire, ends) = Wire::new(join(repeat(0), sink()), Duration::MAX);
            let _ = ends.cut.send(Cut);
            wire
        };
        let sends = copy(&mut wire(), &mut sink()).await;
        let reads = copy(&mut repeat(0), &mut wire()).await;
        for cut in [sends, reads] {
            assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_something_to_say_is_heard_and_what_nobody_holds_is_cut_in_its_time() {
        let (ours, mut theirs) = duplex(1);
        let (mut wire, ends) = Wire::new(ours, Duration::from_secs(7));
        let start = Instant::now();
        theirs.write_u8(7).await.unwrap();
        drop(ends);
        assert_eq!(wire.read_u8().await.unwrap(), 7);
        assert_eq!(wire.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), 7);
    }
}
