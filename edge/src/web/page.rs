//! The pages, complete without a script; `app.js` keeps them current.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use sysmon_wire::UnixMs;
use sysmon_wire::message::HostState;

use super::text::{heading, is_hot, is_share, number, segment, summary, symbol, time_of_day};
use super::{App, chart, response, services};
use crate::mirror::{AlertView, HostView, Mirror, SeriesView, Value};

const HTML: &str = "text/html; charset=utf-8";

const CHART_RANGE_MS: i64 = 3_600_000;
const CHART_STEP_MS: i64 = 60_000;

const RANGES: [(&str, u32); 4] = [
    ("15 min", 900_000),
    ("1 h", 3_600_000),
    ("3 h", 10_800_000),
    ("6 h", 21_600_000),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind<'a> {
    Fleet,
    Host(&'a str),
    Error,
}

fn document(app: &App, title: &str, kind: Kind<'_>, body: &Markup) -> String {
    let asset = |stem: &str, extension: &str| app.assets.path(stem, extension);
    let host = match kind {
        Kind::Host(name) => Some(name),
        Kind::Fleet | Kind::Error => None,
    };
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" href=(asset("icon", "svg"));
                @if host.is_some() {
                    link rel="stylesheet" href=(asset("uPlot", "css"));
                    script src=(asset("uPlot", "js")) defer {}
                }
                link rel="stylesheet" href=(asset("style", "css"));
                @if kind != Kind::Error {
                    script src=(asset("app", "js")) defer {}
                }
            }
            body data-host=(host.unwrap_or_default()) {
                a.skip href="#main" { "Skip to content" }
                (body)
            }
        }
    };
    document.into_string()
}

fn status(mirror: &Mirror) -> Markup {
    html! { p #status role="status" { (summary(mirror.counts(), mirror.firing())) } }
}

/// Why the page does not show the present, if so; hidden otherwise.
fn notice(mirror: &Mirror, now: UnixMs) -> Markup {
    let notice = match (mirror.is_live(now), mirror.as_of()) {
        (true, _) => None,
        (false, UnixMs(0)) => Some("No data yet: the hub has not connected".to_owned()),
        (false, as_of) => Some(format!(
            "Hub disconnected: showing data as of {}",
            time_of_day(as_of)
        )),
    };
    html! { p #notice role="alert" hidden[notice.is_none()] { (notice.unwrap_or_default()) } }
}

fn alert_item(alert: &AlertView<'_>) -> Markup {
    let severity = alert.severity.as_str();
    let acknowledged = alert.acknowledged_ms;
    html! {
        li.(severity).acknowledged[acknowledged.is_some()] {
            span aria-hidden="true" { @if acknowledged.is_some() { "△" } @else { "▲" } }
            " " (severity) " "
            @if let Some(host) = alert.host {
                a href={ "/hosts/" (segment(host.as_str())) } { (host) } " "
            }
            (alert.rule) " " (alert.summary) " "
            small {
                "since " (time_of_day(alert.since_ms))
                @if let Some(at) = acknowledged { ", acknowledged " (time_of_day(at)) }
            }
        }
    }
}

fn alert_list(alerts: &[AlertView<'_>]) -> Markup {
    html! {
        section #alerts aria-label="Alerts" hidden[alerts.is_empty()] {
            h2 { "Alerts" }
            ul { @for alert in alerts { (alert_item(alert)) } }
        }
    }
}

fn value(host: &HostView<'_>, metric: &str) -> Option<f64> {
    let value = host.metrics.get(metric).copied().flatten();
    value.map(|Value(value)| value)
}

fn cell_content(metric: &str, value: Option<f64>) -> Markup {
    let width = value.unwrap_or(0.0).clamp(0.0, 1.0) * 100.0;
    html! {
        @if is_share(metric) {
            svg.bar viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
                rect width=(format!("{width:.0}")) height="4" {}
            }
        }
        span { (number(metric, value)) }
    }
}

fn state(state: HostState) -> Markup {
    html! { span aria-hidden="true" { (symbol(state)) } " " (state.as_str()) }
}

fn row(host: &HostView<'_>, metrics: &[&str], spark: Option<&[Option<Value>]>) -> Markup {
    let class = host.state.as_str();
    html! {
        tr.(class) data-host=(host.name) {
            th scope="row" { a href={ "/hosts/" (segment(host.name.as_str())) } { (host.name) } }
            td.state.(class) { (state(host.state)) @if !host.alerts.is_empty() { " ▲" } }
            @if let Some(points) = spark {
                td.line { (chart::spark(&known(points.iter().copied()))) }
            }
            @for metric in metrics {
                @let value = value(host, metric);
                td.number.hot[is_hot(metric, value)] data-metric=(metric) data-label=(heading(metric)) {
                    (cell_content(metric, value))
                }
            }
        }
    }
}

fn known(values: impl Iterator<Item = Option<Value>>) -> Vec<Option<f64>> {
    values
        .map(|value| value.map(|Value(value)| value))
        .collect()
}

fn fleet_body(app: &App, mirror: &Mirror) -> Markup {
    let now = app.clock.now();
    let (fleet, alerts) = (mirror.fleet(&app.title, now), mirror.alerts());
    let sparks = fleet.metrics.contains(&"cpu").then(|| mirror.sparks("cpu"));
    let sparks = sparks.and_then(Result::ok);
    let services = mirror.services();
    html! {
        header { h1 { (app.title) } (status(mirror)) }
        (notice(mirror, now))
        main #main {
            (alert_list(&alerts.alerts))
            (services::above(&services))
            table #fleet {
                caption { "Hosts" }
                thead {
                    tr {
                        th scope="col" { "Host" }
                        th scope="col" { "State" }
                        @if sparks.is_some() { th scope="col" { "CPU, 15 min" } }
                        @for metric in &fleet.metrics {
                            th.number scope="col" { (heading(metric)) }
                        }
                    }
                }
                tbody {
                    @for host in &fleet.hosts {
                        @let spark = sparks.as_ref().and_then(|sparks| sparks.hosts.get(host.name));
                        (row(host, &fleet.metrics, spark.map(Vec::as_slice)))
                    }
                }
            }
            (services::below(&services))
        }
    }
}

