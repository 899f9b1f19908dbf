//! Parts of a screen about one host, each under its own rule: charts, memory, processes, filesystems.

mod charts;
mod lists;
pub(crate) mod state_line;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use sysmon_wire::UnixMs;
use sysmon_wire::message::HostState;
use sysmon_wire::metrics::{
    LOAD_1M, LOAD_5M, LOAD_15M, MEMORY_LIMIT, MEMORY_USAGE, MEMORY_UTILIZATION, Metric,
    PAGING_LIMIT, PAGING_USAGE,
};

pub(crate) use charts::Pair;
pub(crate) use lists::Usage;

use crate::context::Context;
use crate::format::{load, percent, size};
use crate::model::host_rows::HostRows;
use crate::model::step::Steps;
use crate::model::summary::place_of;
use crate::theme::{Severity, Theme};
use crate::widgets::meter::meter;
use crate::widgets::mirrored::SCALE;
use crate::widgets::paint::Pen;
use crate::widgets::section::{Section, Spans};
use crate::widgets::sparkline::draw_sparkline;

/// A host, and how it is drawn.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) context: &'a Context,
    pub(crate) host: &'a HostRows,
    /// Without colours where the host is dead.
    pub(crate) theme: Theme,
    /// Whether its own name stands in the first title, as where it is not the only host.
    pub(crate) is_named: bool,
    /// Whether nothing was heard since its charts end.
    is_ended: bool,
}

impl<'a> About<'a> {
    /// A host that is in a state now.
    pub(crate) fn new(context: &'a Context, host: &'a HostRows, state: Option<HostState>) -> Self {
        let is_dead = state == Some(HostState::Offline) || context.is_lost();
        let theme = match is_dead {
            true => context.theme.faded(),
            false => context.theme,
        };
        Self {
            context,
            host,
            theme,
            is_named: false,
            is_ended: is_dead || state == Some(HostState::Stale),
        }
    }

    /// The moment at which its charts end: that of the newest row.
    pub(crate) fn end(&self) -> Option<UnixMs> {
        self.host.newest()
    }

    /// The severity of the rules that fire about a value of the summary.
    pub(crate) fn severity_of(&self, place: usize) -> Severity {
        let alerts = self.host.line.iter().flat_map(|line| &line.alerts);
        let about = alerts.filter(|alert| place_of(alert.metric.as_str()) == Some(place));
        about
            .map(|alert| alert.severity.into())
            .max()
            .unwrap_or_default()
    }

    /// The style of a key figure: the rule's that fires about it, or that of its step.
    fn key(&self, place: usize, value: Option<f64>) -> Style {
        let theme = &self.theme;
        match (self.severity_of(place), value) {
            (Severity::None, Some(value)) if Steps::of(place).step(value) > 0 => {
                *Steps::of(place).style(&theme.level, value)
            }
            (Severity::None, _) => theme.title,
            (severity, _) => theme.severity(severity),
        }
    }

    /// What it is, in the order of what is asked first.
    pub(crate) fn facts(&self) -> Vec<String> {
        let Some(line) = &self.host.line else {
            return Vec::new();
        };
        let facts = &line.facts;
        let mut parts = Vec::new();
        let cpu = crate::format::short_cpu(facts.cpu_model.as_str());
        match (facts.cpus, cpu.as_str()) {
            (0, _) => {}
            (count, "") => parts.push(format!("{count} processors")),
            (count, cpu) => parts.push(format!("{count} {} {cpu}", self.theme.pick("×", "x"))),
        }
        if facts.memory_bytes > 0 {
            parts.push(size(Some(facts.memory_bytes as f64)));
        }
        if !facts.os.as_str().is_empty() {
            parts.push(facts.os.as_str().replace("GNU/Linux ", ""));
        }
        if facts.boot.0 > 0 {
            let up = self.context.moment() - facts.boot;
            parts.push(format!("up {}", crate::format::short_span(up)));
        }
        if !facts.kernel.as_str().is_empty() {
            parts.push(format!("kernel {}", facts.kernel));
        }
        if !facts.source.as_str().is_empty() {
            let interval = sysmon_config::time::format_span(i64::from(facts.interval_ms));
            parts.push(format!("{} every {interval}", facts.source));
        } else if !facts.agent_version.as_str().is_empty() {
            parts.push(format!("agent {}", facts.agent_version));
        }
        parts.extend(facts.tags.iter().map(|tag| format!("#{tag}")));
        parts
    }

