//! Live updates: the same JSON as `/api/v1/fleet`, once a second, over a WebSocket or as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::frame::{self, Close, Event};
use super::guard::Client;
use super::limits::{Held, Kind};
use super::{App, Tick, answer};

/// People who may look at once.
const VIEWERS_MAX: u64 = 20_000;

/// Frames that a viewer may send between two updates: there is nothing to say.
const FRAMES_PER_TICK: u32 = 16;

/// How long the end of a connection may take.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Somebody who watches, counted while there.
struct Viewer {
    all: Arc<AtomicU64>,
    _address: Option<Held>,
}

impl Viewer {
    fn new(app: &App, client: Client) -> Result<Self, StatusCode> {
        let hold = |ip| Held::new(&app.addresses, ip, Kind::Viewer, Instant::now());
        let address = match client.0 {
            Some(ip) => Some(hold(ip).ok_or(StatusCode::TOO_MANY_REQUESTS)?),
            None => None,
        };
        let before = app.viewers.fetch_add(1, Ordering::Relaxed);
        let viewer = Self {
            all: Arc::clone(&app.viewers),
            _address: address,
        };
        if before < VIEWERS_MAX {
            Ok(viewer)
        } else {
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Ordering::Relaxed);
    }
}

fn has(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// The answer to a browser's key.
fn handshake(headers: &HeaderMap) -> Option<String> {
    let wanted = has(headers, header::CONNECTION, "upgrade")
        && has(headers, header::UPGRADE, "websocket")
        && has(headers, header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    wanted.then(|| frame::accept(key.as_bytes())).flatten()
}

/// A page of somebody else would look with what lets in who reads it.
fn is_foreign(app: &App, headers: &HeaderMap) -> bool {
    let origin = headers
        .get(header::ORIGIN)
        .and_then(|origin| origin.to_str().ok());
    let own = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = |origin: &str| origin.split_once("://").map(|(_, host)| host.to_owned());
    app.access.is_private() && origin.is_some_and(|origin| host(origin).as_deref() != own)
}

pub(super) async fn socket(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    mut request: Request,
) -> Response {
    let Some(accepted) = handshake(request.headers()) else {
        let why = "this is for WebSockets; /api/v1/events has the same as server-sent events";
        let mut response = answer::problem(StatusCode::UPGRADE_REQUIRED, why);
        let headers = [("upgrade", "websocket"), ("sec-websocket-version", "13")];
        for (name, value) in headers {
            let value = axum::http::HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        return response;
    };
    if is_foreign(&app, request.headers()) {
        return answer::problem(StatusCode::FORBIDDEN, "only pages from here may look");
    }
    let viewer = match Viewer::new(&app, client) {
        Ok(viewer) => viewer,
        Err(status) => return answer::problem(status, "too many are looking"),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let ticks = app.tick.subscribe();
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            watch(TokioIo::new(connection), ticks).await;
        }
        drop(viewer);
    });
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, accepted.as_str()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// Sends the newest update whenever there is one: a slow viewer skips, and never queues.
async fn watch(connection: impl AsyncRead + AsyncWrite, mut ticks: watch::Receiver<Tick>) {
    let (mut from, mut to) = tokio::io::split(connection);
    let mut came = Vec::new();
    let mut frames = 0;
    ticks.mark_changed();
    let why = loop {
        tokio::select! {
            changed = ticks.changed() => {
                if changed.is_err() {
                    break Close::Normal;
                }
                frames = 0;
                let update = ticks.borrow_and_update().frame.clone();
                if to.write_all(&update).await.is_err() || to.flush().await.is_err() {
                    return;
                }
            }
            read = from.read_buf(&mut came) => if !matches!(read, Ok(1..)) {
                return;
            }
        }
        let mut end = None;
        while let Some(event) = frame::take(&mut came) {
            frames += 1;
            match event {
                Event::End(why) => end = Some(why),
                Event::Ping(_) | Event::Pong if frames > FRAMES_PER_TICK => {
                    end = Some(Close::Unwelcome);
                }
                Event::Ping(content) => {
                    if to.write_all(&frame::pong(&content)).await.is_err() {
                        return;
                    }
                }
                Event::Pong => {}
            }
            if end.is_some() {
                break;
            }
        }
        if let Some(why) = end {
            break why;
        }
    };
    let end = async {
        to.write_all(&frame::close(why)).await?;
        to.shutdown().await?;
        // What is on its way is read, or the last frame would be lost.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await
    };
    let _ = timeout(CLOSE_MAX, end).await;
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
) -> Response {
    match Viewer::new(&app, client) {
        Ok(viewer) => {
            let kind = (header::CONTENT_TYPE, "text/event-stream");
            ([kind], Body::from_stream(updates(&app, viewer))).into_response()
        }
        Err(status) => answer::problem(status, "too many are looking"),
    }
}

fn updates(app: &App, viewer: Viewer) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let mut ticks = app.tick.subscribe();
    ticks.mark_changed();
    stream::unfold((ticks, viewer), |(mut ticks, viewer)| async move {
        ticks.changed().await.ok()?;
        let event = ticks.borrow_and_update().event.clone();
        Some((Ok(event), (ticks, viewer)))
    })
}
