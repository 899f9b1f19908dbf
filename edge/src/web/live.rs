//! Live updates: the same JSON as `/api/v1/fleet`, once a second, over a WebSocket or as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};

use super::App;

/// People who may look at once.
const VIEWERS_MAX: u64 = 20_000;

/// Bytes a viewer may send: there is nothing to say.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A viewer that does not take an update for this long is gone.
const SEND_MAX: Duration = Duration::from_secs(20);

/// A viewer, counted while it is there.
struct Viewer(Arc<AtomicU64>);

impl Viewer {
    fn new(app: &App) -> Option<Self> {
        let viewers = Arc::clone(&app.viewers);
        (viewers.fetch_add(1, Ordering::Relaxed) < VIEWERS_MAX)
            .then(|| Self(Arc::clone(&viewers)))
            .or_else(|| {
                viewers.fetch_sub(1, Ordering::Relaxed);
                None
            })
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn socket(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    let Some(viewer) = Viewer::new(&app) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            watch(&app, socket).await;
            drop(viewer);
        })
}

/// Sends the newest update whenever there is one: a slow viewer skips, and never queues.
async fn watch(app: &App, mut socket: WebSocket) {
    let mut ticks = app.tick.subscribe();
    ticks.mark_changed();
    loop {
        tokio::select! {
            changed = ticks.changed() => {
                if changed.is_err() {
                    return;
                }
                let json = ticks.borrow_and_update().json.to_string();
                let sent = tokio::time::timeout(SEND_MAX, socket.send(Message::Text(json.into()))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
            received = socket.recv() => match received {
                // Pings are answered by the library; all else is nothing we asked for.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return,
            }
        }
    }
}

pub(super) async fn events(State(app): State<Arc<App>>) -> Response {
    let Some(viewer) = Viewer::new(&app) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    Sse::new(updates(&app, viewer))
        .keep_alive(KeepAlive::default())
        .into_response()
}

fn updates(app: &App, viewer: Viewer) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let mut ticks = app.tick.subscribe();
    ticks.mark_changed();
    stream::unfold((ticks, viewer), |(mut ticks, viewer)| async move {
        ticks.changed().await.ok()?;
        let json = ticks.borrow_and_update().json.to_string();
        Some((Ok(Event::default().data(json)), (ticks, viewer)))
    })
}
