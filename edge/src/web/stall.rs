//! A connection whose other end has to take what it is sent, and to say something at first.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long the other end may take nothing of what is there for it.
const STALL_MAX: Duration = Duration::from_secs(20);

/// How long it may say nothing at the beginning.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// A connection that ends when the other end does not take what it is sent.
#[derive(Debug)]
pub(super) struct Impatient<S> {
    stream: S,
    /// Until when it has to take something; looked at while it does not.
    stalled: Pin<Box<Sleep>>,
    is_stalled: bool,
    /// Until when it has to say something; none once it has.
    silent: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            stalled: Box::pin(sleep(STALL_MAX)),
            is_stalled: false,
            silent: Some(Box::pin(sleep(SILENCE_MAX))),
        }
    }

    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.is_stalled = false;
            return result;
        }
        if !self.is_stalled {
            self.is_stalled = true;
            self.stalled.as_mut().reset(Instant::now() + STALL_MAX);
        }
        ready!(self.stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(silent) = &mut self.silent else {
            return read;
        };
        if read.is_ready() {
            self.silent = None;
            return read;
        }
        ready!(silent.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_or_says_nothing_is_left() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = Impatient::new(ours);
        let start = Instant::now();
        assert!(ours.write_all(&[0; 64]).await.is_ok());
        let error = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_secs(), STALL_MAX.as_secs());
        // Who takes it after all goes on.
        theirs.read_exact(&mut [0; 64]).await.unwrap();
        assert!(ours.write_all(&[0; 64]).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_at_the_beginning_only() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = Impatient::new(ours);
        theirs.write_u8(1).await.unwrap();
        ours.read_u8().await.unwrap();
        let long = tokio::time::timeout(SILENCE_MAX * 2, ours.read_u8()).await;
        assert!(long.is_err(), "it is waited for");
        let (ours, _theirs) = duplex(64);
        let silent = Impatient::new(ours).read_u8().await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
    }
}
