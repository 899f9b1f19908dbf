//! The pages as HTML that needs no script: with one, they move.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::text::{clock, counts, escape, heading, is_hot, is_share, number, path, sign};
use super::{App, answer, chart, now};

const HTML: &str = "text/html; charset=utf-8";

/// History that a page without a script shows, and the milliseconds a point of it stands for.
const HISTORY_MS: i64 = 3_600_000;
const HISTORY_STEP_MS: i64 = 60_000;

/// Scripts and styles of a page beyond the common ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fleet,
    Host,
    Plain,
}

fn frame(app: &App, title: &str, kind: Kind, host: &str, body: &str) -> String {
    let asset = |stem: &str, extension: &str| app.assets.path(stem, extension);
    let style = |stem: &str| {
        format!(
            "<link rel=\"stylesheet\" href=\"{}\">\n",
            asset(stem, "css")
        )
    };
    let script = |stem: &str| format!("<script src=\"{}\" defer></script>\n", asset(stem, "js"));
    let (mut styles, mut scripts) = (style("style"), String::new());
    if kind == Kind::Host {
        styles.insert_str(0, &style("uPlot"));
        scripts.push_str(&script("uPlot"));
    }
    if kind != Kind::Plain {
        scripts.push_str(&script("app"));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"{icon}\">\n{styles}{scripts}</head>\n\
         <body data-host=\"{host}\">\n<a class=\"skip\" href=\"#main\">Skip to the numbers</a>\n{body}</body>\n</html>\n",
        title = escape(title),
        icon = asset("icon", "svg"),
        host = escape(host),
    )
}

/// How the fleet does.
fn status(app: &App) -> String {
    let (counts_now, alerts) = {
        let mirror = app.mirror();
        (mirror.counts(), mirror.firing())
    };
    let words = escape(&counts(counts_now, alerts));
    format!("<p id=\"status\" role=\"status\">{words}</p>")
}

/// That what is shown is not of this moment, if so.
fn away(app: &App) -> String {
    let (is_live, as_of) = {
        let mirror = app.mirror();
        (mirror.is_live(now()), mirror.as_of().0)
    };
    let (class, notice) = match (is_live, as_of) {
        (true, _) => (" hidden", String::new()),
        (false, 0) => (
            "",
            "Nothing is known yet: the hub has not been here.".to_owned(),
        ),
        (false, _) => (
            "",
            format!(
                "As of {}: the hub is away, and what is shown is what it said last.",
                clock(as_of)
            ),
        ),
    };
    format!("<p id=\"away\" role=\"alert\"{class}>{notice}</p>\n")
}

