//! A connection with time-outs for slow clients: each write has to progress, and the first bytes have to arrive.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a write may make no progress.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long until the client's first bytes.
const FIRST_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Fails with [`io::ErrorKind::TimedOut`] when the client neither reads nor writes in time.
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    /// Runs only while a write is blocked.
    write_deadline: Pin<Box<Sleep>>,
    is_blocked: bool,
    /// None once the client has sent something.
    first_read_deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            write_deadline: Box::pin(sleep(WRITE_TIMEOUT)),
            is_blocked: false,
            first_read_deadline: Some(Box::pin(sleep(FIRST_READ_TIMEOUT))),
        }
    }

    fn limit_write<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.is_blocked = false;
            return result;
        }
        if !self.is_blocked {
            self.is_blocked = true;
            let deadline = Instant::now() + WRITE_TIMEOUT;
            self.write_deadline.as_mut().reset(deadline);
        }
        ready!(self.write_deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(deadline) = &mut self.first_read_deadline else {
            return read;
        };
        if read.is_ready() {
            self.first_read_deadline = None;
            return read;
        }
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit_write(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.limit_write(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.limit_write(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        self.limit_write(context, closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_write_that_makes_no_progress_times_out() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = TimedStream::new(ours);
        let start = Instant::now();
        assert!(ours.write_all(&[0; 64]).await.is_ok());
        let error = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
        // A client that reads again is served again.
        theirs.read_exact(&mut [0; 64]).await.unwrap();
        assert!(ours.write_all(&[0; 64]).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_read_times_out() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = TimedStream::new(ours);
        theirs.write_u8(1).await.unwrap();
        ours.read_u8().await.unwrap();
        let long = tokio::time::timeout(FIRST_READ_TIMEOUT * 2, ours.read_u8()).await;
        assert!(long.is_err(), "a later read waits");
        let (ours, _theirs) = duplex(64);
        let silent = TimedStream::new(ours).read_u8().await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    }
}
