//! The table of all hosts.

mod chooser;
mod columns;
mod detail;
mod lower;
mod needs;
mod panel;
mod preview;
mod rows;
mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde_json::json;
use sysmon_config::Column;
use sysmon_wire::UnixMs;
use sysmon_wire::limits::TOP_MAX;
use sysmon_wire::message::{HostState, Reply, Request, TopBy};
use sysmon_wire::metrics::{ALIASES, SUMMARY};

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::layout::list_at;
use crate::model::summary::{CPU, value_text};
use crate::records::Records;
use crate::screen::{Answer, Outcome, Outcomes, Screen, done, remark};
use crate::subscriptions::{Subscription, Topic};
use crate::widgets::plot::Plot;
pub use state::{Filter, Fleet, HINT, HostRow, Sort};

pub fn text(host: &HostRow) -> String {
    let name = host.line.name.to_string();
    let mut parts = vec![name, host.tick.state.as_str().to_owned()];
    for (place, alias) in ALIASES.iter().take(SUMMARY).enumerate() {
        if let Some(value) = host.value(place) {
            let text = value_text(place, Some(value));
            parts.push(format!("{} {text}", alias.alias));
        }
    }
    parts.join("  ")
}

pub fn records<'a>(context: &Context, hosts: impl Iterator<Item = &'a HostRow>) -> Records {
    let mut fields = vec!["name", "state", "last_sample_ms"];
    fields.extend(ALIASES.iter().take(SUMMARY).map(|alias| alias.alias));
    let row = |host: &HostRow| {
        let last = Some(host.tick.time.0).filter(|time| *time > 0);
        let state = host.tick.state.as_str();
        let mut row = vec![json!(host.line.name), json!(state), json!(last)];
        row.extend((0..SUMMARY).map(|place| json!(host.value(place))));
        row
    };
    Records::new("hosts", context.moment(), &fields, hosts.map(row))
}

pub fn page(fleet: &Fleet, context: &Context) -> usize {
    view::page(fleet, context)
}

/// When a silent host was heard last; `None` for one that reports.
pub fn heard(host: &HostRow) -> Option<UnixMs> {
    let is_silent = host.tick.state == HostState::Offline && host.tick.time.0 > 0;
    is_silent.then_some(host.tick.time)
}

/// Screens at least this wide say which process is the busiest of each host.
const BUSIEST_FROM: u16 = 100;

/// Where a wide screen has room for the events of the fleet.
pub(crate) fn events_area(fleet: &Fleet, context: &Context) -> Option<Rect> {
    let area = view::areas(fleet, context).events;
    (area.height > 0).then_some(area)
}

/// The line of the screen of the first row.
pub(crate) fn first_row(fleet: &Fleet, context: &Context) -> u16 {
    view::areas(fleet, context).table.y + 1
}

impl Fleet {
    fn sort_and_remark(&mut self, sort: Sort) -> Outcomes {
        (self.sort, self.reverse) = (sort, false);
        self.select_first();
        self.top = 0;
        self.reorder();
        remark(format!("sorted by {}", sort.name()))
    }

    fn next_sort(&self, context: &Context) -> Sort {
        let mut next = self.sort.next();
        while !columns::shows(self, context.size.width, next) {
            next = next.next();
        }
        next
    }

    fn reverse(&mut self) -> Outcomes {
        self.reverse = !self.reverse;
        self.reorder();
        done()
    }

    fn open(&mut self) -> Outcomes {
        if self.fold() {
            return done();
        }
        self.hold();
        let name = self.selected().map(|host| host.line.name.clone());
        Some(name.map(Outcome::Open).into_iter().collect())
    }

    /// Shows all hosts; the selection stays where it is. If all are shown, clears the marks.
    fn clear_filter(&mut self) {
        if self.filter.is_empty() {
            self.unmark();
        }
        self.hold();
        self.filter.clear();
        self.reorder();
    }

    fn group(&mut self) -> Outcomes {
        self.grouped = !self.grouped;
        self.reorder();
        remark(if self.grouped {
            "hosts grouped by their first tag"
        } else {
            "hosts in one list"
        })
    }

