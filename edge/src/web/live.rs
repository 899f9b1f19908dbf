//! Live updates: the JSON of `/api/v1/fleet` once a second, over a WebSocket or as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::guard::Client;
use super::limits::{Kind, Permit};
use super::{App, Update, response};

/// Live viewers of all addresses.
const VIEWERS_MAX: u64 = 20_000;

/// Frames a viewer may send between two updates; the protocol needs none but an occasional ping.
const FRAMES_PER_UPDATE: u32 = 16;

/// Bytes of a frame a viewer sends: as much as a control frame may carry (RFC 6455, section 5.5).
const FRAME_BYTES_MAX: usize = 125;

/// A viewer sends next to nothing, so its read buffer is small.
const READ_BUFFER_BYTES: usize = 256;

/// Time for the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A live viewer, counted until it is dropped.
struct Viewer {
    count: Arc<AtomicU64>,
    _permit: Option<Permit>,
}

impl Viewer {
    fn new(app: &App, client: Client) -> Result<Self, StatusCode> {
        let acquire = |ip| Permit::acquire(&app.clients, ip, Kind::Viewer, app.clock.instant());
        let permit = match client.0 {
            Some(ip) => Some(acquire(ip).ok_or(StatusCode::TOO_MANY_REQUESTS)?),
            None => None,
        };
        let before = app.viewers.fetch_add(1, Ordering::Relaxed);
        let viewer = Self {
            count: Arc::clone(&app.viewers),
            _permit: permit,
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
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether another site's page opens the socket: browsers send the user's credentials along, so on a private page it
/// would read with them.
fn is_cross_origin(app: &App, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    app.access.is_private() && host != text(header::HOST)
}

fn upgrade_required() -> Response {
    let why = "this path speaks WebSocket; /api/v1/events sends the same as server-sent events";
    let mut response = response::problem(StatusCode::UPGRADE_REQUIRED, why);
    for (name, value) in [("upgrade", "websocket"), ("sec-websocket-version", "13")] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

pub(super) async fn socket(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return upgrade_required();
    };
    if is_cross_origin(&app, &headers) {
        return response::problem(StatusCode::FORBIDDEN, "cross-origin requests are refused");
    }
    let viewer = match Viewer::new(&app, client) {
        Ok(viewer) => viewer,
        Err(status) => return response::problem(status, "too many live viewers"),
    };
    let updates = app.updates.subscribe();
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX)
        .on_upgrade(|socket| async move {
            send_updates(socket, updates).await;
            drop(viewer);
        })
}

/// Sends the newest update whenever there is one: a slow viewer skips updates and never queues them.
async fn send_updates(mut socket: WebSocket, mut updates: watch::Receiver<Update>) {
    let mut frames = 0;
    updates.mark_changed();
    let code = loop {
        tokio::select! {
            changed = updates.changed() => {
                if changed.is_err() {
                    break close_code::NORMAL;
                }
                frames = 0;
                let message = updates.borrow_and_update().message.clone();
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            received = socket.recv() => {
                frames += 1;
                match received {
                    // The library answers pings.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) if frames <= FRAMES_PER_UPDATE => {}
                    Some(Ok(Message::Close(_))) => break close_code::NORMAL,
                    Some(Ok(_)) => break close_code::POLICY,
                    Some(Err(_)) => break close_code::PROTOCOL,
                    None => return,
                }
            }
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, close(socket, code)).await;
}

/// Closes with `code`, or finishes the handshake that the viewer began. Reads to the end: unread bytes would reset
/// the connection and could lose the close frame.
async fn close(mut socket: WebSocket, code: CloseCode) {
    let frame = CloseFrame {
        code,
        reason: "".into(),
    };
    let _ = socket.send(Message::Close(Some(frame))).await;
    while let Some(Ok(_)) = socket.recv().await {}
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
) -> Response {
    match Viewer::new(&app, client) {
        Ok(viewer) => {
            let kind = (header::CONTENT_TYPE, "text/event-stream");
            ([kind], Body::from_stream(event_stream(&app, viewer))).into_response()
        }
        Err(status) => response::problem(status, "too many live viewers"),
    }
}

fn event_stream(
    app: &App,
    viewer: Viewer,
) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let mut updates = app.updates.subscribe();
    updates.mark_changed();
    stream::unfold((updates, viewer), |(mut updates, viewer)| async move {
        updates.changed().await.ok()?;
        let event = updates.borrow_and_update().event.clone();
        Some((Ok(event), (updates, viewer)))
    })
}
