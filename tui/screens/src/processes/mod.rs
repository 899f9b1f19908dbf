//! The processes of the open host, and the details of one of them.

mod arrange;
mod details;
mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde_json::{Value, json};
use sysmon_wire::Process;
use sysmon_wire::message::Reply;

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::model::pattern::Pattern;
use crate::model::process::{text, usage};
use crate::records::Records;
use crate::screen::{Answer, Outcome, Outcomes, Screen, done, remark};
use crate::widgets::process_list::{FIRST_ROW, Listed};
pub use state::Processes;

const FIELDS: [&str; 11] = [
    "pid",
    "parent",
    "user",
    "command",
    "cgroup",
    "state",
    "threads",
    "cpu",
    "memory",
    "disk.read",
    "disk.write",
];

impl Processes {
    /// Shows the details of the selected process, or the members of the selected group.
    fn open(&mut self) -> Outcomes {
        if self.open_selected() {
            return Some(vec![Outcome::Enter(Mode::Process)]);
        }
        match self.filter.text() {
            "" => done(),
            members => remark(format!("one by one, matching {members}")),
        }
    }
}

impl Screen for Processes {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        match context.place() {
            Mode::Process => details::draw(self, context, area, buffer),
            _ => view::draw(self, context, area, buffer),
        }
    }

    fn act(&mut self, action: Action, context: &Context) -> Outcomes {
        if context.mode() != Mode::Processes {
            return None;
        }
        match action {
            Action::Open => self.open(),
            Action::Arrange => {
                self.arrangement = self.arrangement.next();
                self.reorder();
                remark(format!("processes {}", self.arrangement.name()))
            }
            _ => self.act_on_order(action),
        }
    }

    fn scroll(&mut self, rows: isize, context: &Context) {
        if context.mode() == Mode::Processes {
            self.move_by(rows);
            self.reveal(context);
        }
    }

    fn reveal(&mut self, context: &Context) {
        self.reveal_selected(context.size);
    }

    fn click(&mut self, place: Position, context: &Context) -> Outcomes {
        if context.mode() != Mode::Processes {
            return None;
        }
        if self.time.is_none() && place.y + 1 == FIRST_ROW {
            return done();
        }
        self.click_on(place, context.size)
    }

    fn reply(&mut self, Answer { reply, .. }: Answer, context: &mut Context) -> Vec<Outcome> {
        if let Some(Reply::Processes {
            time,
            all,
            processes,
        }) = reply
        {
            self.set(time, all, processes);
            self.reveal(context);
        }
        Vec::new()
    }

    fn filter(&self) -> Option<String> {
        Some(self.filter.text().to_owned())
    }

    fn set_filter(&mut self, filter: &str) {
        self.filter = Pattern::new(filter);
        self.reorder();
    }

    fn is_filter_invalid(&self) -> bool {
        self.filter.is_wrong()
    }

    fn sorts(&self) -> Vec<&'static str> {
        Self::sort_names()
    }

    fn sort_by(&mut self, name: &str) -> Outcomes {
        self.sort_named(name)
    }

    fn selected_text(&self, context: &Context) -> Option<(String, String)> {
        let process = match context.place() {
            Mode::Process => self.open.as_ref()?,
            _ => self.selected()?,
        };
        Some((format!("process {}", process.identity.pid), text(process)))
    }

    fn records(&self, context: &Context) -> Option<Records> {
        let row = |process: &Process| {
            let identity = &process.identity;
            let mut row: Vec<Value> = vec![
                json!(identity.pid),
                json!(process.parent),
                json!(identity.user),
                json!(identity.command),
                json!(identity.cgroup),
                json!(char::from(process.state).to_string()),
                json!(process.threads),
            ];
            row.extend(usage(process));
            row
        };
        let rows: Vec<_> = match context.place() {
            Mode::Process => self.open.iter().map(row).collect(),
            _ => self.shown().map(row).collect(),
        };
        let time = self.time.unwrap_or(context.moment());
        Some(Records {
            host: context.host_name().cloned(),
            ..Records::new("processes", time, &FIELDS, rows.into_iter())
        })
    }

    fn file_stem(&self, context: &Context) -> Option<String> {
        let host = context.host_name()?;
        Some(match (context.place(), &self.open) {
            (Mode::Process, Some(process)) => {
                format!("{host}-process-{}", process.identity.pid)
            }
            (Mode::Process, None) => host.to_string(),
            _ => format!("{host}-processes"),
        })
    }
}