pub(super) async fn fleet(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let body = fleet_body(&app, &app.mirror());
    let page = document(&app, &app.title, Kind::Fleet, &body);
    response::content(&headers, HTML, page)
}

fn figure(series: &SeriesView<'_>) -> Markup {
    let points = known(series.points.iter().map(|(_, value)| *value));
    let metric = series.metric;
    let largest = chart::largest(&points);
    let label = format!(
        "{}: last hour, peak {}",
        heading(metric),
        number(metric, largest)
    );
    let max = if is_share(metric) {
        1.0
    } else {
        largest.unwrap_or(1.0).max(1e-9)
    };
    html! {
        figure { figcaption { (label) } (chart::chart(&points, max, &label)) }
    }
}

fn ranges() -> Markup {
    html! {
        nav #ranges aria-label="Time range" hidden {
            @for (label, span_ms) in RANGES {
                @let is_default = i64::from(span_ms) == CHART_RANGE_MS;
                button type="button" data-span=(span_ms) aria-pressed=[is_default.then_some("true")] { (label) }
            }
        }
    }
}

fn host_body(app: &App, mirror: &Mirror, host: &HostView<'_>) -> Markup {
    let (name, to) = (host.name.as_str(), mirror.as_of());
    let metrics = mirror.metrics();
    let series = |metric| mirror.series(name, metric, to - CHART_RANGE_MS, to, CHART_STEP_MS);
    html! {
        header {
            div.up { p { a href="/" { "← " (app.title) } } (status(mirror)) }
            h1 { (name) }
            p #state.state.(host.state.as_str()) { (state(host.state)) }
        }
        (notice(mirror, app.clock.now()))
        main #main {
            (alert_list(&host.alerts))
            dl #values {
                @for metric in &metrics {
                    @let value = value(host, metric);
                    div {
                        dt { (heading(metric)) }
                        dd.number.hot[is_hot(metric, value)] data-metric=(metric) data-label=(heading(metric)) {
                            (cell_content(metric, value))
                        }
                    }
                }
            }
            (ranges())
            section #charts aria-label="Charts" {
                @for series in metrics.iter().filter_map(|metric| series(metric).ok()) {
                    (figure(&series))
                }
            }
        }
    }
}

pub(super) async fn host(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mirror = app.mirror();
    let Ok(host) = mirror.host(&name) else {
        return not_found_page(&app);
    };
    let body = host_body(&app, &mirror, &host);
    let (name, title) = (host.name, format!("{} – {}", host.name, app.title));
    let page = document(&app, &title, Kind::Host(name.as_str()), &body);
    response::content(&headers, HTML, page)
}

pub(super) async fn not_found(State(app): State<Arc<App>>) -> Response {
    not_found_page(&app)
}

fn not_found_page(app: &App) -> Response {
    let title = "Page not found";
    let body = html! {
        header { h1 { (title) } }
        main #main { p { a href="/" { "All hosts" } } }
    };
    let page = document(app, title, Kind::Error, &body);
    (StatusCode::NOT_FOUND, [("content-type", HTML)], page).into_response()
}