    fn fold_groups(&mut self, context: &Context) -> Outcomes {
        if !self.grouped {
            let ascii = context.theme.ascii;
            let key = context.keys.key_of(Mode::Fleet, Action::Group, ascii);
            let key = key.unwrap_or_default();
            return remark(format!("hosts are not grouped; {key} groups them"));
        }
        remark(if self.fold_all() {
            "all groups collapsed"
        } else {
            "all groups expanded"
        })
    }

    /// Hides the chosen column, or shows it in its usual place. The last one stays.
    fn toggle_column(&mut self) {
        let Some(&(_, column)) = Column::ALL.get(self.chosen) else {
            return;
        };
        let shown = &mut self.columns;
        if shown.contains(&column) {
            if shown.len() > 1 {
                shown.retain(|other| *other != column);
            }
            return;
        }
        let place = |column: Column| Column::ALL.iter().position(|(_, of)| *of == column);
        let later = |other: &Column| place(*other) > place(column);
        let at = shown.iter().position(later).unwrap_or(shown.len());
        shown.insert(at, column);
    }

    fn perform(&mut self, action: Action, context: &Context) -> Outcomes {
        match action {
            Action::Open => return self.open(),
            Action::Mark => {
                self.mark();
                self.move_by(1);
            }
            Action::Pin => {
                return match self.pin() {
                    None => remark("no host is selected"),
                    Some(true) => remark("stays at the top; [tui] pinned keeps it there"),
                    Some(false) => remark("no longer at the top"),
                };
            }
            Action::First => self.select_first(),
            Action::ClearFilter => self.clear_filter(),
            Action::Group => return self.group(),
            Action::FoldAll => return self.fold_groups(context),
            Action::Columns => {
                self.chosen = 0;
                return Some(vec![Outcome::Enter(Mode::Columns)]);
            }
            Action::Toggle => self.toggle_column(),
            Action::Sort => return self.sort_and_remark(self.next_sort(context)),
            Action::Reverse => return self.reverse(),
            _ => return None,
        }
        done()
    }

    fn click_heading(&mut self, x: u16, context: &Context) -> Outcomes {
        if self.rows_len() == 0 {
            return done();
        }
        match columns::sort_at(self, context.size.width, x) {
            Some(sort) if sort == self.sort => self.reverse(),
            Some(sort) => self.sort_and_remark(sort),
            None => done(),
        }
    }
}

