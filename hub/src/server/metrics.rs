//! `/metrics` and `/healthz` for programs on this machine: HTTP, read-only, on loopback.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use sysmon_config::is_loopback_host;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tower_http::limit::RequestBodyLimitLayer;

use super::Hub;
use crate::exposition::{CONTENT_TYPE, Scrape};

/// How long a connection may last. A scrape of a full fleet takes a fraction of it.
const CONNECTION_MAX: Duration = Duration::from_secs(10);

/// Connections at once; others wait. One scraper and one health check need two.
const CONNECTIONS_MAX: usize = 16;

/// Pause after accepting failed, mostly because file descriptors are missing.
const RETRY: Duration = Duration::from_millis(100);

pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

pub(super) async fn serve(hub: &Arc<Hub>, listener: TcpListener) {
    let served = async {
        let listener = Limited {
            listener: tokio::net::TcpListener::from_std(listener)?,
            slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            duration: CONNECTION_MAX,
        };
        axum::serve(listener, router(Arc::clone(hub))).await
    };
    if let Err(error) = served.await {
        tracing::error!(%error, "metrics are no longer served");
    }
    std::future::pending::<()>().await;
}

fn router(hub: Arc<Hub>) -> Router {
    // Each route takes GET and HEAD; other methods get 405.
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "not found: this port serves /metrics and /healthz\n",
            )
        })
        .layer(RequestBodyLimitLayer::new(0))
        .layer(axum::middleware::from_fn(only_for_loopback))
        .layer(axum::middleware::map_response(close))
        .with_state(hub)
}

/// Refuses what a page of another site in a browser on this machine could send (DNS rebinding).
async fn only_for_loopback(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    if host.is_some_and(is_loopback_host) {
        return next.run(request).await;
    }
    let why = "this port is for this machine only: ask for 127.0.0.1 or localhost\n";
    (StatusCode::MISDIRECTED_REQUEST, why).into_response()
}

/// One request a connection: scrapers come every few seconds at most.
async fn close(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

async fn metrics(State(hub): State<Arc<Hub>>) -> Response {
    let figures = hub.figures();
    let scrape = Scrape::of(&hub.core().fleet, figures, hub.uptime_ms(), hub.now());
    // Ten thousand hosts make megabytes: rendered on another thread, so that rows do not wait for it.
    match tokio::task::spawn_blocking(move || scrape.render()).await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn health(State(hub): State<Arc<Hub>>) -> Response {
    match hub.health() {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// A listener with few connections of limited duration.
struct Limited {
    listener: tokio::net::TcpListener,
    slots: Arc<Semaphore>,
    duration: Duration,
}

impl Listener for Limited {
    type Io = Brief;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Brief, SocketAddr) {
        loop {
            // The semaphore is never closed.
            let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let connection = Brief {
                        stream,
                        end: Box::pin(sleep(self.duration)),
                        slot,
                    };
                    return (connection, address);
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection for metrics");
                    sleep(RETRY).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that fails after a fixed time, whatever it does then.
struct Brief {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    #[expect(dead_code, reason = "held for as long as the connection")]
    slot: Option<OwnedSemaphorePermit>,
}

impl Brief {
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
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Brief {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_idle_connection_ends_and_frees_its_slot() {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let mut listener = Limited {
            listener: tokio::net::TcpListener::from_std(socket).unwrap(),
            slots: Arc::new(Semaphore::new(1)),
            duration: Duration::from_millis(20),
        };
        let _silent = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = listener.accept().await;
        let mut bytes = [0];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = std::future::poll_fn(|context| {
            Pin::new(&mut connection).poll_read(context, &mut buffer)
        });
        let error = read.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(listener.slots.available_permits(), 0);
        drop(connection);
        assert_eq!(listener.slots.available_permits(), 1);
    }
}
