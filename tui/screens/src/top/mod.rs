//! The busiest processes of all hosts as one list.

mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde_json::json;
use sysmon_wire::UnixMs;
use sysmon_wire::message::{HostProcess, Reply, Request};

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::model::pattern::Pattern;
use crate::model::process::{text, usage};
use crate::records::Records;
use crate::screen::{Answer, Outcome, Outcomes, Screen};
use crate::subscriptions::{Subscription, Topic};
use crate::widgets::process_list::Listed;
pub use state::Top;

/// Processes requested: at most 20 kB a second over a slow line.
pub const LIMIT: u16 = 200;

const FIELDS: [&str; 11] = [
    "host",
    "pid",
    "start_ms",
    "user",
    "command",
    "cgroup",
    "threads",
    "cpu",
    "memory",
    "disk.read",
    "disk.write",
];

pub fn records<'a>(time: UnixMs, processes: impl Iterator<Item = &'a HostProcess>) -> Records {
    let row = |HostProcess { host, process }: &HostProcess| {
        let identity = &process.identity;
        let mut row = vec![
            json!(host),
            json!(identity.pid),
            json!(identity.start.0),
            json!(identity.user),
            json!(identity.command),
            json!(identity.cgroup),
            json!(process.threads),
        ];
        row.extend(usage(process));
        row
    };
    Records::new("processes", time, &FIELDS, processes.map(row))
}

impl Screen for Top {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(self, context, area, buffer);
    }

    fn act(&mut self, action: Action, _context: &Context) -> Outcomes {
        match action {
            Action::Open => {
                let open = self.selected().map(|row| Outcome::OpenProcess {
                    host: row.host.clone(),
                    pid: row.process.identity.pid,
                });
                Some(open.into_iter().collect())
            }
            _ => self.act_on_order(action),
        }
    }

    fn scroll(&mut self, rows: isize, context: &Context) {
        self.move_by(rows);
        self.reveal(context);
    }

    fn reveal(&mut self, context: &Context) {
        self.reveal_selected(context.size);
    }

    fn click(&mut self, place: Position, context: &Context) -> Outcomes {
        self.click_on(place, context.size)
    }

    fn subscriptions(&self, context: &Context, wanted: &mut Vec<Subscription>) {
        if context.place() == Mode::Top {
            let request = Request::Top {
                host: None,
                at: context.at,
                by: self.by,
                limit: LIMIT,
                each: 0,
            };
            wanted.push(Subscription::new(Topic::Top, request));
        }
    }

    fn reply(&mut self, Answer { reply, .. }: Answer, context: &mut Context) -> Vec<Outcome> {
        match reply {
            Some(Reply::Top {
                time,
                hosts,
                processes,
                complete_to,
            }) => {
                self.set(time, hosts, processes);
                self.complete_to = complete_to;
                self.reveal(context);
                Vec::new()
            }
            Some(Reply::Refused { reason }) => {
                let text = reason.to_string();
                self.refused = Some(reason);
                vec![Outcome::Remark(text)]
            }
            _ => Vec::new(),
        }
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

    fn selected_text(&self, _context: &Context) -> Option<(String, String)> {
        let HostProcess { host, process } = self.selected()?;
        let name = format!("process {} of {host}", process.identity.pid);
        Some((name, format!("{host}  {}", text(process))))
    }

    fn records(&self, context: &Context) -> Option<Records> {
        let time = self.time.unwrap_or(context.moment());
        Some(records(time, self.shown()))
    }

    fn file_stem(&self, _context: &Context) -> Option<String> {
        Some("processes".to_owned())
    }
}
