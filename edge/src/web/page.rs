//! The pages as HTML that needs no script: with one, they move.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;
use sysmon_wire::message::HostState;

use super::{App, now};

/// Columns of the table: metric, heading.
const COLUMNS: [(&str, &str); 8] = [
    ("cpu", "CPU"),
    ("mem", "Memory"),
    ("load1", "Load"),
    ("net.rx", "In/s"),
    ("net.tx", "Out/s"),
    ("disk.read", "Read/s"),
    ("disk.write", "Write/s"),
    ("fs.worst", "Disk"),
];

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn frame(app: &App, title: &str, body: &str, host: Option<&str>) -> String {
    let asset = |stem: &str, extension: &str| app.assets.path(stem, extension);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"/badge.svg\">\n\
         <link rel=\"stylesheet\" href=\"{}\">\n<link rel=\"stylesheet\" href=\"{}\">\n\
         <script src=\"{}\" defer></script>\n<script src=\"{}\" defer></script>\n</head>\n\
         <body data-host=\"{}\">\n{body}</body>\n</html>\n",
        asset("uPlot", "css"),
        asset("style", "css"),
        asset("uPlot", "js"),
        asset("app", "js"),
        escape(host.unwrap_or_default()),
        title = escape(title),
    )
}

/// Seconds of the day in UTC: the page's script shows the reader's own time.
fn clock(ms: i64) -> String {
    let seconds = ms.div_euclid(1000).rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02} UTC",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn status(fleet: &Value) -> String {
    let as_of = fleet["as_of_ms"].as_i64().unwrap_or(0);
    let hosts = fleet["hosts"].as_array().map_or(&[][..], Vec::as_slice);
    let live = hosts.iter().filter(|host| host["state"] == "live").count();
    let firing = hosts
        .iter()
        .filter_map(|host| host["alerts"].as_array())
        .flatten()
        .count();
    let mut text = if fleet["live"] == true {
        format!("{live} of {} hosts live", hosts.len())
    } else if as_of == 0 {
        "Nothing is known yet: the hub has not been here".to_owned()
    } else {
        format!("As of {}: the hub is away", clock(as_of))
    };
    if firing > 0 {
        let _ = write!(text, ", {firing} alerts");
    }
    text
}

fn number(metric: &str, value: &Value) -> String {
    let Some(value) = value.as_f64() else {
        return "–".to_owned();
    };
    match metric {
        "cpu" | "mem" | "fs.worst" => format!("{:.0} %", value * 100.0),
        "load1" => format!("{value:.2}"),
        "temp.max" => format!("{value:.0} °C"),
        _ => bytes(value),
    }
}

