//! The open host: charts and tables side by side, or one of them maximized.

mod blocks;
mod cores;
mod pane;
mod pane_charts;
mod pane_groups;
mod pane_tables;
mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde_json::json;
use sysmon_wire::message::Reply;

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::model::host_rows::HostRows;
use crate::model::long_history::Wanted;
use crate::records::Records;
use crate::screen::{Answer, Outcome, Outcomes, Screen, done, remark};
use crate::subscriptions::{Subscription, Topic};
use crate::widgets::plot::Plot;
pub use state::{HostScreen, Pane, Panes};

impl HostScreen {
    /// Focuses the next pane or the one before; a maximized pane gives way to it.
    fn step(&mut self, is_back: bool, context: &Context) {
        let mut there = view::panes(self, context);
        if context.mode() == Mode::Pane {
            // Processes have a screen of their own.
            there.retain(|pane| *pane != Pane::Processes);
        }
        self.panes.step(&there, is_back);
    }

    fn select(&mut self, at: usize) {
        let last = self.busiest.len().saturating_sub(1);
        self.selected = Some(at.min(last)).filter(|_| !self.busiest.is_empty());
    }

    /// Goes up or down in the list of processes.
    fn select_by(&mut self, rows: isize) {
        if self.panes.focus != Pane::Processes {
            self.panes.go(Pane::Processes);
        }
        match self.selected {
            None if rows > 0 => self.select(0),
            None => {}
            Some(0) if rows < 0 => self.selected = None,
            Some(at) => self.select(at.saturating_add_signed(rows)),
        }
    }

    /// Whether the zoomed pane is charts, which a cursor reads.
    pub(crate) fn has_cursor(&self) -> bool {
        pane::has_charts(self.panes.focus)
    }

    /// Moves the cursor by cells, from the newest one where there is none; whether there are charts.
    fn move_cursor(&mut self, cells: i16, context: &Context) -> bool {
        let Some(plot) = pane::plots(&self.panes, context).first().copied() else {
            return false;
        };
        let last = plot.area.width.saturating_sub(1);
        let to = match self.panes.cursor {
            Some(moment) => plot.cell_of(moment).saturating_add_signed(cells).min(last),
            None => last,
        };
        self.panes.cursor = Some(plot.middle(to));
        true
    }

    fn open_process(&self, context: &Context) -> Outcomes {
        let process = self.busiest.get(self.selected?)?;
        Some(vec![Outcome::OpenProcess {
            host: context.host_name()?.clone(),
            pid: process.identity.pid,
        }])
    }

    fn maximize(&self) -> Outcomes {
        Some(vec![Outcome::Enter(match self.panes.focus {
            Pane::Processes => Mode::Processes,
            _ => Mode::Pane,
        })])
    }

    fn sort_next(&mut self, context: &Context) -> Outcomes {
        let columns = pane::columns(self.panes.focus).len();
        let shown = pane::sorts(&self.panes, context);
        loop {
            self.panes.sort_next(columns);
            if self.panes.sort.is_none_or(|sort| shown.contains(&sort)) {
                break;
            }
        }
        self.sort_remark()
    }

    fn sort_at(&mut self, x: u16, context: &Context) -> Outcomes {
        let Some(column) = pane::sort_at(&self.panes, context, x) else {
            return done();
        };
        if self.panes.sort == Some(column) {
            self.panes.reverse = !self.panes.reverse;
            return done();
        }
        (self.panes.sort, self.panes.reverse) = (Some(column), false);
        self.sort_remark()
    }

    fn sort_remark(&self) -> Outcomes {
        let columns = pane::columns(self.panes.focus);
        let name = match self.panes.sort {
            Some(at) => columns.get(at).copied().unwrap_or_default(),
            None if columns.is_empty() => return done(),
            None => "the host's order",
        };
        remark(format!("sorted by {name}"))
    }
}

fn scrolled(from: u16, rows: isize, last: u16) -> u16 {
    let to = usize::from(from).saturating_add_signed(rows);
    u16::try_from(to).unwrap_or(u16::MAX).min(last)
}

