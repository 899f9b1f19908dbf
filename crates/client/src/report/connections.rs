//! Edges and maintenance windows, for `status`.

use serde_json::{Value, json};
use sysmon_wire::message::{EdgeState, MaintenanceState};

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
