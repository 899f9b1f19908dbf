//! `/metrics` and `/healthz`: HTTP, read-only. On loopback for this machine; elsewhere with TLS and a bearer token.

mod listener;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sysmon_certs::{BearerToken, CertError, Identity};
use sysmon_config::is_loopback_host;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tower_http::limit::RequestBodyLimitLayer;

use super::Hub;
use crate::exposition::{CONTENT_TYPE, Scrape};
use listener::{Accepted, Files, Tls};

/// Where metrics are served, and to whom.
#[derive(Clone, Debug)]
pub struct MetricsOptions {
    pub address: SocketAddr,
    /// What clients have to send; needed where the address is not on loopback.
    pub token: Option<BearerToken>,
    /// Files with certificate and key; without them the hub's own certificate is used.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

#[derive(Debug, Error)]
pub enum MetricsError {
    #[error("cannot listen on {address} for metrics: {source}; choose another [hub] metrics")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(
        "{0} is not on loopback: set [hub] metrics_token to a file with a bearer token, or serve metrics on 127.0.0.1"
    )]
    NoToken(SocketAddr),
    #[error("cannot serve metrics with TLS: {0}")]
    Certificate(#[from] CertError),
}

/// A socket for metrics.
#[derive(Debug)]
pub(super) struct Bound {
    socket: TcpListener,
    address: SocketAddr,
    token: Option<BearerToken>,
    files: Option<Files>,
}

impl Bound {
    pub(super) fn bind(options: MetricsOptions) -> Result<Self, MetricsError> {
        let address = options.address;
        if !address.ip().is_loopback() && options.token.is_none() {
            return Err(MetricsError::NoToken(address));
        }
        let files = options.certificate;
        let files = files.map(|(certificate, key)| Files::read(certificate, key));
        let open = || {
            let socket = TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        let opened = open().map_err(|source| MetricsError::Listen { address, source });
        let (socket, address) = opened?;
        Ok(Self {
            socket,
            address,
            token: options.token,
            files: files.transpose()?,
        })
    }

    fn has_tls(&self) -> bool {
        !self.address.ip().is_loopback() || self.files.is_some()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.has_tls() { "https" } else { "http" };
        format!("{scheme}://{}/metrics", self.address)
    }

    pub(super) async fn serve(self, hub: &Arc<Hub>, identity: watch::Receiver<Identity>) {
        let (has_tls, address) = (self.has_tls(), self.address);
        let tls = has_tls.then(|| self.files.map_or(Tls::Hub(identity), Tls::Files));
        let router = router(Arc::clone(hub), self.token, address.ip().is_loopback());
        let served = async {
            let socket = tokio::net::TcpListener::from_std(self.socket)?;
            let (sender, connections) = mpsc::channel(1);
            let accepted = Accepted {
                connections,
                address,
            };
            tokio::select! {
                () = listener::accept(socket, tls, sender) => Ok(()),
                served = axum::serve(accepted, router).into_future() => served,
            }
        };
        if let Err(error) = served.await {
            tracing::error!(%error, "metrics are no longer served");
        }
        std::future::pending::<()>().await;
    }
}

fn router(hub: Arc<Hub>, token: Option<BearerToken>, is_local: bool) -> Router {
    let access = Access {
        hub: Arc::clone(&hub),
        token,
        is_local,
    };
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
        .layer(axum::middleware::from_fn_with_state(
            Arc::new(access),
            admit,
        ))
        .layer(axum::middleware::map_response(close))
        .with_state(hub)
}

struct Access {
    hub: Arc<Hub>,
    token: Option<BearerToken>,
    is_local: bool,
}

/// Refuses those without the token; and on loopback what a page of another site in a browser on this machine could send
/// (DNS rebinding).
async fn admit(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    match access.refuse(request.headers()) {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

impl Access {
    fn refuse(&self, headers: &HeaderMap) -> Option<Response> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if self.is_local && !text(header::HOST).is_some_and(is_loopback_host) {
            let why = "this port is for this machine only: ask for 127.0.0.1 or localhost\n";
            return Some((StatusCode::MISDIRECTED_REQUEST, why).into_response());
        }
        let token = self.token.as_ref()?;
        let sent = text(header::AUTHORIZATION);
        if sent.is_some_and(|sent| token.is_in(sent)) {
            return None;
        }
        let reason = match sent {
            Some(_) => "a wrong token for metrics",
            None => "no token for metrics",
        };
        self.hub.audit_refusal(None, None, reason);
        let scheme = [(header::WWW_AUTHENTICATE, "Bearer")];
        let why = "send the token of [hub] metrics_token: Authorization: Bearer TOKEN\n";
        Some((StatusCode::UNAUTHORIZED, scheme, why).into_response())
    }
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
