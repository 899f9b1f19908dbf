//! One metric of several hosts, or of one host and its own past.

mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde_json::json;
use sysmon_config::time::format_clock;
use sysmon_wire::UnixMs;
use sysmon_wire::message::Reply;

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::model::summary::value_text;
use crate::records::Records;
use crate::screen::{Answer, Outcome, Outcomes, Screen, done};
use crate::subscriptions::{Subscription, Topic};
pub use state::{Compare, CompareLine, UNMARKED};

impl Screen for Compare {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(self, context, area, buffer);
    }

    fn act(&mut self, action: Action, _context: &Context) -> Outcomes {
        match action {
            Action::Open => {
                let open = self.selected().map(|line| line.host.clone());
                Some(open.map(Outcome::Open).into_iter().collect())
            }
            Action::Overlay => {
                self.is_overlaid = !self.is_overlaid;
                done()
            }
            _ => None,
        }
    }

    fn scroll(&mut self, rows: isize, _context: &Context) {
        self.move_by(rows);
    }

    fn click(&mut self, place: Position, context: &Context) -> Outcomes {
        let at = view::line_at(self, context, place.x, place.y)?;
        if self.selected_at() == at {
            return Some(vec![Outcome::Act(Action::Open)]);
        }
        self.select(at);
        done()
    }

    fn refresh(&mut self, context: &Context) {
        if context.place() == Mode::Compare && context.is_connected() {
            self.follow(context.chart_window());
        }
    }

    fn subscriptions(&self, context: &Context, wanted: &mut Vec<Subscription>) {
        if context.place() == Mode::Compare {
            let requests = self.requests().into_iter().enumerate();
            wanted.extend(
                requests.map(|(line, request)| Subscription::new(Topic::Compare(line), request)),
            );
        }
    }

    fn reply(
        &mut self,
        Answer { topic, reply, .. }: Answer,
        _context: &mut Context,
    ) -> Vec<Outcome> {
        let Topic::Compare(line) = topic else {
            return Vec::new();
        };
        match reply {
            Some(Reply::Points(part)) => self.add(line, &part),
            Some(Reply::Refused { reason }) => self.refused = Some(reason),
            Some(_) => {}
            None => self.complete(line),
        }
        Vec::new()
    }

    fn disconnected(&mut self) {
        self.forget_requested();
    }

    fn selected_text(&self, context: &Context) -> Option<(String, String)> {
        let line = self.selected()?;
        let mut name = self.name(line);
        if line.ago_ms > 0 {
            name = format!("{} {name}", line.host);
        }
        let now = self.value(line, context.now, context.at);
        let text = value_text(self.metric, now);
        let clock = format_clock(context.moment().0, &context.zone);
        let alias = self.alias();
        Some((name.clone(), format!("{name}  {alias} {text}  {clock}")))
    }

    fn records(&self, context: &Context) -> Option<Records> {
        let of_line = |line: &CompareLine| {
            let point = |(time, value): (UnixMs, f64)| {
                vec![
                    json!((time - line.ago_ms).0),
                    json!(line.host),
                    json!(self.alias()),
                    json!(value),
                ]
            };
            line.points().map(point).collect::<Vec<_>>()
        };
        let rows = self.lines().iter().flat_map(of_line);
        let fields = ["time_ms", "host", "metric", "value"];
        Some(Records::new("points", context.moment(), &fields, rows))
    }

    fn file_stem(&self, _context: &Context) -> Option<String> {
        Some(format!("compare-{}", self.alias()))
    }
}
