//! What browsers and programs see: pages, the API, and live updates. Read-only.

mod api;
mod assets;
mod headers;
mod live;
mod page;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::get;
use sysmon_wire::UnixMs;
use tokio::sync::watch;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::mirror::Mirror;

pub use assets::Assets;

/// How long a request may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// How often those who look are told what changed.
const TICK: Duration = Duration::from_secs(1);

/// What a connection is told: the fleet as JSON, encoded once for everybody.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// The mirror's generation.
    pub generation: u64,
    /// The JSON.
    pub json: Arc<str>,
}

/// What all requests share.
#[derive(Debug)]
pub struct App {
    title: String,
    assets: Assets,
    mirror: Mutex<Mirror>,
    tick: watch::Sender<Tick>,
    requests: std::sync::atomic::AtomicU64,
    viewers: Arc<std::sync::atomic::AtomicU64>,
}

impl App {
    /// A page that shows nothing yet.
    pub fn new(title: &str) -> Self {
        let app = Self {
            title: title.to_owned(),
            assets: Assets::new(),
            mirror: Mutex::default(),
            tick: watch::Sender::default(),
            requests: std::sync::atomic::AtomicU64::new(0),
            viewers: Arc::default(),
        };
        app.encode();
        app
    }

    /// The mirror, for a moment: nothing may be awaited while it is held.
    pub fn mirror(&self) -> MutexGuard<'_, Mirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn encode(&self) {
        let (generation, fleet) = {
            let mirror = self.mirror();
            (mirror.generation, mirror.fleet(&self.title, now()))
        };
        self.tick.send_replace(Tick {
            generation,
            json: fleet.to_string().into(),
        });
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
        .route("/alerts", get(api::alerts))
        .route("/openapi.json", get(api::openapi))
        .route("/live", get(live::socket))
        .route("/events", get(live::events))
        .fallback(api::nothing);
    Router::new()
        .route("/", get(page::fleet))
        .route("/hosts/{host}", get(page::host))
        .route("/assets/{name}", get(assets::serve))
        .route("/badge.svg", get(page::fleet_badge))
        .route("/badge/{host}", get(page::host_badge))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(api::ready))
        .route("/metrics", get(api::metrics))
        .nest("/api/v1", api)
        .fallback(page::nothing)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            headers::add,
        ))
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(0))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            REQUEST_MAX,
        ))
        .with_state(app)
}