impl Screen for Fleet {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(self, context, area, buffer);
        if context.mode() == Mode::Columns {
            chooser::draw(self, context, area, buffer);
        }
    }

    fn act(&mut self, action: Action, context: &Context) -> Outcomes {
        let outcomes = self.perform(action, context);
        self.reveal(context);
        outcomes
    }

    fn scroll(&mut self, rows: isize, context: &Context) {
        if context.mode() == Mode::Columns {
            let last = Column::ALL.len() - 1;
            self.chosen = self.chosen.saturating_add_signed(rows).min(last);
            return;
        }
        self.move_by(rows);
        self.reveal(context);
    }

    fn reveal(&mut self, context: &Context) {
        self.scroll_to_selected(page(self, context));
    }

    /// A click selects a host, on its sign marks it, and on the selected host opens it.
    fn click(&mut self, place: Position, context: &Context) -> Outcomes {
        if context.mode() == Mode::Columns {
            self.chosen = chooser::column_at(self, context.size, place.x, place.y)?;
            self.toggle_column();
            return done();
        }
        if let Some(name) = view::needing_at(self, context, place.y) {
            self.select_host(&name);
            self.reveal(context);
            return done();
        }
        let first_row = first_row(self, context);
        if place.y + 1 == first_row {
            let outcomes = self.click_heading(place.x, context);
            self.reveal(context);
            return outcomes;
        }
        let at = list_at(place.y, first_row, page(self, context), self.top)?;
        if at >= self.rows_len() {
            return done();
        }
        if usize::from(place.x) < columns::SIGN {
            self.select(at);
            self.mark();
        } else if self.selected_at() == Some(at) {
            return Some(vec![Outcome::Act(Action::Open)]);
        } else {
            self.select(at);
        }
        done()
    }

    fn plot_at(&self, place: Position, context: &Context) -> Option<Plot> {
        match context.mode() {
            Mode::Fleet => view::plot_at(self, context, place),
            _ => None,
        }
    }

    fn refresh(&mut self, context: &Context) {
        self.follow_span(context);
        if !context.is_connected() {
            return;
        }
        let is_shown = context.place() == Mode::Fleet && view::has_panel(context.size);
        let selected = self.selected().filter(|_| is_shown);
        let selected = selected.map(|host| (host.line.name.clone(), heard(host)));
        self.preview.follow(selected, context);
        let has_totals = context.place() == Mode::Fleet && view::has_lower(self, context);
        self.totals.follow(has_totals.then(|| context.moment()));
    }

    fn subscriptions(&self, context: &Context, wanted: &mut Vec<Subscription>) {
        let (spark_points, spark_step_ms) = self.spark_points();
        let fleet = Request::Fleet {
            at: context.at,
            once: false,
            spark_points,
            spark_step_ms,
            sparks: vec![CPU as u8],
        };
        wanted.push(Subscription::new(Topic::Fleet, fleet));
        let has_list = context.place() == Mode::Fleet && context.size.width >= BUSIEST_FROM;
        if has_list {
            let busiest = Request::Top {
                host: None,
                at: context.at,
                by: TopBy::Cpu,
                limit: TOP_MAX,
                each: 1,
            };
            wanted.push(Subscription::new(Topic::Busiest, busiest));
        }
        self.totals.subscriptions(wanted);
        self.long_subscriptions(wanted);
        self.preview.subscriptions(wanted);
    }

    fn reply(&mut self, answer: Answer, context: &mut Context) -> Vec<Outcome> {
        let Answer {
            topic,
            reply: Some(reply),
            is_first,
        } = answer
        else {
            return Vec::new();
        };
        if let (Topic::Total(at), Reply::Points(points)) = (topic, &reply) {
            self.totals.set(at, points);
            return Vec::new();
        }
        if let Reply::Top { processes, .. } = reply {
            self.set_busiest(processes);
            return Vec::new();
        }
        if let (Topic::FleetHistory, Reply::Points(part)) = (topic, &reply) {
            self.add_long(part);
            return Vec::new();
        }
        if topic != Topic::Fleet {
            self.preview.receive(topic, reply, is_first);
            return Vec::new();
        }
        if is_first {
            self.begin();
        }
        match reply {
            Reply::Fleet(update) => self.apply(update),
            Reply::Resolution { step_ms, beyond } => self.set_resolution(step_ms, beyond),
            Reply::Complete => self.complete(),
            Reply::Refused { reason } => return vec![Outcome::Remark(reason.to_string())],
            _ => {}
        }
        context.fleet_resolution_ms = self.resolution_ms();
        context.fleet_beyond = self.beyond().cloned();
        self.reveal(context);
        Vec::new()
    }

    fn disconnected(&mut self) {
        self.preview = preview::PreviewPanel::default();
        self.forget_long();
    }

    fn filter(&self) -> Option<String> {
        Some(self.filter.clone())
    }

    fn set_filter(&mut self, filter: &str) {
        filter.clone_into(&mut self.filter);
        self.reorder();
    }

    fn sorts(&self) -> Vec<&'static str> {
        Sort::all().map(|(_, name)| name).collect()
    }

    fn sort_by(&mut self, name: &str) -> Outcomes {
        let (sort, _) = Sort::all().find(|(_, of)| *of == name)?;
        self.sort_and_remark(sort)
    }

    fn selected_text(&self, _context: &Context) -> Option<(String, String)> {
        let host = self.selected()?;
        Some((host.line.name.to_string(), text(host)))
    }

    fn selected_value(&self, _context: &Context) -> Option<(String, String)> {
        let host = self.selected()?;
        let place = match self.sort {
            Sort::Value(place) => place,
            Sort::Worst | Sort::Name => CPU,
        };
        let alias = ALIASES.get(place).map_or("", |alias| alias.alias);
        let text = value_text(place, Some(host.value(place)?));
        Some((format!("{alias} of {}", host.line.name), text))
    }

    fn records(&self, context: &Context) -> Option<Records> {
        Some(records(context, self.shown()))
    }
}
