//! Responses with entity tags, and with bodies that are compressed once for all clients.

use std::io::Write;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde_json::json;
use sysmon_wire::fnv1a;

const JSON: &str = "application/json";

/// Compresses as small as gzip can, for bodies that are sent many times.
pub(super) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}

/// The views have string keys and no failing serializers, so this does not fail.
pub(super) fn to_json(view: &impl Serialize) -> String {
    serde_json::to_string(view).unwrap_or_default()
}

pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|coding| coding.trim().to_ascii_lowercase());
    codings.any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((&coding, ""));
        let is_refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim() == "gzip" && !is_refused
    })
}

fn has_current(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    known.any(|one| one == "*" || one.trim_start_matches("W/") == tag.trim_start_matches("W/"))
}

pub(super) fn tagged(
    headers: &HeaderMap,
    tag: u64,
    content_type: &'static str,
    body: impl FnOnce() -> Response,
) -> Response {
    let tag = format!("W/\"{tag:x}\"");
    let mut response = if has_current(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = body();
        let content_type = HeaderValue::from_static(content_type);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, content_type);
        response
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

pub(super) fn content(headers: &HeaderMap, content_type: &'static str, body: String) -> Response {
    let tag = fnv1a(body.as_bytes());
    tagged(headers, tag, content_type, || body.into_response())
}

pub(super) fn json(headers: &HeaderMap, view: &impl Serialize) -> Response {
    content(headers, JSON, to_json(view))
}

pub(super) fn encoded_json(
    headers: &HeaderMap,
    tag: u64,
    plain: &Bytes,
    gzipped: impl FnOnce() -> Bytes,
) -> Response {
    tagged(headers, tag, JSON, || {
        if accepts_gzip(headers) {
            compressed(gzipped())
        } else {
            Body::from(plain.clone()).into_response()
        }
    })
}

pub(super) fn compressed(bytes: Bytes) -> Response {
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

pub(super) fn problem(status: StatusCode, why: &str) -> Response {
    let content_type: (HeaderName, &str) = (header::CONTENT_TYPE, JSON);
    let body = json!({ "error": why }).to_string();
    (status, [content_type], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_body_the_client_has_is_not_sent_again() {
        let get = |headers: &HeaderMap| content(headers, "text/plain", "x".into());
        let first = get(&HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::ETAG], "W/\"af63f54c86021707\"");
        for known in ["W/\"af63f54c86021707\"", "\"1\", \"af63f54c86021707\"", "*"] {
            let again = get(&headers(header::IF_NONE_MATCH, known));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        let other = get(&headers(header::IF_NONE_MATCH, "\"af63\""));
        assert_eq!(other.status(), StatusCode::OK);
    }

    #[test]
    fn gzip_is_sent_only_to_clients_that_accept_it() {
        let accepts = |value| accepts_gzip(&headers(header::ACCEPT_ENCODING, value));
        assert!(accepts("br, gzip") && accepts("GZIP;q=1.0") && accepts("gzip; q=0.5"));
        assert!(!accepts("br") && !accepts("gzip;q=0") && !accepts_gzip(&HeaderMap::new()));
    }
}
