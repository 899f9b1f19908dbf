//! What a screen is: it draws itself, performs actions, and declares what it needs from the hub.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use sysmon_wire::message::Reply;
use sysmon_wire::{Label, UnixMs};

use crate::context::Context;
use crate::keys::{Action, Mode};
use crate::operation::Operation;
use crate::records::Records;
use crate::subscriptions::{Subscription, Topic};
use crate::widgets::plot::Plot;

/// What a screen asks of the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Remark(String),
    /// Goes to a mode; back leads here.
    Enter(Mode),
    Open(Label),
    /// Opens a process among those of its host; back leads here.
    OpenProcess {
        host: Label,
        pid: u32,
    },
    OpenAt {
        host: Label,
        at: UnixMs,
        is_process: bool,
    },
    /// Asks the hub to change something.
    Operate(Operation),
    /// Asks for how long to silence one of these, the first proposed.
    Silence(Vec<String>),
    /// Performs an action, as if its key were pressed.
    Act(Action),
}

/// What [`Screen::act`] and [`Screen::click`] return: `None` leaves it to the application.
pub type Outcomes = Option<Vec<Outcome>>;

/// Performed; nothing is asked of the application.
pub(crate) fn done() -> Outcomes {
    Some(Vec::new())
}

pub(crate) fn remark(text: impl Into<String>) -> Outcomes {
    Some(vec![Outcome::Remark(text.into())])
}

#[derive(Debug)]
pub struct Answer {
    pub topic: Topic,
    /// `None` is the end of the replies.
    pub reply: Option<Reply>,
    pub is_first: bool,
}

/// A screen. It knows the widgets, the context and its own state, and no other screen.
pub trait Screen {
    fn draw(&self, context: &Context, area: Rect, buffer: &mut Buffer);

    fn act(&mut self, _action: Action, _context: &Context) -> Outcomes {
        None
    }

    fn scroll(&mut self, _rows: isize, _context: &Context) {}

    fn reveal(&mut self, _context: &Context) {}

    fn click(&mut self, _place: Position, _context: &Context) -> Outcomes {
        None
    }

    /// The mouse is moved over a place; whether that changes what is drawn.
    fn hover(&mut self, _place: Position, _context: &Context) -> bool {
        false
    }

    /// The chart at a place, of which a span can be selected.
    fn plot_at(&self, _place: Position, _context: &Context) -> Option<Plot> {
        None
    }

    /// Follows the clock and the context before [`Self::subscriptions`] is called.
    fn refresh(&mut self, _context: &Context) {}

    fn subscriptions(&self, _context: &Context, _wanted: &mut Vec<Subscription>) {}

    fn reply(&mut self, _answer: Answer, _context: &mut Context) -> Vec<Outcome> {
        Vec::new()
    }

    /// Forgets what is pending on a connection that was lost.
    fn disconnected(&mut self) {}

    fn filter(&self) -> Option<String> {
        None
    }

    fn set_filter(&mut self, _filter: &str) {}

    /// Whether the filter is meant as a regular expression but is none.
    fn is_filter_invalid(&self) -> bool {
        false
    }

    fn sorts(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn sort_by(&mut self, _name: &str) -> Outcomes {
        None
    }

    /// The selected row for the clipboard: what it is called, and its text.
    fn selected_text(&self, _context: &Context) -> Option<(String, String)> {
        None
    }

    /// The value that the selected row is sorted by, for the clipboard: what it is called, and its text.
    fn selected_value(&self, _context: &Context) -> Option<(String, String)> {
        None
    }

    fn records(&self, _context: &Context) -> Option<Records> {
        None
    }

    fn file_stem(&self, _context: &Context) -> Option<String> {
        None
    }
}
