//! Live updates: the JSON of `/api/v1/fleet` once a second, over a WebSocket or as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, Stream, StreamExt, stream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame, Utf8Bytes};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::guard::Client;
use super::limits::{Counted, Kind, Permit};
use super::{App, Update, response};

const VIEWERS_MAX: u64 = 20_000;

/// Frames a viewer may send between two updates; the protocol needs none but an occasional ping.
const FRAMES_PER_UPDATE: u32 = 16;

/// Bytes of a frame a viewer sends: as much as a control frame may carry (RFC 6455, section 5.5).
const RECEIVED_FRAME_BYTES_MAX: usize = 125;

/// Payload of a frame that is sent, and so the size of a viewer's write buffer.
const SENT_FRAME_BYTES: usize = 4096;

const READ_BUFFER_BYTES: usize = 256;

const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

fn viewer(app: &App, client: Client) -> Result<Counted, StatusCode> {
    let acquire = |ip| Permit::acquire(&app.clients, ip, Kind::Viewer, app.clock.instant());
    let permit = match client.0 {
        Some(ip) => Some(acquire(ip).ok_or(StatusCode::TOO_MANY_REQUESTS)?),
        None => None,
    };
    Counted::new(&app.viewers, VIEWERS_MAX, permit).ok_or(StatusCode::SERVICE_UNAVAILABLE)
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

fn lists(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut words = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    words.any(|one| one.trim().eq_ignore_ascii_case(word))
}

/// The `Sec-WebSocket-Accept` of a valid upgrade request (RFC 6455, section 4.2).
fn accept_key(headers: &HeaderMap) -> Option<String> {
    let is_upgrade = lists(headers, header::CONNECTION, "upgrade")
        && lists(headers, header::UPGRADE, "websocket")
        && lists(headers, header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    is_upgrade.then(|| derive_accept_key(key.as_bytes()))
}

fn upgrade_required() -> Response {
    let why = "this path speaks WebSocket; /api/v1/events sends the same as server-sent events";
    let headers = [
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
    ];
    (
        headers,
        response::problem(StatusCode::UPGRADE_REQUIRED, why),
    )
        .into_response()
}

pub(super) async fn socket(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
    mut request: Request,
) -> Response {
    let Some(accept_key) = accept_key(request.headers()) else {
        return upgrade_required();
    };
    if is_cross_origin(&app, request.headers()) {
        return response::problem(StatusCode::FORBIDDEN, "cross-origin requests are refused");
    }
    let viewer = match viewer(&app, client) {
        Ok(viewer) => viewer,
        Err(status) => return response::problem(status, "too many live viewers"),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let updates = app.updates.subscribe();
    tokio::spawn(async move {
        if let Ok(connection) = upgrade.await {
            let (stream, role) = (TokioIo::new(connection), Role::Server);
            let socket = Socket::from_raw_socket(stream, role, Some(config())).await;
            send_updates(socket, updates).await;
        }
        drop(viewer);
    });
    let headers = [
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_ACCEPT, accept_key.as_str()),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_frame_size(Some(RECEIVED_FRAME_BYTES_MAX))
        .max_message_size(Some(RECEIVED_FRAME_BYTES_MAX))
}

/// `json` as the frames of one WebSocket message. The library copies a frame into a buffer of each viewer, so frames are
/// small; their payloads here are shared by all viewers.
pub(super) fn frames(json: &Bytes) -> Arc<[Message]> {
    let starts = (0..json.len().max(1)).step_by(SENT_FRAME_BYTES);
    let frame = |start: usize| {
        let end = (start + SENT_FRAME_BYTES).min(json.len());
        let kind = if start == 0 {
            Data::Text
        } else {
            Data::Continue
        };
        let payload = json.slice(start..end);
        Message::Frame(Frame::message(
            payload,
            OpCode::Data(kind),
            end == json.len(),
        ))
    };
    starts.map(frame).collect()
}

async fn send(socket: &mut Socket, update: &Update) -> Result<(), Error> {
    for frame in update.frames.iter() {
        socket.feed(frame.clone()).await?;
    }
    socket.flush().await
}

/// Sends the newest update whenever there is one: a slow viewer skips updates and never queues them.
async fn send_updates(mut socket: Socket, mut updates: watch::Receiver<Update>) {
    let mut received_frames = 0;
    updates.mark_changed();
    let code = loop {
        tokio::select! {
            changed = updates.changed() => {
                if changed.is_err() {
                    break CloseCode::Normal;
                }
                received_frames = 0;
                let update = updates.borrow_and_update().clone();
                if send(&mut socket, &update).await.is_err() {
                    return;
                }
            }
            received = socket.next() => {
                received_frames += 1;
                match received {
                    // The library answers pings.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) if received_frames <= FRAMES_PER_UPDATE => {}
                    Some(Ok(Message::Close(_))) => break CloseCode::Normal,
                    Some(Ok(_)) => break CloseCode::Policy,
                    Some(Err(_)) => break CloseCode::Protocol,
                    None => return,
                }
            }
        }
    };
    let _ = timeout(CLOSE_TIMEOUT, close(socket, code)).await;
}

/// Closes with `code`, or finishes the handshake that the viewer began. Reads to the end: unread bytes would reset
/// the connection and could lose the close frame.
async fn close(mut socket: Socket, code: CloseCode) {
    let frame = CloseFrame {
        code,
        reason: Utf8Bytes::default(),
    };
    let _ = socket.close(Some(frame)).await;
    while let Some(Ok(_)) = socket.next().await {}
}

pub(super) async fn events(
    State(app): State<Arc<App>>,
    Extension(client): Extension<Client>,
) -> Response {
    match viewer(&app, client) {
        Ok(viewer) => {
            let kind = (header::CONTENT_TYPE, "text/event-stream");
            ([kind], Body::from_stream(event_stream(&app, viewer))).into_response()
        }
        Err(status) => response::problem(status, "too many live viewers"),
    }
}

fn event_stream(
    app: &App,
    viewer: Counted,
) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let mut updates = app.updates.subscribe();
    updates.mark_changed();
    stream::unfold((updates, viewer), |(mut updates, viewer)| async move {
        updates.changed().await.ok()?;
        let event = updates.borrow_and_update().event.clone();
        Some((Ok(event), (updates, viewer)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_is_one_message_of_small_frames() {
        for length in [1, SENT_FRAME_BYTES, SENT_FRAME_BYTES * 2 + 7] {
            let json = Bytes::from(vec![b'x'; length]);
            let frames = frames(&json);
            let mut received = Vec::new();
            for (at, frame) in frames.iter().enumerate() {
                let Message::Frame(frame) = frame else {
                    panic!("{frame:?}");
                };
                let kind = if at == 0 { Data::Text } else { Data::Continue };
                assert_eq!(frame.header().opcode, OpCode::Data(kind));
                assert_eq!(frame.header().is_final, at + 1 == frames.len());
                assert!(frame.payload().len() <= SENT_FRAME_BYTES);
                received.extend_from_slice(frame.payload());
            }
            assert_eq!(received, json);
        }
    }
}
