//! OTLP from Collectors and SDKs, over gRPC and HTTP: connections, and what their senders may do.
//!
//! Off loopback a sender presents a certificate of the hub's authority. On loopback it may do without.

mod apply;
mod grpc;
mod http;
mod peer;
mod receive;
mod senders;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use sysmon_certs::{CertError, Identity};
use sysmon_config::is_loopback_host;
use sysmon_link::Slots;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::Hub;
use peer::Peer;
use senders::Senders;

/// Connections at once: a Collector has a few, an SDK one or none.
const CONNECTIONS_MAX: usize = 2_048;

/// Connections at once of peers that have not shown a certificate yet, so that they do not keep others out.
const HANDSHAKES_MAX: usize = 128;

/// Connections at once of one sender.
const CONNECTIONS_PER_SENDER_MAX: usize = 32;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection may be silent: exporters send every minute, and gRPC's keep-alive answers pings.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
const PING_INTERVAL: Duration = Duration::from_secs(60);

/// Concurrent requests of one HTTP/2 connection.
const STREAMS_MAX: u32 = 32;
const HEAD_BYTES_MAX: u32 = 16 * 1024;

/// Messages that are received at once, of all senders.
const RECEIVING_MAX: usize = 32;

/// Messages that are decoded at once: a large one takes a tenth of a second of a processor.
const DECODING_MAX: usize = 2;

/// Pause after accepting failed, mostly because file descriptors are missing.
const RETRY: Duration = Duration::from_millis(100);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Otlp {
    senders: Senders,
    receiving: Arc<Semaphore>,
    decoding: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    per_sender: Arc<Slots<String>>,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            senders: Senders::default(),
            receiving: Arc::new(Semaphore::new(RECEIVING_MAX)),
            decoding: Arc::new(Semaphore::new(DECODING_MAX)),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            per_sender: Slots::new(CONNECTIONS_PER_SENDER_MAX),
        }
    }
}

impl Otlp {
    /// Points received since the start, and those among them that were rejected.
    pub(super) fn points(&self) -> (u64, u64) {
        self.senders.points()
    }
}

/// Which of the two protocols a port serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

#[derive(Debug)]
pub(super) struct OtlpListener {
    socket: TcpListener,
    protocol: Protocol,
    is_loopback: bool,
}

impl OtlpListener {
    pub(super) fn bind(address: SocketAddr, protocol: Protocol) -> io::Result<Self> {
        let socket = TcpListener::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            protocol,
            is_loopback: address.ip().is_loopback(),
        })
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }
}

/// Serves all ports until the hub ends.
pub(super) async fn serve_all(
    hub: &Arc<Hub>,
    listeners: Vec<OtlpListener>,
    identity: watch::Receiver<Identity>,
) {
    for listener in listeners {
        let (hub, identity) = (Arc::clone(hub), identity.clone());
        tokio::spawn(async move { serve(&hub, listener, identity).await });
    }
    std::future::pending::<()>().await;
}

async fn serve(hub: &Arc<Hub>, listener: OtlpListener, identity: watch::Receiver<Identity>) {
    let OtlpListener {
        socket,
        protocol,
        is_loopback,
    } = listener;
    let router = match protocol {
        Protocol::Grpc => grpc::router(Arc::clone(hub)),
        Protocol::Http => http::router(Arc::clone(hub)),
    };
    let router = router.layer(axum::middleware::from_fn(only_for_loopback));
    let served = async {
        let socket = tokio::net::TcpListener::from_std(socket)?;
        accept(hub, &socket, &router, (protocol, is_loopback), identity).await;
        Ok::<_, io::Error>(())
    };
    if let Err(error) = served.await {
        tracing::error!(%error, "OTLP is no longer received");
    }
}

