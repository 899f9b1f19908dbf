//! What happens, and what has to be done outside.

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Size;
use sysmon_wire::UnixMs;

use crate::feed::HubEvent;
use crate::subscriptions::Change;

#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    Resize(Size),
    /// Time passed; this machine's clock.
    Tick(UnixMs),
    Remark(String),
    Hub(HubEvent),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Quit,
    Suspend,
    Redraw,
    Copy(String),
    /// Rings the bell, and asks the terminal for a notification.
    Ring(String),
    Export {
        path: String,
        content: String,
    },
    Hub(Change),
}
