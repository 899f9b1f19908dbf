//! Below the table of hosts: details of the selected host or group, and its problems.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::message::HostState;
use unicode_width::UnicodeWidthStr;

use super::columns::SIGN;
use super::state::{Fleet, Group, HostRow};
use crate::context::Context;
use crate::format::{fit, size, wrap};
use crate::model::alert_text::why;
use crate::theme::{Severity, Theme};
use crate::widgets::paint::Pen;

/// Draws the details in as many lines as the area has; problems come first.
pub(super) fn draw(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = &context.theme;
    let (name, parts) = match (fleet.selected(), fleet.selected_group()) {
        (Some(host), _) => (host.line.name.as_str(), of_host(theme, host)),
        (None, Some(group)) => (group.name(), of_group(fleet, group)),
        (None, None) => return,
    };
    let text = parts.join(theme.pick(" · ", " - "));
    let indent = SIGN + name.width() + 2;
    let width = usize::from(area.width).saturating_sub(SIGN + 1);
    // The first line begins after the name, the others where the name does.
    let first = " ".repeat(name.width() + 2);
    let lines = wrap_after(&first, &text, width);
    Pen::new(buffer, area, 0).skip(SIGN).text(name, theme.title);
    for (at, line) in lines.iter().enumerate() {
        let row = at as u16;
        let is_last = row + 1 >= area.height;
        let skip = if at == 0 { indent } else { SIGN };
        let rest = lines.get(at + 1).filter(|_| is_last);
        let line = match rest {
            Some(rest) => format!("{line} {rest}"),
            None => line.clone(),
        };
        let room = usize::from(area.width).saturating_sub(skip + 1);
        let line = fit(&line, line.width().min(room));
        Pen::new(buffer, area, row)
            .skip(skip)
            .text(&line, theme.dim);
        if is_last {
            break;
        }
    }
}

/// Lines of a text of which the first begins after something else.
fn wrap_after(before: &str, text: &str, width: usize) -> Vec<String> {
    let filled = before.replace(' ', "x");
    let lines = wrap(&format!("{filled} {text}"), width + 1);
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix(&filled).unwrap_or(&first);
    let first = first.trim_start().to_owned();
    std::iter::once(first).chain(lines).collect()
}

fn of_host(theme: &Theme, host: &HostRow) -> Vec<String> {
    let facts = &host.line.facts;
    let mut parts = Vec::new();
    for alert in &host.line.alerts {
        let sign = theme.severity_sign(alert.severity.into());
        let why = why(alert, host.line.name.as_str());
        parts.push(format!("{sign} {}: {why}", alert.rule));
    }
    if !facts.os.as_str().is_empty() {
        parts.push(facts.os.to_string());
    }
    if facts.cpus > 0 {
        parts.push(format!("{} processors", facts.cpus));
        parts.push(format!("{} memory", size(Some(facts.memory_bytes as f64))));
    }
    // Tags come before what is rarely needed.
    if !facts.tags.is_empty() {
        let tags = facts.tags.iter().map(|tag| format!("#{tag}"));
        parts.push(tags.collect::<Vec<_>>().join(" "));
    }
    if !facts.agent_version.as_str().is_empty() {
        parts.push(format!("agent {}", facts.agent_version));
    }
    if !facts.source.as_str().is_empty() {
        parts.push(facts.source.to_string());
    }
    if host.line.health.missing_rows > 0 {
        parts.push(format!("{} rows missing", host.line.health.missing_rows));
    }
    let offset = host.line.health.clock_offset_ms;
    if offset.abs() >= 1000 {
        let side = if offset > 0 { "ahead" } else { "behind" };
        parts.push(format!("clock {} s {side}", offset.abs() / 1000));
    }
    parts
}

/// How many hosts a group has in which state, and the names of those that are not well.
fn of_group(fleet: &Fleet, group: &Group) -> Vec<String> {
    let counts = &group.counts;
    let mut parts = vec![match counts.hosts {
        1 => "1 host".to_owned(),
        hosts => format!("{hosts} hosts"),
    }];
    for (count, word) in [
        (counts.live, "live"),
        (counts.stale, "stale"),
        (counts.offline, "offline"),
        (counts.unrecorded, "no data yet"),
        (counts.critical, "critical"),
        (counts.warning, "with a warning"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    let is_well = |host: &&HostRow| {
        host.severity() == Severity::None
            && (host.tick.state == HostState::Live || host.is_unrecorded())
    };
    let ill = fleet
        .shown()
        .filter(|host| host.line.facts.tags.first() == group.tag.as_ref() && !is_well(host));
    let names: Vec<_> = ill.map(|host| host.line.name.to_string()).collect();
    if !names.is_empty() {
        parts.push(names.join(", "));
    }
    parts
}
