//! What needs somebody: the alerts that fire, above the table of hosts.
//!
//! ```text
//! ─ NEEDS YOU ──────────────────────────────────────────────────── A ack  S silence ─
//! ▲ db-2   saturated   load5 41.2, limit 32   since 10:03    6 m   postgres  1105 %
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::time::{format_clock, format_moment};
use sysmon_wire::message::AlertLine;
use sysmon_wire::{Label, UnixMs};
use unicode_width::UnicodeWidthStr;

use super::state::Fleet;
use crate::context::Context;
use crate::format::{fit, lasted};
use crate::keys::{Action, Mode};
use crate::model::alert_text::why;
use crate::model::process::program;
use crate::model::summary::{CPU, LOAD, place_of};
use crate::theme::{Severity, Theme};
use crate::widgets::paint::Pen;
use crate::widgets::section::{Section, Spans};

/// Screens lower than this have only the signs at the hosts.
const FROM_HEIGHT: u16 = 14;

const DAY_MS: i64 = 86_400_000;

pub(super) struct Need<'a> {
    pub(super) host: &'a Label,
    pub(super) alert: &'a AlertLine,
    /// Whether it is acknowledged or silenced.
    is_taken: bool,
}

/// Firing alerts, those first that are neither acknowledged nor silenced, of these the worst, of these the newest.
pub(super) fn needs(fleet: &Fleet) -> Vec<Need<'_>> {
    let alerts = fleet
        .all()
        .flat_map(|host| host.line.alerts.iter().map(move |alert| (host, alert)));
    let mut needs: Vec<_> = alerts
        .map(|(host, alert)| Need {
            host: &host.line.name,
            alert,
            is_taken: alert.acknowledged.is_some() || alert.silenced.is_some(),
        })
        .collect();
    needs.sort_by(|a, b| {
        let key = |need: &Need<'_>| {
            (
                need.is_taken,
                std::cmp::Reverse((need.alert.severity, need.alert.since)),
            )
        };
        key(a)
            .cmp(&key(b))
            .then_with(|| a.host.as_str().cmp(b.host.as_str()))
    });
    needs
}

/// The lines of the section: a rule, and the alerts in at most a quarter of the screen.
pub(super) fn rows(count: usize, screen_height: u16) -> u16 {
    if screen_height < FROM_HEIGHT {
        return 0;
    }
    let most = usize::from(screen_height / 4).saturating_sub(1).max(1);
    1 + count.min(most) as u16
}

pub(super) fn draw(fleet: &Fleet, context: &Context, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let needs = needs(fleet);
    let theme = match context.is_lost() {
        true => context.theme.faded(),
        false => context.theme,
    };
    if needs.is_empty() {
        let text = quiet(fleet, context);
        let mut section = Section::default();
        section.title = vec![(text, theme.dim)];
        section.draw(&theme, area, buffer);
        return;
    }
    let room = usize::from(area.height) - 1;
    let hidden = needs.len().saturating_sub(room);
    draw_heading(context, &theme, hidden, area, buffer);
    let shown = needs.get(..room.min(needs.len())).unwrap_or_default();
    let widest = |text: &dyn Fn(&Need<'_>) -> usize, min: usize, max: usize| {
        let widths = shown.iter().map(text);
        widths.max().unwrap_or(0).clamp(min, max)
    };
    let narrow = area.width < 90;
    let host_max = if narrow { 12 } else { 20 };
    let host_width = widest(&|need| need.host.as_str().width(), 8, host_max);
    let rule_width = widest(
        &|need| need.alert.rule.as_str().width(),
        8,
        if narrow { 14 } else { 16 },
    );
    let before = 2 + host_width + 2 + rule_width + 2;
    let room = usize::from(area.width).saturating_sub(before);
    let mut lines: Vec<_> = shown
        .iter()
        .map(|need| Line::new(need, tail(fleet, context, need), room))
        .collect();
    // What follows the reasons stands in one column.
    let why = lines.iter().map(|line| line.why_room).min().unwrap_or(0);
    for line in &mut lines {
        line.why_room = why;
    }
    for (row, line) in (1..).zip(&lines) {
        let area = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        line.draw((host_width, rule_width), &theme, area, buffer);
    }
}

fn draw_heading(context: &Context, theme: &Theme, hidden: usize, area: Rect, buffer: &mut Buffer) {
    let title = match (context.is_lost(), context.at) {
        (true, _) => "WAS FIRING",
        (false, Some(_)) => "FIRING THEN AND NOW",
        (false, None) => "NEEDS YOU",
    };
    let mut section = Section::new(theme, title);
    if context.is_lost() {
        section = section.detail(vec![("unknown since".to_owned(), theme.dim)]);
    }
    if hidden > 0 {
        let ascii = theme.ascii;
        let key = context.keys.key_of(Mode::Fleet, Action::Events, ascii);
        let key = key.unwrap_or_default();
        section = section.detail(vec![
            (format!("{hidden} more "), theme.text),
            (key, theme.key),
        ]);
    }
    section.right(keys(context)).draw(theme, area, buffer);
}

