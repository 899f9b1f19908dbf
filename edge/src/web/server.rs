//! Accepts browsers' connections, with or without TLS, and bounds their number and time-outs.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use super::guard::{Peer, is_proxy};
use super::limits::{Counted, Kind, Permit};
use super::tls::Tls;
use super::{App, router};

/// Connections of all addresses, as far as the file limit allows.
const CONNECTIONS_MAX: u64 = 25_000;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Concurrent requests, and unsent bytes of each, of one HTTP/2 connection.
const STREAMS_MAX: u32 = 64;
const SEND_BYTES_MAX: usize = 64 * 1024;

/// The system's send buffer for a slow client.
const SEND_BUFFER_BYTES: u32 = 128 * 1024;

const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long an HTTP/2 connection may be silent; a client that is there answers pings.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

const PING_INTERVAL: Duration = Duration::from_secs(30);

const BACKLOG: u32 = 1024;

const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl Listener {
    pub fn bind(address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
        socket.bind(address)?;
        Ok(Self {
            socket: socket.listen(BACKLOG)?,
            tls: tls.map(Arc::new),
        })
    }

    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.socket.local_addr()?))
    }
}

/// None if there are too many connections, of this address or in all.
fn connected(app: &App, peer: IpAddr) -> Option<Counted> {
    let peer = peer.to_canonical();
    let is_unlimited = peer.is_loopback() || is_proxy(peer, &app.proxies);
    let permit = if is_unlimited {
        None
    } else {
        let now = app.clock.instant();
        Some(Permit::acquire(&app.clients, peer, Kind::Connection, now)?)
    };
    Counted::new(&app.connections, CONNECTIONS_MAX, permit)
}

pub async fn serve(app: Arc<App>, listener: Listener) {
    let renew = async {
        match &listener.tls {
            Some(tls) => tls.renew().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = renew => {}
        () = accept(app, &listener) => {}
    }
}

async fn accept(app: Arc<App>, listener: &Listener) {
    let router = router(Arc::clone(&app));
    loop {
        let (stream, peer) = match listener.socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                // Most likely the file limit is reached; connections that end free some.
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let Some(connected) = connected(&app, peer.ip()) else {
            continue;
        };
        let (router, tls) = (router.clone(), listener.tls.clone());
        tokio::spawn(async move {
            connection(stream, peer.ip(), router, tls).await;
            drop(connected);
        });
    }
}

async fn connection(stream: TcpStream, peer: IpAddr, router: Router, tls: Option<Arc<Tls>>) {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return serve_http1(stream, peer, router).await;
    };
    let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, tls.acceptor().accept(stream)).await else {
        return;
    };
    let protocol = stream.get_ref().1.alpn_protocol();
    if protocol == Some(b"h2") {
        serve_http2(stream, peer, router).await;
    } else if !Tls::is_challenge(protocol) {
        serve_http1(stream, peer, router).await;
    }
}

/// Ends the connection of a client that does not read, or with `read_timeout` one that sends nothing.
fn limited<S>(stream: S, read_timeout: Option<Duration>) -> Pin<Box<TimeoutStream<S>>>
where
    S: AsyncRead + AsyncWrite,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    stream.set_read_timeout(read_timeout);
    Box::pin(stream)
}

/// Errors of a connection are ignored: they concern its client alone.
async fn serve_http1<S>(stream: S, peer: IpAddr, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let service =
        service_fn(move |request: hyper::Request<Incoming>| respond(&router, peer, request));
    let connection = builder.serve_connection(TokioIo::new(limited(stream, None)), service);
    let _ = connection.with_upgrades().await;
}

async fn serve_http2<S>(stream: S, peer: IpAddr, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX as u32)
        .max_send_buf_size(SEND_BYTES_MAX);
    let service =
        service_fn(move |request: hyper::Request<Incoming>| respond(&router, peer, request));
    let connection =
        builder.serve_connection(TokioIo::new(limited(stream, Some(READ_TIMEOUT))), service);
    let _ = connection.await;
}

fn respond(
    router: &Router,
    peer: IpAddr,
    request: hyper::Request<Incoming>,
) -> impl Future<Output = Result<axum::response::Response, std::convert::Infallible>> + use<> {
    let mut request: Request = request.map(axum::body::Body::new);
    request.extensions_mut().insert(Peer(peer));
    router.clone().oneshot(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Options;
    use std::sync::atomic::Ordering;
    use sysmon_clock::Clock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    fn app() -> Arc<App> {
        Arc::new(App::new(Options::default(), Clock::system()))
    }

    fn browser(app: &Arc<App>) -> DuplexStream {
        let (ours, theirs) = duplex(512);
        let router = router(Arc::clone(app));
        tokio::spawn(serve_http1(ours, [127, 0, 0, 1].into(), router));
        theirs
    }

    /// The response until the connection closes, and the seconds that takes.
    async fn end(mut browser: DuplexStream) -> (String, u64) {
        let (start, mut all) = (Instant::now(), Vec::new());
        let _ = browser.read_to_end(&mut all).await;
        let text = String::from_utf8_lossy(&all).into_owned();
        (text, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_and_idle_connections_are_closed() {
        let app = app();
        let silent = browser(&app);
        assert_eq!(end(silent).await, (String::new(), 10));
        let mut slow = browser(&app);
        let drip = async {
            loop {
                if slow.write_all(b"G").await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let start = Instant::now();
        drip.await;
        assert!(start.elapsed() <= HEAD_TIMEOUT + Duration::from_secs(2));
        let mut done = browser(&app);
        done.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let (response, seconds) = end(done).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert_eq!(seconds, HEAD_TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_never_reads_is_dropped_and_others_get_updates() {
        let app = app();
        let publishing = Arc::clone(&app);
        tokio::spawn(async move { publishing.publish_forever().await });
        let watch = async || {
            let mut viewer = browser(&app);
            let head = "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            viewer.write_all(head.as_bytes()).await.unwrap();
            viewer
        };
        let (silent, mut good) = (watch().await, watch().await);
        let count = || app.viewers.load(Ordering::Relaxed);
        let mut some = [0; 512];
        let mut received = 0;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            received += good.read(&mut some).await.unwrap();
            if start.elapsed().as_secs() == 5 {
                assert_eq!(count(), 2);
            }
        }
        assert_eq!(count(), 1, "only the one that reads");
        assert!(received > 60 * 50, "{received} bytes");
        drop(silent);
    }
}
