//! Connections for metrics: few at a time, of limited duration, with TLS outside this machine.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::serve::Listener;
use rustls::ServerConfig;
use sysmon_certs::{CertError, Identity, https_config_of};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{Sleep, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::lock;

/// How long a connection may last. A scrape of a full fleet takes a fraction of it.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// Connections at once; others wait. One scraper and one health check need two.
const CONNECTIONS_MAX: usize = 16;

/// Pause after accepting failed, mostly because file descriptors are missing.
const RETRY: Duration = Duration::from_millis(100);

/// The certificate that clients see.
#[derive(Debug)]
pub(super) enum Tls {
    /// The hub's own, which it renews.
    Hub(watch::Receiver<Identity>),
    /// In files that another program renews.
    Files(Files),
}

#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    loaded: Mutex<(Arc<ServerConfig>, [Option<SystemTime>; 2])>,
}

impl Files {
    pub(super) fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, CertError> {
        let config = Arc::new(https_config_of(&certificate, &key)?);
        let modified = [&certificate, &key].map(modified);
        Ok(Self {
            certificate,
            key,
            loaded: Mutex::new((config, modified)),
        })
    }

    /// The present configuration; read again if a file was modified.
    fn config(&self) -> Arc<ServerConfig> {
        let mut loaded = lock(&self.loaded);
        let modified = [&self.certificate, &self.key].map(modified);
        if loaded.1 != modified {
            // Files that cannot be used are not tried again until they change.
            loaded.1 = modified;
            match https_config_of(&self.certificate, &self.key) {
                Ok(config) => loaded.0 = Arc::new(config),
                Err(error) => {
                    tracing::error!(%error, "cannot reload the certificate of metrics; the previous one stays in use");
                }
            }
        }
        Arc::clone(&loaded.0)
    }
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|file| file.modified())
        .ok()
}

impl Tls {
    fn acceptor(&self) -> Result<TlsAcceptor, CertError> {
        let config = match self {
            Self::Hub(identity) => Arc::new(identity.borrow().https_config()?),
            Self::Files(files) => files.config(),
        };
        Ok(TlsAcceptor::from(config))
    }
}

/// Accepts connections until it is dropped.
pub(super) async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<Tls>,
    accepted: mpsc::Sender<(Brief, SocketAddr)>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let slot = Arc::clone(&slots).acquire_owned().await.ok();
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for metrics");
                sleep(RETRY).await;
                continue;
            }
        };
        let brief = Brief::new(Stream::Plain(stream), CONNECTION_MAX, slot);
        let acceptor = match tls.as_ref().map(Tls::acceptor).transpose() {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(%error, "cannot serve metrics with TLS");
                continue;
            }
        };
        let accepted = accepted.clone();
        tokio::spawn(async move {
            if let Some(brief) = brief.with_tls(acceptor).await {
                // Fails only if the hub has stopped serving metrics.
                let _ = accepted.send((brief, address)).await;
            }
        });
    }
}

/// The connections that are accepted, for the HTTP server.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) connections: mpsc::Receiver<(Brief, SocketAddr)>,
    pub(super) address: SocketAddr,
}

impl Listener for Accepted {
    type Io = Brief;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Brief, SocketAddr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that fails after a fixed time, whatever it does then.
#[derive(Debug)]
pub(super) struct Brief {
    stream: Stream,
    end: Pin<Box<Sleep>>,
    #[expect(dead_code, reason = "held for as long as the connection")]
    slot: Option<OwnedSemaphorePermit>,
}

impl Brief {
    fn new(stream: Stream, duration: Duration, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            stream,
            end: Box::pin(sleep(duration)),
            slot,
        }
    }

    /// After the handshake, where there is one; none if that fails or takes too long.
    async fn with_tls(mut self, acceptor: Option<TlsAcceptor>) -> Option<Self> {
        let Some(acceptor) = acceptor else {
            return Some(self);
        };
        let Stream::Plain(stream) = self.stream else {
            return None;
        };
        let stream = tokio::select! {
            stream = acceptor.accept(stream) => stream.ok()?,
            () = &mut self.end => return None,
        };
        self.stream = Stream::Tls(Box::new(stream));
        Some(self)
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Brief {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(context)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Brief {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_idle_connection_ends_and_frees_its_slot() {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slots = Arc::new(Semaphore::new(1));
        let _silent = TcpStream::connect(socket.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = socket.accept().await.unwrap();
        let slot = Arc::clone(&slots).acquire_owned().await.ok();
        let mut connection = Brief::new(Stream::Plain(stream), Duration::from_millis(20), slot);
        let mut bytes = [0];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = std::future::poll_fn(|context| {
            Pin::new(&mut connection).poll_read(context, &mut buffer)
        });
        let error = read.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(slots.available_permits(), 0);
        drop(connection);
        assert_eq!(slots.available_permits(), 1);
    }
}
