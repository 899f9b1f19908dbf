//! Limits of the hub and its hosts, for `status`.

use serde_json::{Value, json};
use sysmon_wire::message::HostLimit;

const LINES_MAX: usize = 20;

pub(super) fn limits_json(limits: &[HostLimit]) -> Value {
    let limit = |HostLimit { host, state }: &HostLimit| {
        json!({
            "host": host, "name": state.name, "max": state.max, "current": state.current,
            "reached_total": state.reached_total,
        })
    };
    limits.iter().map(limit).collect()
}

/// A table of the limits at which something was left out; empty if there are none.
pub(super) fn limits_table(limits: &[HostLimit]) -> String {
    let was_reached = |limit: &&HostLimit| limit.state.reached_total > 0;
    let reached: Vec<&HostLimit> = limits.iter().filter(was_reached).collect();
    if reached.is_empty() {
        return String::new();
    }
    let host = |limit: &HostLimit| {
        limit
            .host
            .as_ref()
            .map_or("hub".to_owned(), ToString::to_string)
    };
    let shown = reached.get(..LINES_MAX).unwrap_or(&reached);
    let names = shown.iter().map(|limit| host(limit).chars().count());
    let width = names.max().unwrap_or(0);
    let mut out = "\nLIMITS REACHED\n".to_owned();
    for limit in shown {
        let (name, state) = (host(limit), &limit.state);
        out.push_str(&format!(
            "{name:<width$}  {} of {} {}, {} left out so far\n",
            state.current, state.max, state.name, state.reached_total
        ));
    }
    let more = reached.len() - shown.len();
    if more > 0 {
        out.push_str(&format!("and {more} more\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::LimitState;

    #[test]
    fn limits_that_were_reached_are_listed_and_all_of_them_are_in_the_json() {
        let limit = |host: Option<&str>, reached_total| HostLimit {
            host: host.map(Into::into),
            state: LimitState {
                name: "series".into(),
                max: 9,
                current: 8,
                reached_total,
            },
        };
        let limits = [limit(None, 0), limit(Some("a"), 3)];
        let table = limits_table(&limits);
        assert_eq!(
            table,
            "\nLIMITS REACHED\na  8 of 9 series, 3 left out so far\n"
        );
        assert_eq!(limits_table(&limits[..1]), "");
        assert_eq!(
            limits_json(&limits),
            json!([
                {"host": null, "name": "series", "max": 9, "current": 8, "reached_total": 0},
                {"host": "a", "name": "series", "max": 9, "current": 8, "reached_total": 3},
            ])
        );
        let many: Vec<_> = (0..30).map(|_| limit(None, 1)).collect();
        assert!(limits_table(&many).ends_with("and 10 more\n"));
    }
}
