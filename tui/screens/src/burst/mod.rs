//! A minute of the open host at ten samples per second.

mod state;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::message::Reply;

use crate::context::Context;
use crate::screen::{Answer, Outcome, Screen};
use crate::subscriptions::{Subscription, Topic};
pub use state::{Burst, BurstScreen};

impl Screen for BurstScreen {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer) {
        view::draw(self, context, area, buffer);
    }

    fn subscriptions(&self, _context: &Context, wanted: &mut Vec<Subscription>) {
        if let Some(request) = &self.request {
            wanted.push(Subscription {
                round: self.round,
                ..Subscription::new(Topic::Burst, request.clone())
            });
        }
    }

    /// The samples arrive as rows of the host; only a refusal is a reply.
    fn reply(&mut self, Answer { reply, .. }: Answer, _context: &mut Context) -> Vec<Outcome> {
        let Some(Reply::Refused { reason }) = reply else {
            return Vec::new();
        };
        self.stop();
        vec![Outcome::Remark(reason.to_string())]
    }

    fn disconnected(&mut self) {
        self.request = None;
    }

    fn file_stem(&self, context: &Context) -> Option<String> {
        Some(format!("{}-burst", context.host_name()?))
    }
}