impl Screen for HostScreen {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        match context.place() {
            Mode::Pane => pane::draw(&self.panes, context, area, buffer),
            _ => view::draw(self, context, area, buffer),
        }
    }

    fn act(&mut self, action: Action, context: &Context) -> Outcomes {
        match action {
            Action::NextPane | Action::PreviousPane => {
                self.step(action == Action::PreviousPane, context);
                done()
            }
            Action::Zoom => match self.panes.focus {
                Pane::Processes if self.selected.is_some() => self.open_process(context),
                _ => self.maximize(),
            },
            Action::CursorLeft if self.move_cursor(-1, context) => done(),
            Action::CursorRight if self.move_cursor(1, context) => done(),
            // A table has no cells to read.
            Action::CursorLeft => Some(vec![Outcome::Act(Action::Earlier)]),
            Action::CursorRight => Some(vec![Outcome::Act(Action::Later)]),
            Action::Back if context.mode() == Mode::Pane && self.panes.cursor.is_some() => {
                self.panes.cursor = None;
                done()
            }
            Action::Sort if context.mode() == Mode::Pane => self.sort_next(context),
            Action::Reverse if context.mode() == Mode::Pane => {
                self.panes.reverse = !self.panes.reverse;
                done()
            }
            _ => None,
        }
    }

    fn scroll(&mut self, rows: isize, context: &Context) {
        if context.mode() == Mode::Pane {
            let last = pane::scroll_max(&self.panes, context);
            self.panes.scroll = scrolled(self.panes.scroll, rows, last);
        } else {
            self.select_by(rows);
        }
    }

    fn click(&mut self, place: Position, context: &Context) -> Outcomes {
        if context.mode() == Mode::Pane {
            if self.hover(place, context) {
                return done();
            }
            return match place.y == pane::HEADING_ROW {
                true => self.sort_at(place.x, context),
                false => done(),
            };
        }
        if let Some(list) = view::process_area(self, context).filter(|list| list.contains(place)) {
            let at = usize::from(place.y - list.y);
            let is_again = self.panes.focus == Pane::Processes && self.selected == Some(at);
            if is_again {
                return self.open_process(context);
            }
            self.panes.go(Pane::Processes);
            self.select(at);
            return done();
        }
        let pane = view::pane_at(self, context, place)?;
        if pane == self.panes.focus {
            return self.maximize();
        }
        self.panes.go(pane);
        done()
    }

    fn hover(&mut self, place: Position, context: &Context) -> bool {
        let Some(plot) = self.plot_at(place, context) else {
            return false;
        };
        if context.mode() != Mode::Pane {
            return false;
        }
        let moment = plot.middle(plot.cell(place.x));
        self.panes.cursor.replace(moment) != Some(moment)
    }

    fn plot_at(&self, place: Position, context: &Context) -> Option<Plot> {
        match context.mode() {
            Mode::Host => view::plot_at(self, context, place),
            _ => pane::plots(&self.panes, context)
                .into_iter()
                .find(|plot| plot.area.contains(place)),
        }
    }

    fn refresh(&mut self, context: &Context) {
        let more = match (context.place(), self.panes.focus) {
            (Mode::Pane, Pane::Cpu | Pane::Cores) => Some(Wanted::CORES),
            (Mode::Pane, Pane::Filesystems) => Some(Wanted::FILESYSTEMS),
            (Mode::Pane, Pane::Sensors) => Some(Wanted::TEMPERATURES),
            _ => None,
        };
        let shown = match context.place() {
            Mode::Host | Mode::Pane => context.host_name(),
            _ => None,
        };
        let moment = (context.now, context.at);
        let span = context.chart_span;
        self.history.follow(shown, span, moment, more);
    }

    fn disconnected(&mut self) {
        self.history.forget_requested();
    }

    fn subscriptions(&self, context: &Context, wanted: &mut Vec<Subscription>) {
        self.history.subscriptions(Topic::History, wanted);
        if context.host.is_some()
            && let Some((rows, processes)) = self.requests()
        {
            wanted.push(Subscription::new(Topic::Host, rows));
            wanted.push(Subscription::new(Topic::HostProcesses, processes));
        }
    }

    fn reply(
        &mut self,
        Answer {
            topic,
            reply,
            is_first,
        }: Answer,
        context: &mut Context,
    ) -> Vec<Outcome> {
        let (Some(host), Some(reply)) = (&mut context.host, reply) else {
            return Vec::new();
        };
        if is_first && topic == Topic::Host {
            host.begin();
        }
        host.set_span(context.chart_span);
        if topic != Topic::Host && !matches!(reply, Reply::Points(_)) {
            // That of one metric ends, or the host has no such series.
            return Vec::new();
        }
        match reply {
            Reply::Refused { reason } => {
                let text = reason.to_string();
                host.refused = Some(reason);
                vec![Outcome::Remark(text)]
            }
            reply => match host.receive(reply) {
                Ok(()) => Vec::new(),
                Err(error) => {
                    let text = format!("cannot read rows of {}: {error}", host.name);
                    vec![Outcome::Remark(text)]
                }
            },
        }
    }

    fn records(&self, context: &Context) -> Option<Records> {
        if context.place() != Mode::Pane {
            return None;
        }
        let (fields, rows) = pane::table(&self.panes, context);
        let row = |(name, values): pane::TableRow| {
            let values = values.into_iter().map(|value| json!(value));
            std::iter::once(json!(name)).chain(values).collect()
        };
        let host = context.host.as_ref();
        Some(Records {
            time: host.and_then(HostRows::newest).unwrap_or(context.moment()),
            host: context.host_name().cloned(),
            kind: "rows",
            fields: fields.into_iter().map(Into::into).collect(),
            rows: rows.into_iter().map(row).collect(),
            more: Vec::new(),
        })
    }

    fn file_stem(&self, context: &Context) -> Option<String> {
        let host = context.host_name()?;
        Some(match context.place() {
            Mode::Pane => format!("{host}-{}", self.panes.focus.title().to_lowercase()),
            _ => host.to_string(),
        })
    }
}
