//! What browsers and programs see: pages, the API, and live updates. Read-only.

mod access;
mod answer;
mod api;
mod assets;
mod badge;
mod chart;
mod frame;
mod guard;
mod limits;
mod live;
mod logins;
mod page;
mod server;
mod stall;
mod text;
mod tls;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use sysmon_wire::UnixMs;
use tokio::sync::watch;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::mirror::Mirror;

pub use access::Access;
pub use assets::Assets;
pub use logins::{LoginError, Logins};
pub use server::{Listener, serve};
pub use tls::{AcmeOptions, Tls, TlsError};

/// How long a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// How often those who look are told what changed.
const TICK: Duration = Duration::from_secs(1);

/// What everybody is told: the fleet, encoded once.
#[derive(Clone, Debug, Default)]
struct Tick {
    /// Tells it apart from others.
    tag: u64,
    /// As JSON.
    json: Bytes,
    /// That as a frame of a WebSocket.
    frame: Bytes,
    /// That as a server-sent event.
    event: Bytes,
    /// That compressed, once somebody asks.
    gzipped: Arc<OnceLock<Bytes>>,
}

impl Tick {
    fn new(tag: u64, json: String) -> Self {
        Self {
            tag,
            frame: frame::text(&json),
            event: format!("data: {json}\n\n").into(),
            json: json.into(),
            gzipped: Arc::default(),
        }
    }

    fn gzipped(&self) -> Bytes {
        let gzipped = self.gzipped.get_or_init(|| answer::gzip(&self.json));
        gzipped.clone()
    }
}

/// How the page is shown, and to whom.
#[derive(Debug, Default)]
pub struct Options {
    /// What it is called.
    pub title: String,
    /// Proxies whose word counts on whom they ask for.
    pub proxies: Vec<IpAddr>,
    /// Who may look.
    pub access: Access,
}

/// What all requests share.
#[derive(Debug)]
pub struct App {
    title: String,
    proxies: Vec<IpAddr>,
    access: Access,
    assets: Assets,
    mirror: Mutex<Mirror>,
    tick: watch::Sender<Tick>,
    requests: AtomicU64,
    connections: Arc<AtomicU64>,
    viewers: Arc<AtomicU64>,
    addresses: Arc<Mutex<limits::Addresses>>,
}

impl App {
    /// A page that shows nothing yet.
    pub fn new(options: Options) -> Self {
        let app = Self {
            title: options.title,
            proxies: options.proxies,
            access: options.access,
            assets: Assets::new(),
            mirror: Mutex::default(),
            tick: watch::Sender::default(),
            requests: AtomicU64::new(0),
            connections: Arc::default(),
            viewers: Arc::default(),
            addresses: Arc::default(),
        };
        app.encode();
        app
    }

    /// The mirror, for a moment: nothing may be awaited while it is held.
    pub fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many watch.
    pub fn viewers(&self) -> u64 {
        self.viewers.load(Ordering::Relaxed)
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn addresses(&self) -> MutexGuard<'_, limits::Addresses> {
        limits::locked(&self.addresses)
    }

    fn encode(&self) {
        let (tag, fleet) = {
            let (mirror, now) = (self.mirror(), now());
            let tag = mirror.generation * 2 + u64::from(mirror.is_live(now));
            (tag, mirror.fleet(&self.title, now))
        };
        self.tick.send_replace(Tick::new(tag, fleet.to_string()));
    }

    /// Encodes the fleet once a second for all who look.
    pub async fn tick(&self) {
        let mut timer = tokio::time::interval(TICK);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            self.encode();
        }
    }
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

/// All there is to see.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/fleet", get(api::fleet))
        .route("/hosts/{host}", get(api::host))
        .route("/hosts/{host}/series", get(api::series))
        .route("/sparks", get(api::sparks))
        .route("/alerts", get(api::alerts))
        .route("/openapi.json", get(api::openapi))
        .route("/live", get(live::socket))
        .route("/events", get(live::events))
        .fallback(api::nothing);
    Router::new()
        .route("/", get(page::fleet))
        .route("/hosts/{host}", get(page::host))
        .route("/assets/{name}", get(assets::serve))
        .route("/badge.svg", get(badge::fleet))
        .route("/badge/{host}", get(badge::host))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(api::ready))
        .route("/metrics", get(api::metrics))
        .nest("/api/v1", api)
        .fallback(page::nothing)
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(0))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            REQUEST_MAX,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            guard::pass,
        ))
        .with_state(app)
}
