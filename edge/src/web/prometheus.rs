//! The edge's own figures in Prometheus's text format.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let (counts, is_live) = {
        let mirror = app.mirror();
        (mirror.counts(), mirror.is_live(app.clock.now()))
    };
    let connections = app.connections.load(Ordering::Relaxed);
    let mut text = "# TYPE sysmon_edge_hosts gauge\n".to_owned();
    for (state, count) in counts {
        let state = state.as_str();
        let _ = writeln!(text, "sysmon_edge_hosts{{state=\"{state}\"}} {count}");
    }
    for (name, kind, value) in [
        ("hub_connected", "gauge", u64::from(is_live)),
        ("connections", "gauge", connections),
        ("viewers", "gauge", app.viewers()),
        ("requests_total", "counter", app.requests()),
    ] {
        let _ = writeln!(text, "# TYPE sysmon_edge_{name} {kind}");
        let _ = writeln!(text, "sysmon_edge_{name} {value}");
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}
