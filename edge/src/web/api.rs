//! The API: what stands in `openapi.json`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use sysmon_wire::UnixMs;

use super::answer::{content, json_of, problem, ready_json};
use super::{App, now};
use crate::mirror::Unknown;

/// History that is shown if nobody says otherwise.
const HOUR_MS: i64 = 3_600_000;

fn unknown(what: Unknown) -> Response {
    match what {
        Unknown::Host => problem(StatusCode::NOT_FOUND, "there is no such host"),
        Unknown::Metric => problem(
            StatusCode::BAD_REQUEST,
            "metric should be one of cpu, mem, load1, net.rx, net.tx, disk.read, disk.write, fs.worst, temp.max",
        ),
        Unknown::Range => problem(
            StatusCode::BAD_REQUEST,
            "from should be before to, and step at least 1 (ms)",
        ),
    }
}

pub(super) async fn nothing() -> Response {
    problem(
        StatusCode::NOT_FOUND,
        "there is nothing here: see /api/v1/openapi.json",
    )
}

pub(super) async fn fleet(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let tick = app.tick.borrow().clone();
    ready_json(&headers, tick.tag, &tick.json, || tick.gzipped())
}

pub(super) async fn host(
    State(app): State<Arc<App>>,
    Path(host): Path<String>,
    headers: HeaderMap,
) -> Response {
    let found = app.mirror().host(&host);
    found.map_or_else(unknown, |host| json_of(&headers, &host))
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
) -> Response {
    let Ok(Query(query)) = query else {
        return problem(
            StatusCode::BAD_REQUEST,
            "metric is needed; from, to and step are whole numbers (ms)",
        );
    };
    let bounded = |time: i64| UnixMs(time.clamp(0, i64::MAX / 4));
    let to = query.to.map_or_else(now, bounded);
    let from = query.from.map_or(to - HOUR_MS, bounded);
    let found = app
        .mirror()
        .series(&host, &query.metric, from, to, query.step.unwrap_or(1));
    found.map_or_else(unknown, |series| json_of(&headers, &series))
}

#[derive(Debug, Deserialize)]
pub(super) struct SparksQuery {
    metric: String,
}

pub(super) async fn sparks(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    query: Result<Query<SparksQuery>, QueryRejection>,
) -> Response {
    let metric = query.map_or_else(|_| String::new(), |Query(query)| query.metric);
    let found = app.mirror().sparks(&metric);
    found.map_or_else(unknown, |sparks| json_of(&headers, &sparks))
}

pub(super) async fn alerts(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let alerts = app.mirror().alerts();
    json_of(&headers, &alerts)
}

pub(super) async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.mirror().is_live(now()) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the hub is away\n").into_response()
    }
}

/// In Prometheus's text format.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, value: String| {
        text.push_str(&format!("# TYPE {name} {kind}\n{value}"));
    };
    let (counts, is_live) = {
        let mirror = app.mirror();
        (mirror.counts(), mirror.is_live(now()))
    };
    let hosts = counts.map(|(state, count)| {
        format!(
            "sysmon_edge_hosts{{state=\"{}\"}} {count}\n",
            state.as_str()
        )
    });
    metric("sysmon_edge_hosts", "gauge", hosts.concat());
    metric(
        "sysmon_edge_hub_connected",
        "gauge",
        format!("sysmon_edge_hub_connected {}\n", u8::from(is_live)),
    );
    let connections = app.connections.load(Ordering::Relaxed);
    metric(
        "sysmon_edge_connections",
        "gauge",
        format!("sysmon_edge_connections {connections}\n"),
    );
    let viewers = app.viewers();
    metric(
        "sysmon_edge_viewers",
        "gauge",
        format!("sysmon_edge_viewers {viewers}\n"),
    );
    let requests = app.requests();
    metric(
        "sysmon_edge_requests_total",
        "counter",
        format!("sysmon_edge_requests_total {requests}\n"),
    );
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

pub(super) async fn openapi(headers: HeaderMap) -> Response {
    let document = include_str!("../../assets/openapi.json").to_owned();
    content(&headers, "application/json", document)
}
