//! Firing alerts and the state of the notification routes, for `status`.

use serde_json::{Value, json};
use sysmon_config::time::format_span;
use sysmon_wire::UnixMs;
use sysmon_wire::alerts::{AlertState, Alerts, RouteState};

const LINES_MAX: usize = 20;

pub(super) fn alerts_json(alerts: &Alerts) -> Value {
    let alert = |alert: &AlertState| {
        let who = alert.acknowledged.as_ref();
        json!({
            "host": alert.host, "rule": alert.rule, "what": alert.device,
            "severity": alert.severity.as_str(), "since_ms": alert.since.0, "summary": alert.summary,
            "acknowledged_by": who.map(|who| &who.by), "acknowledged_ms": who.map(|who| who.at.0),
            "note": who.map(|who| &who.note), "silenced": alert.silenced,
        })
    };
    alerts.alerts.iter().map(alert).collect()
}

pub(super) fn routes_json(alerts: &Alerts) -> Value {
    let route = |route: &RouteState| {
        json!({
            "route": route.route, "waiting": route.queued, "dropped": route.dropped,
            "told_ms": route.last_sent.map(|sent| sent.0), "failing_since_ms": route.failing_since.map(|since| since.0),
            "error": route.failing_since.map(|_| &route.error),
        })
    };
    alerts.routes.iter().map(route).collect()
}

/// A table of alerts and routes; empty if there are none.
pub(super) fn alerts_table(alerts: &Alerts, now: UnixMs) -> String {
    let mut out = String::new();
    if !alerts.alerts.is_empty() {
        out.push_str("\nALERTS\n");
    }
    let mut worst_first: Vec<&AlertState> = alerts.alerts.iter().collect();
    worst_first.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.since));
    worst_first.truncate(LINES_MAX);
    let width = |text: fn(&AlertState) -> &str| {
        let widths = worst_first.iter().map(|alert| text(alert).chars().count());
        widths.max().unwrap_or(0)
    };
    let host_width = width(|alert| alert.host.as_str());
    let rule_width = width(|alert| alert.rule.as_str());
    for alert in worst_first {
        let lasts = format_span((now - alert.since).max(0));
        let (severity, host, rule) = (alert.severity.as_str(), &alert.host, &alert.rule);
        out.push_str(&format!(
            "{severity:<8}  {:<host_width$}  {:<rule_width$}  {lasts:>9}  {}{}\n",
            host.as_str(),
            rule.as_str(),
            alert.summary,
            note(alert)
        ));
    }
    let shown = alerts.alerts.len().min(LINES_MAX);
    let more = alerts.alerts.len() - shown + alerts.more as usize;
    if more > 0 {
        out.push_str(&format!("and {more} more\n"));
    }
    if !alerts.routes.is_empty() {
        out.push_str("\nNOTIFICATIONS\n");
    }
    for route in &alerts.routes {
        let state = match (route.failing_since, route.last_sent) {
            (Some(since), _) => {
                let span = format_span((now - since).max(0));
                format!(
                    "failing for {span}: {}; {} queued",
                    route.error, route.queued
                )
            }
            (None, Some(sent)) => format!("last sent {} ago", format_span((now - sent).max(0))),
            (None, None) => "nothing sent yet".to_owned(),
        };
        let dropped = match route.dropped {
            0 => String::new(),
            dropped => format!("; {dropped} dropped"),
        };
        out.push_str(&format!("{}: {state}{dropped}\n", route.route));
    }
    out
}

fn note(alert: &AlertState) -> String {
    match (&alert.acknowledged, &alert.silenced) {
        (Some(who), _) if who.note.as_str().is_empty() => format!(" [acknowledged by {}]", who.by),
        (Some(who), _) => format!(" [acknowledged by {}: {}]", who.by, who.note),
        (None, Some(reason)) => format!(" [silenced: {reason}]"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::alerts::Acknowledgement;
    use sysmon_wire::message::Severity;

    #[test]
    fn firing_alerts_and_failing_routes_are_listed() {
        let alert = |host: &str| AlertState {
            host: host.into(),
            rule: "full".into(),
            device: "/".into(),
            severity: Severity::Critical,
            since: UnixMs(10_000),
            summary: "/ is full".into(),
            acknowledged: None,
            silenced: None,
        };
        let alerts = Alerts {
            alerts: vec![
                AlertState {
                    acknowledged: Some(Acknowledgement {
                        by: "jane".into(),
                        at: UnixMs(0),
                        note: "on it".into(),
                    }),
                    ..alert("a")
                },
                AlertState {
                    silenced: Some("new disks".into()),
                    ..alert("b")
                },
            ],
            more: 3,
            routes: vec![RouteState {
                route: "webhook at x".into(),
                queued: 2,
                dropped: 0,
                last_sent: None,
                failing_since: Some(UnixMs(40_000)),
                error: "HTTP status 500".into(),
            }],
            ..Alerts::default()
        };
        assert_eq!(
            alerts_table(&alerts, UnixMs(70_000)),
            "\nALERTS\ncritical  a  full      1 min  / is full [acknowledged by jane: on it]\n\
             critical  b  full      1 min  / is full [silenced: new disks]\nand 3 more\n\
             \nNOTIFICATIONS\nwebhook at x: failing for 30 s: HTTP status 500; 2 queued\n"
        );
        assert_eq!(alerts_json(&alerts)[0]["acknowledged_by"], "jane");
        assert_eq!(routes_json(&alerts)[0]["error"], "HTTP status 500");
        assert_eq!(alerts_table(&Alerts::default(), UnixMs(0)), "");
    }
}
