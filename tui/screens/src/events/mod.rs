//! Events and firing alerts, as a list and as the strip of time.

mod alerts;
mod load;
pub(crate) mod recent;
mod state;
pub(crate) mod strip;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use sysmon_wire::alerts::Alerts;
use sysmon_wire::message::Reply;
use sysmon_wire::timeline::{Event, EventKind};

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::layout::{has_strip, list_at};
use crate::operation::Operation;
use crate::screen::{Answer, Outcome, Outcomes, Screen, done, remark};
use crate::subscriptions::{Subscription, Topic};
pub use state::{EventRow, Events, STEPS};

pub(crate) fn text(event: &Event) -> String {
    let text = format!("{}: {} {}", event.host, event.kind.as_str(), event.text);
    text.trim_end().to_owned()
}

/// What happened to its host.
fn what(event: &Event) -> String {
    let prefix = format!("{}: ", event.host);
    let text = event.text.as_str();
    let text = text.strip_prefix(&prefix).unwrap_or(text);
    let text = format!("{} {text}", event.kind.as_str());
    text.trim_end().to_owned()
}

impl Events {
    fn open(&self) -> Outcomes {
        let Some(row) = self.selected() else {
            return done();
        };
        let (host, at) = (row.host().clone(), row.time());
        let text = match row {
            EventRow::Alert(alert) => {
                format!("{host}: {} {}", alert.severity.as_str(), alert.summary)
            }
            EventRow::Silence(_) => return remark("S ends the selected silence"),
            EventRow::Event(event) => text(event),
        };
        let is_process = false;
        Some(vec![
            Outcome::OpenAt {
                host,
                at,
                is_process,
            },
            Outcome::Remark(text),
        ])
    }

    fn acknowledge(&self) -> Outcomes {
        let Some(EventRow::Alert(alert)) = self.selected() else {
            return remark("select a firing alert: they are at the top of the list");
        };
        Some(vec![Outcome::Operate(Operation::Acknowledge {
            host: alert.host.clone(),
            rule: Some(alert.rule.clone()),
            note: sysmon_wire::Label::default(),
            is_acknowledged: alert.acknowledged.is_none(),
        })])
    }

    /// Silences the selected alert, its rule or its host; ends the selected silence.
    fn silence(&self) -> Outcomes {
        let outcome = match self.selected() {
            None => return remark("nothing is selected"),
            Some(EventRow::Silence(silence)) => Outcome::Operate(Operation::Unsilence {
                id: silence.id.clone(),
                scope: silence.scope.clone(),
            }),
            Some(EventRow::Alert(alert)) => {
                let (host, rule) = (&alert.host, &alert.rule);
                let of_alert = format!("{host}:{rule}");
                Outcome::Silence(vec![of_alert, host.to_string(), format!(":{rule}")])
            }
            Some(EventRow::Event(event)) => Outcome::Silence(vec![event.host.to_string()]),
        };
        Some(vec![outcome])
    }

    fn receive_alerts(&mut self, alerts: Alerts, context: &Context) -> Vec<Outcome> {
        let answer = self.alerts.answer(&alerts, context).map(Outcome::Remark);
        if shows_alerts(context) {
            let (more, silences) = (alerts.more, alerts.silences);
            let mut alerts = alerts.alerts;
            if let Some(host) = context.host_name() {
                alerts.retain(|alert| alert.host == *host);
            }
            self.set_alerts(alerts, more, silences);
            self.reveal(context);
        }
        answer.into_iter().collect()
    }
}

/// Only the present is known of alerts, and only the list shows them.
fn shows_alerts(context: &Context) -> bool {
    context.mode() == Mode::Events && context.at.is_none()
}

fn is_shown(context: &Context) -> bool {
    has_strip(context.size) || context.place() == Mode::Events
}

impl Screen for Events {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(self, context, area, buffer);
    }

    fn act(&mut self, action: Action, _context: &Context) -> Outcomes {
        match action {
            Action::Open => self.open(),
            Action::Acknowledge => self.acknowledge(),
            Action::Silence => self.silence(),
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
        if at < self.len() {
            self.select(at);
        }
        done()
    }

    fn refresh(&mut self, context: &Context) {
        if is_shown(context) {
            self.follow(context.host_name(), context.window());
            self.load.follow(context.host_name(), context.window());
        }
        if shows_alerts(context) {
            self.alerts.follow(context.now);
        } else if !self.alerts.is_pending() {
            self.alerts.clear();
            self.move_by(0);
        }
    }

    fn subscriptions(&self, context: &Context, wanted: &mut Vec<Subscription>) {
        if let Some(request) = self.request().filter(|_| is_shown(context)) {
            wanted.push(Subscription {
                round: self.round,
                ..Subscription::new(Topic::Timeline, request)
            });
        }
        if let Some(request) = self.load.request().filter(|_| is_shown(context)) {
            wanted.push(Subscription::new(Topic::Load, request));
        }
        if let Some(request) = &self.alerts.request {
            wanted.push(Subscription {
                round: self.alerts.round,
                ..Subscription::new(Topic::Alerts, request.clone())
            });
        }
    }

    fn reply(
        &mut self,
        Answer { topic, reply, .. }: Answer,
        context: &mut Context,
    ) -> Vec<Outcome> {
        match reply {
            Some(Reply::Timeline(timeline)) => {
                if context.host.is_none() {
                    let resolved = |event: &&Event| matches!(event.kind, EventKind::Resolved(_));
                    let last = timeline.events.iter().rev().find(resolved);
                    context.resolved_at = last.map(|event| event.time);
                }
                self.set(timeline);
                self.reveal(context);
                Vec::new()
            }
            Some(Reply::Points(points)) => {
                self.load.set(points);
                Vec::new()
            }
            Some(Reply::Alerts(alerts)) => self.receive_alerts(alerts, context),
            Some(Reply::Refused { reason }) => {
                if topic == Topic::Alerts {
                    self.alerts.refused();
                }
                vec![Outcome::Remark(reason.to_string())]
            }
            _ => Vec::new(),
        }
    }

    fn disconnected(&mut self) {
        self.forget_requested();
        self.alerts.forget_requested();
        self.load.forget();
    }
}