fn bytes(mut value: f64) -> String {
    for prefix in ["", "k", "M", "G"] {
        if value < 999.5 {
            let decimals = usize::from(value < 9.95 && !prefix.is_empty());
            return format!("{value:.decimals$} {prefix}B");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

pub(super) async fn fleet(State(app): State<Arc<App>>) -> Response {
    let fleet = app.mirror().fleet(&app.title, now());
    let mut body = format!(
        "<header><h1>{}</h1><p id=\"status\" role=\"status\">{}</p></header>\n<main>\n<table id=\"fleet\">\n<thead><tr>\
         <th scope=\"col\">Host</th><th scope=\"col\">State</th><th scope=\"col\">CPU, 15 min</th>",
        escape(&app.title),
        escape(&status(&fleet))
    );
    for (_, heading) in COLUMNS {
        let _ = write!(body, "<th scope=\"col\" class=\"number\">{heading}</th>");
    }
    body.push_str("</tr></thead>\n<tbody>\n");
    for host in fleet["hosts"].as_array().into_iter().flatten() {
        let (name, state) = (
            host["name"].as_str().unwrap_or_default(),
            host["state"].as_str().unwrap_or_default(),
        );
        let alerts = host["alerts"].as_array().map_or(0, Vec::len);
        let sign = if alerts > 0 { " ▲" } else { "" };
        let _ = write!(
            body,
            "<tr data-host=\"{0}\"><th scope=\"row\"><a href=\"/hosts/{1}\">{0}</a></th><td class=\"state {state}\">{state}{sign}</td><td data-spark></td>",
            escape(name),
            path(name)
        );
        for (metric, _) in COLUMNS {
            let _ = write!(
                body,
                "<td class=\"number\" data-metric=\"{metric}\">{}</td>",
                number(metric, &host["metrics"][metric])
            );
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody>\n</table>\n</main>\n");
    Html(frame(&app, &app.title, &body, None)).into_response()
}

/// A name as part of a path.
fn path(name: &str) -> String {
    let byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(byte).collect()
}

pub(super) async fn host(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    let found = app.mirror().host(&name);
    let Ok(host) = found else {
        return nothing(State(app)).await;
    };
    let shown = escape(host["name"].as_str().unwrap_or_default());
    let state = host["state"].as_str().unwrap_or_default();
    let mut body = format!(
        "<header><p><a href=\"/\">{}</a></p><h1>{shown}</h1><p id=\"status\" role=\"status\" class=\"state {state}\">{state}</p></header>\n\
         <main>\n<nav aria-label=\"Time range\"><button type=\"button\" data-span=\"900000\">15 min</button>\
         <button type=\"button\" data-span=\"3600000\" aria-pressed=\"true\">1 h</button>\
         <button type=\"button\" data-span=\"21600000\">6 h</button></nav>\n<dl id=\"values\">",
        escape(&app.title)
    );
    for (metric, heading) in COLUMNS.iter().chain(&[("temp.max", "Temperature")]) {
        let value = number(metric, &host["metrics"][metric]);
        let _ = write!(
            body,
            "<div><dt>{heading}</dt><dd data-metric=\"{metric}\">{value}</dd></div>"
        );
    }
    body.push_str("</dl>\n<section id=\"charts\" aria-label=\"Charts\"><noscript><p>Charts need JavaScript; the numbers above are as of this moment.</p></noscript></section>\n</main>\n");
    Html(frame(
        &app,
        &format!("{shown} – {}", app.title),
        &body,
        Some(&name),
    ))
    .into_response()
}

pub(super) async fn nothing(State(app): State<Arc<App>>) -> Response {
    let body = "<header><h1>Nothing here</h1></header><main><p><a href=\"/\">To the fleet</a></p></main>\n";
    (
        StatusCode::NOT_FOUND,
        Html(frame(&app, "Nothing here", body, None)),
    )
        .into_response()
}

fn badge(label: &str, value: &str, colour: &str) -> Response {
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
    // A badge is made to be shown on other people's pages.
    let open = [
        (header::CONTENT_TYPE.as_str(), "image/svg+xml"),
        ("cross-origin-resource-policy", "cross-origin"),
        (header::CACHE_CONTROL.as_str(), "max-age=30"),
    ];
    (open, svg).into_response()
}

pub(super) async fn fleet_badge(State(app): State<Arc<App>>) -> Response {
    let (counts, is_live) = {
        let mirror = app.mirror();
        (mirror.counts(), mirror.is_live(now()))
    };
    let live = counts
        .iter()
        .find(|(state, _)| *state == HostState::Live)
        .map_or(0, |(_, count)| *count);
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    let colour = if live == all && is_live {
        "#2a7d2e"
    } else {
        "#b35900"
    };
    badge("hosts", &format!("{live}/{all} live"), colour)
}

pub(super) async fn host_badge(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    let name = name.strip_suffix(".svg").unwrap_or(&name);
    let state = app.mirror().state(name);
    match state {
        Ok(state) => {
            let colour = if state == HostState::Live {
                "#2a7d2e"
            } else {
                "#b32d00"
            };
            badge(name, state.as_str(), colour)
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
