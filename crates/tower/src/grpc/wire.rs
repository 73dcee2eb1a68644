//! A connection that can be cut, and says when it is gone.

use futures_core::Stream;
use std::{
    convert::Infallible,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::oneshot,
};
use tonic::transport::server::Connected;

/// A connection, for the server.
pub(super) struct Wire<IO> {
    io: IO,
    /// None when nobody will cut it any more.
    cut: Option<oneshot::Receiver<Cut>>,
    /// Dropped with the connection.
    _gone: oneshot::Sender<Infallible>,
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
    pub(super) fn new(io: IO) -> (Self, Ends) {
        let (cut, to_cut) = oneshot::channel();
        let (is_gone, gone) = oneshot::channel();
        (Self { io, cut: Some(to_cut), _gone: is_gone }, Ends { cut, gone })
    }

    /// What the connection says, or that it was cut while it had nothing to say:
    /// it is asked both ways, as one that is dead may be stuck in either.
    fn or_cut<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let (Poll::Pending, Some(cut)) = (&polled, &mut self.cut) else { return polled };
        match Pin::new(cut).poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(Cut)) => {
                self.cut = None;
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(Err(_)) => {
                self.cut = None;
                Poll::Pending
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        self.or_cut(polled, cx)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.or_cut(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.or_cut(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.or_cut(polled, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_shutdown(cx);
        self.or_cut(polled, cx)
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
    use std::task::Waker;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn it_is_cut_in_the_midst_of_reading_and_of_writing() {
        for writing in [false, true] {
            let (ours, _theirs) = duplex(1);
            let (mut wire, ends) = Wire::new(ours);
            let stuck = async {
                if writing { wire.write_all(b"xx").await } else { wire.read_u8().await.map(drop) }
            };
            let cut = async { drop(ends.cut.send(Cut)) };
            let (result, ()) = tokio::join!(stuck, cut);
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut, "writing: {writing}");
        }
    }

    #[tokio::test]
    async fn what_has_something_to_say_is_heard_and_a_knife_laid_down_cuts_nothing() {
        let (ours, mut theirs) = duplex(1);
        let (mut wire, ends) = Wire::new(ours);
        theirs.write_u8(7).await.unwrap();
        drop(ends.cut);
        assert_eq!(wire.read_u8().await.unwrap(), 7);
        let mut cx = Context::from_waker(Waker::noop());
        let mut byte = [0];
        for _ in 0..2 {
            let mut buf = ReadBuf::new(&mut byte);
            assert!(Pin::new(&mut wire).poll_read(&mut cx, &mut buf).is_pending());
        }
    }
}