/// Cells of the reason beside what follows it, at most.
const WHY_WIDTH: usize = 46;

struct Line<'a> {
    need: &'a Need<'a>,
    why: String,
    why_room: usize,
    tail: Spans,
}

impl<'a> Line<'a> {
    /// What fits into `room` cells after host and rule.
    fn new(need: &'a Need<'a>, mut tail: Spans, room: usize) -> Self {
        let why = why(need.alert, need.host.as_str());
        let taken = |tail: &Spans| tail.iter().map(|part| part.0.width() + 2).sum::<usize>();
        // What is to blame leaves before the time.
        while !tail.is_empty() && taken(&tail) + why.width().min(24) > room {
            tail.pop();
        }
        let why_room = room.saturating_sub(taken(&tail));
        let why_room = match tail.is_empty() {
            true => why_room,
            false => why_room.min(WHY_WIDTH),
        };
        Self {
            need,
            why,
            why_room,
            tail,
        }
    }

    fn draw(
        &self,
        (host_width, rule_width): (usize, usize),
        theme: &Theme,
        line: Rect,
        buffer: &mut Buffer,
    ) {
        let need = self.need;
        let severity = Severity::from(need.alert.severity);
        let style = theme.severity(severity);
        let (ink, why_ink) = match need.is_taken {
            true => (theme.dim, theme.dim),
            false => (theme.title, theme.text),
        };
        let mut pen = Pen::new(buffer, line, 0);
        pen.text(theme.severity_sign(severity), style)
            .skip(1)
            .text(&fit(need.host.as_str(), host_width), ink)
            .skip(2)
            .text(&fit(need.alert.rule.as_str(), rule_width), style)
            .skip(2)
            .text(&fit(&self.why, self.why_room), why_ink);
        for (text, style) in &self.tail {
            pen.skip(2).text(text, *style);
        }
    }
}

/// Since when, how long, and who acknowledged it or what is to blame.
fn tail(fleet: &Fleet, context: &Context, need: &Need<'_>) -> Spans {
    let theme = &context.theme;
    let moment = context.moment();
    let since = since(need.alert.since, moment, context);
    let lasted = format!("{:>8}", lasted(moment - need.alert.since));
    let mut tail = vec![(format!("since {since}"), theme.dim), (lasted, theme.text)];
    let alert = need.alert;
    let taken = alert.acknowledged.as_ref().map(|by| format!("ack {by}"));
    let silenced = || alert.silenced.as_ref();
    let taken = taken.or_else(|| silenced().map(|why| format!("silenced: {why}")));
    if let Some(taken) = taken {
        tail.push((fit(&taken, taken.width().min(30)), theme.dim));
    } else if let Some(CPU | LOAD) = place_of(need.alert.metric.as_str())
        && let Some(process) = fleet.busiest(need.host)
    {
        let name = program(process);
        let name = fit(name, name.width().min(20));
        let cpu = f64::from(process.cpu_permille) / 10.0;
        tail.push((format!("{name}  {cpu:.0} %"), theme.text));
    }
    tail
}

fn since(since: UnixMs, moment: UnixMs, context: &Context) -> String {
    let (text, from, to) = match moment - since < DAY_MS {
        true => (format_clock(since.0, &context.zone), 0, 5),
        false => (format_moment(since.0, &context.zone), 5, 16),
    };
    text.get(from..to).unwrap_or(&text).to_owned()
}

/// Since when nothing fires, as far as it is known.
fn quiet(fleet: &Fleet, context: &Context) -> String {
    if context.at.is_some() {
        return "nothing that fires now had begun".to_owned();
    }
    let counts = fleet.counts();
    let quiet = if counts.offline + counts.stale > 0 {
        "no alert fires"
    } else {
        "all quiet"
    };
    match context.resolved_at {
        Some(at) => format!("{quiet} since {}", since(at, context.moment(), context)),
        None => quiet.to_owned(),
    }
}

fn keys(context: &Context) -> Spans {
    let theme = &context.theme;
    let mut spans = Spans::new();
    if context.at.is_some() || context.is_lost() {
        return spans;
    }
    for (action, word) in [(Action::Acknowledge, "ack"), (Action::Silence, "silence")] {
        let key = context.keys.key_of(Mode::Fleet, action, theme.ascii);
        if let Some(key) = key {
            if !spans.is_empty() {
                spans.push(("  ".to_owned(), theme.dim));
            }
            spans.push((key, theme.key));
            spans.push((format!(" {word}"), theme.dim));
        }
    }
    spans
}

/// The host of the alert in a line of the section.
pub(super) fn host_at(fleet: &Fleet, line: u16) -> Option<Label> {
    let at = usize::from(line.checked_sub(1)?);
    needs(fleet).get(at).map(|need| need.host.clone())
}
