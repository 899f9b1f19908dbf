//! Edges, exports and maintenance windows, for `status`.

use serde_json::{Map, Value, json};
use sysmon_config::time::format_span;
use sysmon_wire::message::{EdgeState, ExportLine, MaintenanceState};

pub(super) fn edges_json(edges: &[EdgeState]) -> Value {
    let edge = |edge: &EdgeState| json!({ "address": edge.address, "connected": edge.error.is_none(), "error": edge.error });
    edges.iter().map(edge).collect()
}

/// A table of the edges; empty if there are none.
pub(super) fn edges_table(edges: &[EdgeState]) -> String {
    if edges.is_empty() {
        return String::new();
    }
    let line = |edge: &EdgeState| match &edge.error {
        None => format!("{}: connected\n", edge.address),
        Some(error) => format!("{}: not connected: {error}\n", edge.address),
    };
    let lines: String = edges.iter().map(line).collect();
    format!("\nEDGES\n{lines}")
}

/// The destinations of exports as an array: what each does, how far it is behind, and what it refused by reason.
pub fn exports_json(exports: &[ExportLine]) -> Value {
    let export = |export: &ExportLine| {
        let refused = export.refused.iter();
        let refused: Map<String, Value> = refused
            .map(|(reason, values)| (reason.to_string(), (*values).into()))
            .collect();
        json!({
            "name": export.name,
            "kind": export.kind,
            "address": export.address,
            "state": export.state,
            "error": export.error,
            "lag_ms": export.lag_ms,
            "rows_total": export.rows,
            "bytes_total": export.bytes,
            "samples_total": export.samples,
            "refused_total": export.refused_total(),
            "refused": refused,
            "pending_ms": export.pending_ms,
            "pending_hosts": export.pending_hosts,
            "lost_ms": export.lost_ms,
        })
    };
    exports.iter().map(export).collect()
}

/// A table of the exports; empty if there are none.
pub(super) fn exports_table(exports: &[ExportLine]) -> String {
    if exports.is_empty() {
        return String::new();
    }
    let line = |export: &ExportLine| {
        let ExportLine {
            name,
            kind,
            address,
            state,
            ..
        } = export;
        let behind = format_span(export.lag_ms);
        let error = export.error.as_ref().map(|error| format!(": {error}"));
        format!(
            "{name} ({kind}, {address}): {state}, {behind} behind{}\n",
            error.unwrap_or_default()
        )
    };
    let lines: String = exports.iter().map(line).collect();
    format!("\nEXPORTS\n{lines}")
}

pub(super) fn maintenance_json(windows: &[MaintenanceState]) -> Value {
    let window =
        |window: &MaintenanceState| json!({ "window": window.window, "open": window.is_open });
    windows.iter().map(window).collect()
}

/// A table of the maintenance windows; empty if there are none.
pub(super) fn maintenance_table(windows: &[MaintenanceState]) -> String {
    if windows.is_empty() {
        return String::new();
    }
    let line = |window: &MaintenanceState| match window.is_open {
        true => format!("{}: open, notifications are suppressed\n", window.window),
        false => format!("{}\n", window.window),
    };
    let lines: String = windows.iter().map(line).collect();
    format!("\nMAINTENANCE WINDOWS\n{lines}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_listed_with_what_keeps_them() {
        let export = ExportLine {
            name: "vm".into(),
            kind: "remote-write".into(),
            address: "https://vm".into(),
            state: "failing".into(),
            error: Some("connection refused".into()),
            lag_ms: 90_000,
            rows: 7,
            bytes: 9,
            samples: 90,
            refused: vec![("too old".into(), 1), ("no".into(), 2)],
            pending_ms: 60_000,
            pending_hosts: 1,
            lost_ms: 0,
        };
        assert_eq!(
            exports_table(std::slice::from_ref(&export)),
            "\nEXPORTS\nvm (remote-write, https://vm): failing, 1 min 30 s behind: connection refused\n"
        );
        let json = exports_json(&[export]);
        assert_eq!(
            (&json[0]["rows_total"], &json[0]["refused_total"]),
            (&json!(7), &json!(3))
        );
        assert_eq!(exports_table(&[]), "");
    }

    #[test]
    fn edges_and_windows_are_listed_with_their_state() {
        let edge = |address: &str, error: Option<&str>| EdgeState {
            address: address.into(),
            error: error.map(Into::into),
        };
        let edges = [edge("a:1", None), edge("b:1", Some("timed out"))];
        assert_eq!(
            edges_table(&edges),
            "\nEDGES\na:1: connected\nb:1: not connected: timed out\n"
        );
        assert_eq!(edges_json(&edges)[0]["connected"], true);
        assert_eq!(edges_json(&edges)[1]["error"], "timed out");
        let window = MaintenanceState {
            window: "web-* sun 02:00-04:00".into(),
            is_open: true,
        };
        let table = maintenance_table(std::slice::from_ref(&window));
        assert!(table.contains("sun 02:00-04:00: open"), "{table}");
        assert_eq!(maintenance_json(&[window])[0]["open"], true);
        assert_eq!(edges_table(&[]) + &maintenance_table(&[]), "");
    }
}