    fn section(&self, title: &str, is_focus: bool) -> Section {
        let mut section = Section::new(&self.theme, title);
        if is_focus && let Some((_, style)) = section.title.first_mut() {
            *style = self.theme.key;
        }
        section
    }

    /// A number with its unit dim behind it: `13M`.
    pub(crate) fn quantity(&self, text: &str, style: Style) -> Spans {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.get(digits.len()..).unwrap_or_default();
        vec![
            (digits.to_owned(), style),
            (unit.to_owned(), self.theme.dim),
        ]
    }

    /// Load over one, five and fifteen minutes.
    pub(crate) fn load(&self) -> Spans {
        let level = |metric: &Metric| load(self.host.now(metric, &[]));
        let theme = &self.theme;
        vec![
            ("load ".to_owned(), theme.dim),
            (level(&LOAD_1M), theme.title),
            (format!("  {}", level(&LOAD_5M)), theme.text),
            (format!("  {}", level(&LOAD_15M)), theme.dim),
        ]
    }

    /// Memory as one meter of what is used, cached and free; with a third line its past.
    pub(crate) fn memory(&self, area: Rect, is_focus: bool, buffer: &mut Buffer) {
        use crate::model::summary::MEMORY;
        let (theme, host) = (&self.theme, self.host);
        let state = |state| host.now(&MEMORY_USAGE, &[("system.memory.state", state)]);
        let limit = host.now(&MEMORY_LIMIT, &[]);
        let share = host.now(&MEMORY_UTILIZATION, &[]);
        let used = share.zip(limit).map(|(share, limit)| share * limit);
        let free = state("free");
        // What can be given back, ZFS's cache and buffers among it.
        let cache = limit
            .zip(used)
            .map(|(limit, used)| (limit - used - free.unwrap_or(0.0)).max(0.0));
        let style = *Steps::SPACE.style(&theme.meter, share.unwrap_or(0.0));
        let cached = theme.area[0];
        let legend = |sign: (&str, &str), ink: Style, word: &str, bytes: Option<f64>| -> Spans {
            if bytes.is_none() {
                return Vec::new();
            }
            let mut spans = vec![
                (theme.pick(sign.0, sign.1).to_owned(), ink),
                (format!(" {word} "), theme.dim),
            ];
            spans.extend(self.quantity(&size(bytes), theme.text));
            spans
        };
        let mut section = self
            .section("MEM", is_focus)
            .key(percent(share) + "%", self.key(MEMORY, share))
            .detail(legend(("━", "="), style, "used", used))
            .detail(legend(("━", "="), cached, "cache", cache))
            .detail(legend(("─", "."), theme.dim, "free", free));
        let swap = host.now(&PAGING_LIMIT, &[]).filter(|limit| *limit > 0.0);
        if let Some(limit) = swap {
            let used = host.now(&PAGING_USAGE, &[("system.paging.state", "used")]);
            let mut spans = vec![("swap ".to_owned(), theme.dim)];
            spans.extend(self.quantity(&size(used), theme.text));
            spans.push((format!(" of {}", size(Some(limit))), theme.dim));
            section = section.detail(spans);
        }
        section.draw(theme, area, buffer);
        let width = usize::from(area.width);
        let part = |bytes: Option<f64>| match (bytes, limit) {
            (Some(bytes), Some(limit)) if limit > 0.0 => bytes / limit,
            _ => 0.0,
        };
        let parts = [(share.unwrap_or(0.0), style), (part(cache), cached)];
        meter(&mut Pen::new(buffer, area, 1), &parts, width, theme);
        if area.height >= 3 {
            let cells = usize::from(self.cells(area));
            let step = self.host.step_ms(cells);
            let history = self.host.history(&MEMORY_UTILIZATION, &[], cells, step);
            let values = history
                .into_iter()
                .map(|step| step.map(|step| (step.mean * 1000.0) as i64));
            let mut pen = Pen::new(buffer, area, 2);
            pen.skip(usize::from(SCALE));
            draw_sparkline(&mut pen, values, Steps::NONE, false, |style| style, theme);
        }
    }
}
