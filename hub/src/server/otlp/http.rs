//! OTLP over HTTP: POST /v1/metrics with protobuf, plain or compressed.

use std::io::{self, Read};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prost::Message;
use sysmon_otlp::{MESSAGE_BYTES_MAX, MessageError};
use tokio::time::timeout;

use super::BODY_TIMEOUT;
use super::peer::Peer;
use super::receive::{RETRY_S, ReceiveError, receive, turn};
use crate::server::Hub;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Memory of the decompressor of zstd; enough for whatever compresses messages of this length.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// `google.rpc.Status`, as errors are answered.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

pub(super) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/v1/metrics", post(export))
        .fallback(|| async {
            error(
                StatusCode::NOT_FOUND,
                12,
                "this hub receives metrics only, at /v1/metrics",
            )
        })
        .with_state(hub)
}

async fn export(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-protobuf") {
        let why = "send protobuf with Content-Type application/x-protobuf; JSON is not understood";
        return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, why);
    }
    let turn = match turn(&hub, &peer).await {
        Ok(turn) => turn,
        Err(error) => return refusal(&error),
    };
    let message = match read(&parts.headers, body).await {
        Ok(message) => message,
        Err(response) => return response,
    };
    match receive(&hub, &peer, turn, message).await {
        Ok(rejections) => {
            let response = rejections.response().encode_to_vec();
            ([(header::CONTENT_TYPE, PROTOBUF)], response).into_response()
        }
        Err(error) => refusal(&error),
    }
}

/// The message in a body.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    let body = timeout(BODY_TIMEOUT, to_bytes(body, MESSAGE_BYTES_MAX)).await;
    let body = match body {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(refusal(&MessageError::TooLong.into())),
        Err(_) => {
            return Err(error(
                StatusCode::REQUEST_TIMEOUT,
                4,
                "the message took too long",
            ));
        }
    };
    let encoding = headers.get(header::CONTENT_ENCODING);
    let encoding = encoding.map_or(Ok("identity"), |encoding| encoding.to_str());
    let encoding = encoding.unwrap_or_default().to_ascii_lowercase();
    if encoding == "identity" {
        return Ok(body);
    }
    if !matches!(encoding.as_str(), "gzip" | "zstd") {
        let why = "Content-Encoding may be gzip, zstd or identity";
        return Err(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, why));
    }
    let decompressed = tokio::task::spawn_blocking(move || decompress(&encoding, &body)).await;
    match decompressed {
        Ok(Ok(message)) if message.len() <= MESSAGE_BYTES_MAX => Ok(message.into()),
        Ok(Ok(_)) => Err(refusal(&MessageError::TooLong.into())),
        Ok(Err(_)) => Err(error(
            StatusCode::BAD_REQUEST,
            3,
            "the body cannot be decompressed",
        )),
        Err(_) => Err(refusal(&ReceiveError::Busy("the hub stops"))),
    }
}

/// At most one byte more than a message may have: a small body can stand for gigabytes.
fn decompress(encoding: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    let limit = MESSAGE_BYTES_MAX as u64 + 1;
    match encoding {
        "gzip" => flate2::read::MultiGzDecoder::new(body)
            .take(limit)
            .read_to_end(&mut message)?,
        _ => {
            let mut decoder = zstd::Decoder::new(body)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            decoder.take(limit).read_to_end(&mut message)?
        }
    };
    Ok(message)
}

fn refusal(reason: &ReceiveError) -> Response {
    let (status, code) = match reason {
        ReceiveError::Message(MessageError::Malformed) => (StatusCode::BAD_REQUEST, 3),
        ReceiveError::Message(_) => (StatusCode::PAYLOAD_TOO_LARGE, 3),
        ReceiveError::Refused(_) => (StatusCode::FORBIDDEN, 7),
        ReceiveError::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, 14),
    };
    let mut response = error(status, code, &reason.to_string());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, RETRY_S.into());
    }
    response
}

fn error(status: StatusCode, code: i32, message: &str) -> Response {
    let body = Status {
        code,
        message: message.to_owned(),
    };
    let body = body.encode_to_vec();
    (status, [(header::CONTENT_TYPE, PROTOBUF)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_body_that_stands_for_gigabytes_is_decompressed_to_the_limit_only() {
        let zeros = vec![0; 1 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let mut compressed = zstd::Encoder::new(Vec::new(), 3).unwrap();
        for _ in 0..200 {
            gzip.write_all(&zeros).unwrap();
            compressed.write_all(&zeros).unwrap();
        }
        let bombs = [
            ("gzip", gzip.finish().unwrap()),
            ("zstd", compressed.finish().unwrap()),
        ];
        for (encoding, bomb) in bombs {
            assert!(bomb.len() < 1 << 20, "{encoding}: {}", bomb.len());
            let message = decompress(encoding, &bomb).unwrap();
            assert_eq!(message.len(), MESSAGE_BYTES_MAX + 1, "{encoding}");
            assert!(
                decompress(encoding, &bomb[..bomb.len() / 2]).is_err()
                    || message.len() > MESSAGE_BYTES_MAX
            );
            assert!(decompress(encoding, b"plain").is_err(), "{encoding}");
        }
    }
}
