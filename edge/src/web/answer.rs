//! Answers: with a tag, so that nobody is sent twice what they have, and compressed once where many ask.

use std::io::Write;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sysmon_wire::fnv1a;

/// JSON as it is sent.
const JSON: &str = "application/json";

/// Compresses something that will be sent often.
pub(super) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default().into()
}

/// Whether a browser takes what is compressed with gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut words = accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|word| word.trim().to_ascii_lowercase());
    words.any(|word| {
        let (coding, quality) = word.split_once(';').unwrap_or((&word, ""));
        let is_refused = matches!(quality.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        coding.trim() == "gzip" && !is_refused
    })
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut known = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    known.any(|one| one == "*" || one.trim_start_matches("W/") == tag.trim_start_matches("W/"))
}

/// An answer whose content has this tag: nothing but that if the one who asks has it.
pub(super) fn tagged(
    headers: &HeaderMap,
    tag: u64,
    kind: &'static str,
    content: impl FnOnce() -> Response,
) -> Response {
    let tag = format!("W/\"{tag:x}\"");
    let mut response = if is_known(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = content();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Something of this kind.
pub(super) fn content(headers: &HeaderMap, kind: &'static str, content: String) -> Response {
    let tag = fnv1a(content.as_bytes());
    tagged(headers, tag, kind, || content.into_response())
}

/// Something as JSON.
pub(super) fn json_of(headers: &HeaderMap, value: &Value) -> Response {
    content(headers, JSON, value.to_string())
}

/// JSON that is at hand, plain and compressed.
pub(super) fn ready_json(
    headers: &HeaderMap,
    tag: u64,
    plain: &Bytes,
    gzipped: impl FnOnce() -> Bytes,
) -> Response {
    tagged(headers, tag, JSON, || {
        if takes_gzip(headers) {
            compressed(gzipped())
        } else {
            Body::from(plain.clone()).into_response()
        }
    })
}

/// What has been compressed before.
pub(super) fn compressed(bytes: Bytes) -> Response {
    let mut response = Body::from(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// Why there is no answer.
pub(super) fn problem(status: StatusCode, why: &str) -> Response {
    let kind: (HeaderName, &str) = (header::CONTENT_TYPE, JSON);
    (status, [kind], json!({ "error": why }).to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn who_has_it_already_gets_nothing_but_that() {
        let ask = |known| {
            content(
                &headers(header::IF_NONE_MATCH, known),
                "text/plain",
                "x".into(),
            )
        };
        let first = content(&HeaderMap::new(), "text/plain", "x".into());
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::ETAG], "W/\"af63f54c86021707\"");
        for known in ["W/\"af63f54c86021707\"", "\"1\", \"af63f54c86021707\"", "*"] {
            assert_eq!(ask(known).status(), StatusCode::NOT_MODIFIED, "{known}");
        }
        assert_eq!(ask("\"af63\"").status(), StatusCode::OK);
    }

    #[test]
    fn only_who_takes_gzip_gets_it() {
        let takes = |value| takes_gzip(&headers(header::ACCEPT_ENCODING, value));
        assert!(takes("br, gzip") && takes("GZIP;q=1.0") && takes("gzip; q=0.5"));
        assert!(!takes("br") && !takes("gzip;q=0") && !takes_gzip(&HeaderMap::new()));
    }
}
