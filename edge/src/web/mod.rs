//! The public HTTP side: pages, the API and live updates. Read-only.

mod access;
mod api;
mod assets;
mod attempts;
mod badge;
mod chart;
mod exposure;
mod guard;
mod limits;
mod live;
mod logins;
mod network;
mod page;
mod prometheus;
mod response;
mod server;
mod services;
mod text;
mod tls;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use ipnet::IpNet;
use sysmon_clock::Clock;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::mirror::Mirror;

pub use access::Access;
pub use assets::Assets;
pub use exposure::Exposure;
pub use logins::{LoginError, Logins};
pub use server::{Listener, serve};
#[cfg(feature = "acme")]
pub use tls::AcmeOptions;
pub use tls::{Tls, TlsError};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const UPDATE_INTERVAL: Duration = Duration::from_secs(1);

/// The fleet, encoded once for all viewers.
#[derive(Clone, Debug)]
struct Update {
    tag: u64,
    json: Bytes,
    frames: Arc<[Message]>,
    event: Bytes,
    gzipped: Arc<OnceLock<Bytes>>,
}

impl Update {
    fn new(tag: u64, json: String) -> Self {
        let event = format!("data: {json}\n\n").into();
        let json = Bytes::from(json);
        Self {
            tag,
            frames: live::frames(&json),
            json,
            event,
            gzipped: Arc::default(),
        }
    }

    fn gzipped(&self) -> Bytes {
        let gzipped = self.gzipped.get_or_init(|| response::gzip(&self.json));
        gzipped.clone()
    }
}

#[derive(Debug, Default)]
pub struct Options {
    pub title: String,
    /// Networks of reverse proxies whose `X-Forwarded-For` is trusted.
    pub proxies: Vec<IpNet>,
    pub access: Access,
}

#[derive(Debug)]
pub struct App {
    title: String,
    proxies: Vec<IpNet>,
    access: Access,
    assets: Assets,
    clock: Clock,
    mirror: Mutex<Mirror>,
    updates: watch::Sender<Update>,
    requests: AtomicU64,
    connections: Arc<AtomicU64>,
    viewers: Arc<AtomicU64>,
    clients: Arc<Mutex<limits::Clients>>,
    attempts: Mutex<attempts::Attempts>,
}

impl App {
    pub fn new(options: Options, clock: Clock) -> Self {
        let app = Self {
            title: options.title,
            proxies: options.proxies,
            access: options.access,
            assets: Assets::new(),
            clock,
            mirror: Mutex::default(),
            updates: watch::Sender::new(Update::new(0, String::new())),
            requests: AtomicU64::new(0),
            connections: Arc::default(),
            viewers: Arc::default(),
            clients: Arc::default(),
            attempts: Mutex::default(),
        };
        app.publish();
        app
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Locks the mirror; do not hold the guard across an await.
    pub fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn viewers(&self) -> u64 {
        self.viewers.load(Ordering::Relaxed)
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn clients(&self) -> MutexGuard<'_, limits::Clients> {
        limits::lock(&self.clients)
    }

    fn attempts(&self) -> MutexGuard<'_, attempts::Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes the fleet as it is now and hands it to all live viewers.
    pub fn publish(&self) {
        let (tag, json) = {
            let (mirror, now) = (self.mirror(), self.clock.now());
            let tag = mirror.generation() * 2 + u64::from(mirror.is_live(now));
            (tag, response::to_json(&mirror.fleet(&self.title, now)))
        };
        self.updates.send_replace(Update::new(tag, json));
    }

    pub async fn publish_forever(&self) {
        let mut timer = tokio::time::interval(UPDATE_INTERVAL);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            self.publish();
        }
    }
}

pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/fleet", get(api::fleet))
        .route("/hosts/{host}", get(api::host))
        .route("/hosts/{host}/series", get(api::series))
        .route("/sparks", get(api::sparks))
        .route("/alerts", get(api::alerts))
        .route("/services", get(api::services))
        .route("/openapi.json", get(api::openapi))
        .route("/live", get(live::socket))
        .route("/events", get(live::events))
        .fallback(api::not_found);
    Router::new()
        .route("/", get(page::fleet))
        .route("/hosts/{host}", get(page::host))
        .route("/assets/{name}", get(assets::serve))
        .route("/badge.svg", get(badge::fleet))
        .route("/badge/{host}", get(badge::host))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(api::ready))
        .route("/metrics", get(prometheus::metrics))
        .nest("/api/v1", api)
        .fallback(page::not_found)
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(0))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            REQUEST_TIMEOUT,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            guard::pass,
        ))
        .with_state(app)
}
