//! What happens, and what has to be done outside.

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Size;
use sysmon_wire::UnixMs;

use crate::feed::HubEvent;
use crate::subscriptions::Change;

/// Something that happened.
#[derive(Debug)]
pub enum Message {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    Resize(Size),
    /// Time passed; this machine's clock.
    Tick(UnixMs),
    /// Shows a remark.
    Remark(String),
    Hub(HubEvent),
}

/// What has to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Quit,
    /// Returns to the shell until called back.
    Suspend,
    /// Draws every cell again.
    Redraw,
    /// Copies a text to the clipboard.
    Copy(String),
    /// Saves a new file.
    Export {
        path: String,
        content: String,
    },
    /// Opens or closes a request to the hub.
    Hub(Change),
}
