//! The lines at the top of a host: its firing alerts, and that it is offline.

use sysmon_config::time::{format_clock, format_span};
use sysmon_wire::message::{AlertLine, HostState};
use unicode_width::UnicodeWidthStr;

use super::About;
use crate::format::fit;
use crate::model::alert_text::why;
use crate::theme::Severity;
use crate::widgets::section::Spans;

/// Most alerts that have a line each.
const ALERTS_MAX: usize = 3;

/// Its state if it is not live, then its alerts, the worst first.
pub(crate) fn of(about: &About<'_>, state: HostState) -> Vec<Spans> {
    let mut lines: Vec<Spans> = offline(about, state).into_iter().collect();
    let alerts = about.host.line.iter().flat_map(|line| &line.alerts);
    lines.extend(
        alerts
            .take(ALERTS_MAX)
            .map(|alert| alert_line(about, alert)),
    );
    lines
}

/// The ground of the lines.
pub(crate) fn severity(about: &About<'_>) -> Severity {
    let alerts = about.host.line.iter().flat_map(|line| &line.alerts);
    super::charts::worst(alerts)
}

fn offline(about: &About<'_>, state: HostState) -> Option<Spans> {
    let theme = &about.context.theme;
    let (sign, word) = match state {
        HostState::Live => return None,
        HostState::Stale => (theme.pick("○ ", "~ "), "LATE"),
        HostState::Offline => (theme.pick("✕ ", "x "), "OFFLINE"),
    };
    let Some(last) = about.end() else {
        return Some(vec![
            (sign.to_owned(), theme.title),
            (word.to_owned(), theme.title),
        ]);
    };
    let since = format_span((about.context.moment() - last).max(0));
    let clock = format_clock(last.0, &about.context.zone);
    Some(vec![
        (format!("{sign}{word} {since}"), theme.title),
        (
            format!("   last heard {clock}   everything below is as it was then"),
            theme.dim,
        ),
    ])
}

fn alert_line(about: &About<'_>, alert: &AlertLine) -> Spans {
    let context = about.context;
    let theme = &context.theme;
    let severity = Severity::from(alert.severity);
    let since = format_clock(alert.since.0, &context.zone);
    let lasted = format_span((context.moment() - alert.since).max(0));
    let summary = why(alert, about.host.name.as_str());
    let mut spans = vec![
        (
            format!("{} {}", theme.severity_sign(severity), alert.rule),
            theme.severity(severity),
        ),
        (
            format!("   {}", fit(&summary, summary.width().min(60))),
            theme.title,
        ),
        (format!("   since {since}"), theme.dim),
        (format!("  {lasted}"), theme.text),
    ];
    if let Some(by) = &alert.acknowledged {
        spans.push((format!("   ack {by}"), theme.dim));
    } else if let Some(why) = &alert.silenced {
        spans.push((format!("   silenced: {why}"), theme.dim));
    }
    spans
}
