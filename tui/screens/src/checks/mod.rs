//! Services and heartbeats of all hosts: what is down, how long an answer took, and how often each was up.

mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde_json::json;
use sysmon_wire::message::Reply;

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::layout::list_at;
use crate::model::pattern::Pattern;
use crate::records::Records;
use crate::screen::{Answer, Outcome, Outcomes, Screen, done};
use crate::subscriptions::{Subscription, Topic};
pub use state::{Checks, Row};

const FIELDS: [&str; 8] = [
    "check",
    "host",
    "up",
    "took",
    "certificate",
    "up_24h",
    "up_30d",
    "down_since_ms",
];

impl Screen for Checks {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(self, context, area, buffer);
    }

    fn act(&mut self, action: Action, _context: &Context) -> Outcomes {
        match action {
            Action::Open => {
                let open = self.selected().map(|row| Outcome::Open(row.host.clone()));
                Some(open.into_iter().collect())
            }
            _ => None,
        }
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
        if at < self.shown_len() {
            self.select(at);
        }
        done()
    }

    fn refresh(&mut self, context: &Context) {
        if context.place() == Mode::Checks && context.is_connected() {
            self.follow(context.chart_window());
        }
    }

    fn subscriptions(&self, context: &Context, wanted: &mut Vec<Subscription>) {
        if context.place() == Mode::Checks {
            let requests = self.requests().into_iter().enumerate();
            wanted.extend(
                requests.map(|(at, request)| Subscription::new(Topic::Checks(at), request)),
            );
        }
    }

    fn reply(&mut self, answer: Answer, context: &mut Context) -> Vec<Outcome> {
        let Topic::Checks(at) = answer.topic else {
            return Vec::new();
        };
        if answer.is_first {
            self.begin(at);
        }
        match answer.reply {
            Some(Reply::Points(part)) => self.add(at, part),
            Some(Reply::Refused { reason }) => self.refused = Some(reason),
            Some(_) => {}
            None => {
                self.complete(at);
                self.reveal(context);
            }
        }
        Vec::new()
    }

    fn disconnected(&mut self) {
        self.forget_requested();
    }

    fn filter(&self) -> Option<String> {
        Some(self.filter.text().to_owned())
    }

    fn set_filter(&mut self, filter: &str) {
        self.filter = Pattern::new(filter);
        self.move_by(0);
    }

    fn is_filter_invalid(&self) -> bool {
        self.filter.is_wrong()
    }

    fn selected_text(&self, _context: &Context) -> Option<(String, String)> {
        let row = self.selected()?;
        let name = format!("check {} from {}", row.name, row.host);
        Some((name.clone(), format!("{name}: {}", view::state_text(row))))
    }

    fn records(&self, context: &Context) -> Option<Records> {
        let record = |row: &Row| {
            vec![
                json!(row.name),
                json!(row.host),
                json!(row.is_up()),
                json!(row.took()),
                json!(row.expiry),
                json!(row.day),
                json!(row.month),
                json!(row.down_since().map(|time| time.0)),
            ]
        };
        let rows = self.shown().map(record);
        Some(Records::new("checks", context.moment(), &FIELDS, rows))
    }

    fn file_stem(&self, _context: &Context) -> Option<String> {
        Some("checks".to_owned())
    }
}
