//! Badges: a word or two as SVG, for other people's pages.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sysmon_wire::message::HostState;

use super::text::escape;
use super::{App, answer, now};

/// All is well; something is not; nothing is known.
const GOOD: &str = "#2a7d2e";
const BAD: &str = "#b32d00";
const UNKNOWN: &str = "#6a6a6a";

fn badge(headers: &HeaderMap, label: &str, value: &str, colour: &str) -> Response {
    let width = |text: &str| text.chars().count() * 7 + 12;
    let (left, right) = (width(label), width(value));
    let (all, middle, end) = (left + right, left / 2, left + right / 2);
    let (label, value) = (escape(label), escape(value));
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{label}: {value}\">\
         <rect width=\"{left}\" height=\"20\" fill=\"#444\"/><rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"{middle}\" y=\"14\">{label}</text><text x=\"{end}\" y=\"14\">{value}</text></g></svg>"
    );
    let mut response = answer::content(headers, "image/svg+xml", svg);
    let headers = response.headers_mut();
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("cross-origin"),
    );
    let cache = HeaderValue::from_static("public, max-age=30");
    headers.insert(header::CACHE_CONTROL, cache);
    response
}

/// How many hosts are live.
pub(super) async fn fleet(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let (counts, is_live) = {
        let mirror = app.mirror();
        (mirror.counts(), mirror.is_live(now()))
    };
    if !is_live {
        return badge(&headers, "hosts", "unknown", UNKNOWN);
    }
    let live = counts.iter().find(|(state, _)| *state == HostState::Live);
    let live = live.map_or(0, |(_, count)| *count);
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let colour = if live == all { GOOD } else { BAD };
    badge(&headers, "hosts", &format!("{live}/{all} live"), colour)
}

/// How one does.
pub(super) async fn host(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let name = name.strip_suffix(".svg").unwrap_or(&name);
    let (state, is_live) = {
        let mirror = app.mirror();
        (mirror.state(name), mirror.is_live(now()))
    };
    match state {
        Err(_) => StatusCode::NOT_FOUND.into_response(),
        Ok(_) if !is_live => badge(&headers, name, "unknown", UNKNOWN),
        Ok(state) => {
            let colour = if state == HostState::Live { GOOD } else { BAD };
            badge(&headers, name, state.as_str(), colour)
        }
    }
}