/// Refuses what a page in a browser on this machine could send to a port that needs no certificate.
async fn only_for_loopback(request: Request, next: Next) -> Response {
    let is_local = request
        .extensions()
        .get::<Peer>()
        .is_none_or(Peer::is_local);
    let headers = request.headers();
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(Authority::as_str));
    let is_foreign = !host.is_some_and(is_loopback_host) || headers.contains_key(header::ORIGIN);
    if is_local && is_foreign {
        let why = "this port is for programs on this machine: send to 127.0.0.1 or localhost, not from a browser";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

async fn accept(
    hub: &Arc<Hub>,
    socket: &tokio::net::TcpListener,
    router: &Router,
    (protocol, is_loopback): (Protocol, bool),
    identity: watch::Receiver<Identity>,
) {
    loop {
        // The semaphores are never closed.
        let connection = Arc::clone(&hub.otlp.connections).acquire_owned().await;
        let handshake = Arc::clone(&hub.otlp.handshakes).acquire_owned().await;
        let (stream, address) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for OTLP");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let (hub, router, identity) = (Arc::clone(hub), router.clone(), identity.clone());
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let arrived = arrive(&hub, stream, address, (protocol, is_loopback), &identity).await;
            drop(handshake);
            if let Some(arrived) = arrived {
                arrived.serve(&hub, router).await;
            }
            drop(connection);
        });
    }
}

/// A connection whose sender is known.
enum Arrived {
    Plain(TcpStream, Peer),
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>, Peer),
}

/// Finds out who connects; none if that fails, which is logged.
async fn arrive(
    hub: &Hub,
    stream: TcpStream,
    address: SocketAddr,
    (protocol, is_loopback): (Protocol, bool),
    identity: &watch::Receiver<Identity>,
) -> Option<Arrived> {
    let shake = async {
        if is_loopback && !is_tls(&stream).await? {
            return Ok(Arrived::Plain(stream, Peer::local()));
        }
        let acceptor = acceptor(identity, protocol).map_err(io::Error::other)?;
        let stream = acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let shown = shown.and_then(|chain| chain.first());
        let certificate = shown.ok_or_else(|| io::Error::other("no certificate was shown"))?;
        let peer = Peer::of_certificate(certificate).map_err(io::Error::other)?;
        Ok::<_, io::Error>(Arrived::Tls(Box::new(stream), peer))
    };
    let refused = match timeout(HANDSHAKE_TIMEOUT, shake).await {
        Ok(Ok(arrived)) => return Some(arrived),
        Ok(Err(error)) => format!("OTLP: {error}"),
        Err(_) => "OTLP: the handshake took too long".to_owned(),
    };
    hub.audit_refusal(None, Some(address), &refused);
    None
}

/// Whether the connection begins with a handshake of TLS; HTTP begins with a letter.
async fn is_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    stream.peek(&mut first).await?;
    Ok(first == [0x16])
}

fn acceptor(
    identity: &watch::Receiver<Identity>,
    protocol: Protocol,
) -> Result<TlsAcceptor, CertError> {
    let alpn: &[&[u8]] = match protocol {
        Protocol::Grpc => &[b"h2"],
        Protocol::Http => &[b"h2", b"http/1.1"],
    };
    let config = identity.borrow().server_config(alpn, false)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Arrived {
    async fn serve(self, hub: &Hub, router: Router) {
        let (Self::Plain(_, peer) | Self::Tls(_, peer)) = &self;
        let sender = peer.label().to_string();
        let Some(_slot) = hub.otlp.per_sender.acquire(sender.clone()) else {
            tracing::warn!(%sender, "OTLP connection refused: {CONNECTIONS_PER_SENDER_MAX} are open");
            hub.count_refusal();
            return;
        };
        tracing::debug!(%sender, "OTLP sender connected");
        match self {
            Self::Plain(stream, peer) => serve_http(stream, peer, router).await,
            Self::Tls(stream, peer) => serve_http(*stream, peer, router).await,
        }
    }
}

/// Errors of a connection are ignored: they concern its sender alone, which sends again.
async fn serve_http<S>(stream: S, peer: Peer, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    stream.set_read_timeout(Some(READ_TIMEOUT));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEAD_BYTES_MAX);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    });
    let stream = TokioIo::new(Box::pin(stream));
    let _ = builder.serve_connection(stream, service).await;
}
