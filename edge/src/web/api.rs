//! The JSON API that `openapi.json` describes.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sysmon_wire::UnixMs;

use super::App;
use super::response::{content, encoded_json, json, problem};
use crate::mirror::NotFound;

const DEFAULT_RANGE_MS: i64 = 3_600_000;

impl IntoResponse for NotFound {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Host => StatusCode::NOT_FOUND,
            Self::Metric | Self::Range => StatusCode::BAD_REQUEST,
        };
        problem(status, &self.to_string())
    }
}

pub(super) async fn not_found() -> Response {
    let why = "no such path; see /api/v1/openapi.json";
    problem(StatusCode::NOT_FOUND, why)
}

pub(super) async fn fleet(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let update = app.updates.borrow().clone();
    encoded_json(&headers, update.tag, &update.json, || update.gzipped())
}

pub(super) async fn host(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    headers: HeaderMap,
) -> Result<Response, NotFound> {
    Ok(json(&headers, &app.mirror().host(&host)?))
}

#[derive(Debug, Deserialize)]
pub(super) struct SeriesQuery {
    metric: String,
    from: Option<i64>,
    to: Option<i64>,
    step: Option<i64>,
}

pub(super) async fn series(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    headers: HeaderMap,
    query: Result<Query<SeriesQuery>, QueryRejection>,
) -> Result<Response, NotFound> {
    let Ok(Query(query)) = query else {
        let why = "metric is required; from, to and step are integers (ms)";
        return Ok(problem(StatusCode::BAD_REQUEST, why));
    };
    let bounded = |time: i64| UnixMs(time.clamp(0, i64::MAX / 4));
    let to = query.to.map_or_else(|| app.clock.now(), bounded);
    let from = query.from.map_or(to - DEFAULT_RANGE_MS, bounded);
    let (mirror, step_ms) = (app.mirror(), query.step.unwrap_or(1));
    let series = mirror.series(&host, &query.metric, from, to, step_ms)?;
    Ok(json(&headers, &series))
}

#[derive(Debug, Deserialize)]
pub(super) struct SparksQuery {
    metric: String,
}

pub(super) async fn sparks(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    query: Result<Query<SparksQuery>, QueryRejection>,
) -> Result<Response, NotFound> {
    let Query(query) = query.map_err(|_| NotFound::Metric)?;
    Ok(json(&headers, &app.mirror().sparks(&query.metric)?))
}

pub(super) async fn alerts(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    json(&headers, &app.mirror().alerts())
}

pub(super) async fn services(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    json(&headers, &app.mirror().services())
}

pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.mirror().is_live(app.clock.now()) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "hub disconnected\n").into_response()
    }
}

pub(super) async fn openapi(headers: HeaderMap) -> Response {
    let document = include_str!("../../assets/openapi.json").to_owned();
    content(&headers, "application/json", document)
}
