//! What changed significantly against the ten minutes before, on one host or on all.

mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde_json::json;
use sysmon_config::time::format_clock;
use sysmon_wire::message::{Change, Reply, Request};

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::layout::list_at;
use crate::records::Records;
use crate::screen::{Answer, Outcome, Outcomes, Screen, done};
use crate::subscriptions::{Subscription, Topic};
pub use state::Changes;

/// Changes requested: more than anybody reads.
const CHANGES_MAX: u16 = 200;

const FIELDS: [&str; 10] = [
    "host",
    "metric",
    "attributes",
    "pid",
    "command",
    "unit",
    "before",
    "after",
    "began_ms",
    "score",
];

impl Screen for Changes {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(self, context, area, buffer);
    }

    fn act(&mut self, action: Action, _context: &Context) -> Outcomes {
        if action != Action::Open {
            return None;
        }
        let Some(change) = self.selected() else {
            return done();
        };
        Some(vec![Outcome::OpenAt {
            host: change.host.clone(),
            at: change.began,
            is_process: change.process.is_some(),
        }])
    }

    fn scroll(&mut self, rows: isize, context: &Context) {
        self.move_by(rows);
        self.reveal(context);
    }

    fn reveal(&mut self, context: &Context) {
        self.scroll_to_selected(view::rows(context.size));
    }

    fn click(&mut self, place: Position, context: &Context) -> Outcomes {
        let rows = view::rows(context.size);
        let at = list_at(place.y, view::FIRST_ROW, rows, self.top)?;
        if at < self.rows().len() {
            self.select(at);
        }
        done()
    }

    fn subscriptions(&self, context: &Context, wanted: &mut Vec<Subscription>) {
        if context.place() == Mode::Changes {
            let request = Request::Changes {
                host: self.host.clone(),
                at: context.at,
                limit: CHANGES_MAX,
            };
            wanted.push(Subscription::new(Topic::Changes, request));
        }
    }

    fn reply(&mut self, Answer { reply, .. }: Answer, context: &mut Context) -> Vec<Outcome> {
        match reply {
            Some(Reply::Changes { time, changes }) => {
                self.set(time, changes);
                self.reveal(context);
                Vec::new()
            }
            Some(Reply::Refused { reason }) => vec![Outcome::Remark(reason.to_string())],
            _ => Vec::new(),
        }
    }

    fn selected_text(&self, context: &Context) -> Option<(String, String)> {
        let change = self.selected()?;
        let subject = view::subject(change);
        let gap = if subject.is_empty() { "" } else { "  " };
        let text = format!(
            "{}  {subject}{gap}{}  before {}  now {}  since {}",
            change.host,
            view::metric(change),
            view::value(change, change.before),
            view::value(change, change.after),
            format_clock(change.began.0, &context.zone),
        );
        Some(("the change".to_owned(), text))
    }

    fn records(&self, context: &Context) -> Option<Records> {
        let row = |change: &Change| {
            let attributes = change.attributes.iter();
            let attributes = attributes.map(|(key, value)| format!("{key}={value}"));
            let process = change.process.as_ref();
            vec![
                json!(change.host),
                json!(change.metric),
                json!(attributes.collect::<Vec<_>>().join(",")),
                json!(process.map(|process| process.pid)),
                json!(process.map(|process| &process.command)),
                json!(change.unit),
                json!(change.before),
                json!(change.after),
                json!(change.began.0),
                json!(change.score),
            ]
        };
        let time = self.time.unwrap_or(context.moment());
        let rows = self.rows().iter().map(row);
        Some(Records::new("changes", time, &FIELDS, rows))
    }

    fn file_stem(&self, context: &Context) -> Option<String> {
        Some(match context.host_name() {
            Some(host) => format!("{host}-changes"),
            None => "changes".to_owned(),
        })
    }
}