fn value(host: &Value, metric: &str) -> Option<f64> {
    host["metrics"][metric].as_f64()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Alerts as a list, hidden while there are none.
fn alerts(alerts: &[Value]) -> String {
    let hidden = if alerts.is_empty() { " hidden" } else { "" };
    let mut html =
        format!("<section id=\"alerts\" aria-label=\"Alerts\"{hidden}>\n<h2>Alerts</h2>\n<ul>\n");
    for alert in alerts {
        let since = clock(alert["since_ms"].as_i64().unwrap_or(0));
        let words = [text(alert, "rule"), text(alert, "summary")]
            .map(escape)
            .join(" ");
        let host = match text(alert, "host") {
            "" => String::new(),
            name => format!("<a href=\"/hosts/{}\">{}</a> ", path(name), escape(name)),
        };
        let severity = text(alert, "severity");
        let (class, sign, care) = match alert["acknowledged_ms"].as_i64() {
            Some(at) => (" cared", "△", format!(", acknowledged {}", clock(at))),
            None => ("", "▲", String::new()),
        };
        let _ = writeln!(
            html,
            "<li class=\"{severity}{class}\"><span aria-hidden=\"true\">{sign}</span> {severity} {host}{words} <small>since {since}{care}</small></li>"
        );
    }
    html.push_str("</ul>\n</section>\n");
    html
}

/// A value with its bar, in an element of this name.
fn cell(element: &str, host: &Value, metric: &str) -> String {
    let value = value(host, metric);
    let hot = if is_hot(metric, value) { " hot" } else { "" };
    let bar = if is_share(metric) {
        let width = value.unwrap_or(0.0).clamp(0.0, 1.0) * 100.0;
        format!(
            "<svg class=\"bar\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"{width:.0}\" height=\"4\"/></svg>"
        )
    } else {
        String::new()
    };
    format!(
        "<{element} class=\"number{hot}\" data-metric=\"{metric}\" data-label=\"{}\">{bar}<span>{}</span></{element}>",
        heading(metric),
        number(metric, value)
    )
}

fn row(host: &Value, metrics: &[&str], spark: &Value) -> String {
    let (name, state) = (text(host, "name"), text(host, "state"));
    let firing = if list(host, "alerts").is_empty() {
        ""
    } else {
        " ▲"
    };
    let mut html = format!(
        "<tr data-host=\"{0}\" class=\"{state}\"><th scope=\"row\"><a href=\"/hosts/{1}\">{0}</a></th>\
         <td class=\"state {state}\"><span aria-hidden=\"true\">{2}</span> {state}{firing}</td>",
        escape(name),
        path(name),
        sign(state)
    );
    if metrics.contains(&"cpu") {
        let points = list(spark, name).iter().map(Value::as_f64);
        let points: Vec<_> = points.collect();
        let _ = write!(html, "<td class=\"line\">{}</td>", chart::spark(&points));
    }
    for metric in metrics {
        html.push_str(&cell("td", host, metric));
    }
    html.push_str("</tr>\n");
    html
}

/// The page of all hosts.
pub(super) async fn fleet(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let (fleet, firing, metrics, sparks) = {
        let mirror = app.mirror();
        (
            mirror.fleet(&app.title, now()),
            mirror.alerts(),
            mirror.metrics(),
            mirror.sparks("cpu").unwrap_or_default(),
        )
    };
    let mut body = format!(
        "<header><h1>{}</h1>{}</header>\n{}<main id=\"main\">\n{}<table id=\"fleet\">\n<caption>Hosts</caption>\n<thead><tr>\
         <th scope=\"col\">Host</th><th scope=\"col\">State</th>",
        escape(&app.title),
        status(&app),
        away(&app),
        alerts(list(&firing, "alerts"))
    );
    if metrics.contains(&"cpu") {
        body.push_str("<th scope=\"col\">CPU, 15 min</th>");
    }
    for metric in &metrics {
        let _ = write!(
            body,
            "<th scope=\"col\" class=\"number\">{}</th>",
            heading(metric)
        );
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for host in list(&fleet, "hosts") {
        body.push_str(&row(host, &metrics, &sparks["hosts"]));
    }
    body.push_str("</tbody>\n</table>\n</main>\n");
    answer::content(
        &headers,
        HTML,
        frame(&app, &app.title, Kind::Fleet, "", &body),
    )
}

/// A chart of an hour, for those without a script.
fn history(app: &App, host: &str, metric: &str) -> String {
    let series = {
        let mirror = app.mirror();
        let to = mirror.as_of();
        mirror.series(host, metric, to - HISTORY_MS, to, HISTORY_STEP_MS)
    };
    let points: Vec<_> = match &series {
        Ok(series) => list(series, "points")
            .iter()
            .map(|point| point[1].as_f64())
            .collect(),
        Err(_) => return String::new(),
    };
    let largest = chart::largest(&points);
    let label = format!(
        "{}: the last hour, at most {}",
        heading(metric),
        number(metric, largest)
    );
    let max = if is_share(metric) {
        1.0
    } else {
        largest.unwrap_or(1.0).max(1e-9)
    };
    format!(
        "<figure><figcaption>{label}</figcaption>{}</figure>\n",
        chart::chart(&points, max, &label)
    )
}

/// The page of one host.
pub(super) async fn host(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let (found, metrics) = {
        let mirror = app.mirror();
        (mirror.host(&name), mirror.metrics())
    };
    let Ok(host) = found else {
        return nothing(State(app)).await;
    };
    let name = text(&host, "name");
    let (shown, state) = (escape(name), text(&host, "state"));
    let mut body = format!(
        "<header><div class=\"up\"><p><a href=\"/\">← {}</a></p>{}</div><h1>{shown}</h1><p id=\"state\" class=\"state {state}\">\
         <span aria-hidden=\"true\">{}</span> {state}</p></header>\n{}\
         <main id=\"main\">\n{}<dl id=\"values\">",
        escape(&app.title),
        status(&app),
        sign(state),
        away(&app),
        alerts(list(&host, "alerts")),
    );
    for metric in &metrics {
        let _ = write!(
            body,
            "<div><dt>{}</dt>{}</div>",
            heading(metric),
            cell("dd", &host, metric)
        );
    }
    body.push_str(
        "</dl>\n<nav id=\"ranges\" aria-label=\"Time range\" hidden>\
         <button type=\"button\" data-span=\"900000\">15 min</button>\
         <button type=\"button\" data-span=\"3600000\" aria-pressed=\"true\">1 h</button>\
         <button type=\"button\" data-span=\"10800000\">3 h</button>\
         <button type=\"button\" data-span=\"21600000\">6 h</button></nav>\n\
         <section id=\"charts\" aria-label=\"Charts\">\n",
    );
    for metric in &metrics {
        body.push_str(&history(&app, name, metric));
    }
    body.push_str("</section>\n</main>\n");
    let title = format!("{name} – {}", app.title);
    answer::content(&headers, HTML, frame(&app, &title, Kind::Host, name, &body))
}

/// What stands where nothing is.
pub(super) async fn nothing(State(app): State<Arc<App>>) -> Response {
    let body = "<header><h1>Nothing here</h1></header>\n<main id=\"main\"><p><a href=\"/\">To all hosts</a></p></main>\n";
    let html = frame(&app, "Nothing here", Kind::Plain, "", body);
    (StatusCode::NOT_FOUND, [("content-type", HTML)], html).into_response()
}
