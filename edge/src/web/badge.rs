//! Status badges as SVG, to embed in other sites.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::html;
use sysmon_wire::message::HostState;

use super::{App, response};

const GOOD: &str = "#2a7d2e";
const BAD: &str = "#b32d00";
const UNKNOWN: &str = "#6a6a6a";

fn badge(headers: &HeaderMap, label: &str, value: &str, colour: &str) -> Response {
    let width = |text: &str| text.chars().count() * 7 + 12;
    let (left, right) = (width(label), width(value));
    let svg = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(left + right) height="20" role="img" aria-label={ (label) ": " (value) } {
            rect width=(left) height="20" fill="#444" {}
            rect x=(left) width=(right) height="20" fill=(colour) {}
            g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" {
                text x=(left / 2) y="14" { (label) }
                text x=(left + right / 2) y="14" { (value) }
            }
        }
    };
    let mut response = response::content(headers, "image/svg+xml", svg.into_string());
    let headers = response.headers_mut();
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("cross-origin"),
    );
    let cache = HeaderValue::from_static("public, max-age=30");
    headers.insert(header::CACHE_CONTROL, cache);
    response
}

fn colour(is_good: bool) -> &'static str {
    if is_good { GOOD } else { BAD }
}

pub(super) async fn fleet(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let mirror = app.mirror();
    if !mirror.is_live(app.clock.now()) {
        return badge(&headers, "hosts", "unknown", UNKNOWN);
    }
    let counts = mirror.counts();
    let [(_, live), ..] = counts;
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let value = format!("{live}/{all} live");
    badge(&headers, "hosts", &value, colour(live == all))
}

pub(super) async fn host(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let name = name.strip_suffix(".svg").unwrap_or(&name);
    let mirror = app.mirror();
    match mirror.state(name) {
        Err(_) => StatusCode::NOT_FOUND.into_response(),
        Ok(_) if !mirror.is_live(app.clock.now()) => badge(&headers, name, "unknown", UNKNOWN),
        Ok(state) => {
            let is_live = state == HostState::Live;
            badge(&headers, name, state.as_str(), colour(is_live))
        }
    }
}
