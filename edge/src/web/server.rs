//! Connections of browsers: how many there may be, how long they may take, and with or without TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use tower::ServiceExt;

use super::guard::Peer;
use super::limits::{Held, Kind};
use super::stall::Impatient;
use super::tls::Tls;
use super::{App, router};

/// Connections at once, if the system gives as many files.
const CONNECTIONS_MAX: u64 = 25_000;

/// How long a TLS handshake, and the head of a request, may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const HEAD_MAX: Duration = Duration::from_secs(10);

/// Bytes and number of the headers of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;

/// Requests at once of one connection, and bytes that wait in it.
const STREAMS_MAX: u32 = 64;
const SEND_BYTES_MAX: usize = 64 * 1024;

/// Bytes the system keeps for one who reads slowly.
const SOCKET_BYTES: u32 = 128 * 1024;

/// How often a silent HTTP/2 connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Connections that wait to be taken.
const BACKLOG: u32 = 1024;

/// Where browsers come in.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl Listener {
    /// Opens it; without TLS if there is none.
    pub fn bind(address: SocketAddr, tls: Option<Tls>) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.set_send_buffer_size(SOCKET_BYTES)?;
        socket.bind(address)?;
        Ok(Self {
            socket: socket.listen(BACKLOG)?,
            tls: tls.map(Arc::new),
        })
    }

    /// Its address, as browsers write it.
    pub fn url(&self) -> io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.socket.local_addr()?))
    }
}

/// A connection, counted while it is there.
struct Connected {
    all: Arc<AtomicU64>,
    _address: Option<Held>,
}

impl Connected {
    fn new(app: &App, peer: IpAddr) -> Option<Self> {
        let peer = peer.to_canonical();
        let is_free = peer.is_loopback() || app.proxies.contains(&peer);
        let address = if is_free {
            None
        } else {
            let now = Instant::now();
            Some(Held::new(&app.addresses, peer, Kind::Connection, now)?)
        };
        let all = Arc::clone(&app.connections);
        let before = all.fetch_add(1, Ordering::Relaxed);
        let connected = Self {
            all,
            _address: address,
        };
        (before < CONNECTIONS_MAX).then_some(connected)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves whoever comes, for ever.
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
                tracing::warn!("nobody can connect: {error}");
                // Most likely there are no files left: some will be given back.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(connected) = Connected::new(&app, peer.ip()) else {
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
    let Ok(Ok(stream)) = timeout(HANDSHAKE_MAX, tls.acceptor().accept(stream)).await else {
        return;
    };
    let protocol = stream.get_ref().1.alpn_protocol();
    if protocol == Some(b"h2") {
        serve_http2(stream, peer, router).await;
    } else if !Tls::is_challenge(protocol) {
        serve_http1(stream, peer, router).await;
    }
}

/// A connection that fails is of no interest but to the one at its other end.
async fn serve_http1<S>(stream: S, peer: IpAddr, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX);
    let answer =
        service_fn(move |request: hyper::Request<Incoming>| answer(&router, peer, request));
    let connection = builder.serve_connection(TokioIo::new(Impatient::new(stream)), answer);
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
    let answer =
        service_fn(move |request: hyper::Request<Incoming>| answer(&router, peer, request));
    let connection = builder.serve_connection(TokioIo::new(Impatient::new(stream)), answer);
    let _ = connection.await;
}

fn answer(
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    fn browser(app: &Arc<App>) -> DuplexStream {
        let (ours, theirs) = duplex(512);
        let router = router(Arc::clone(app));
        tokio::spawn(serve_http1(ours, [127, 0, 0, 1].into(), router));
        theirs
    }

    /// What comes until the end, and after how many seconds that is.
    async fn end(mut browser: DuplexStream) -> (String, u64) {
        let (start, mut all) = (Instant::now(), Vec::new());
        let _ = browser.read_to_end(&mut all).await;
        let text = String::from_utf8_lossy(&all).into_owned();
        (text, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn slow_heads_end_and_so_do_those_who_say_nothing_more() {
        let app = Arc::new(App::new(Options::default()));
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
        assert!(start.elapsed() <= HEAD_MAX + Duration::from_secs(2));
        let mut done = browser(&app);
        done.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let (answer, seconds) = end(done).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(seconds, HEAD_MAX.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_never_reads_is_left_and_the_others_are_told() {
        let app = Arc::new(App::new(Options::default()));
        let ticking = Arc::clone(&app);
        tokio::spawn(async move { ticking.tick().await });
        let watch = async || {
            let mut viewer = browser(&app);
            let head = "GET /api/v1/live HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            viewer.write_all(head.as_bytes()).await.unwrap();
            viewer
        };
        let (deaf, mut good) = (watch().await, watch().await);
        let count = || app.viewers.load(Ordering::Relaxed);
        let mut some = [0; 512];
        let mut told = 0;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            told += good.read(&mut some).await.unwrap();
            if start.elapsed().as_secs() == 5 {
                assert_eq!(count(), 2);
            }
        }
        assert_eq!(count(), 1, "only the one that reads is left");
        assert!(told > 60 * 50, "{told} bytes");
        drop(deaf);
    }
}
