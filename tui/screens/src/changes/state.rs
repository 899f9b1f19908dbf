//! Significant changes, and which one is selected.

use sysmon_wire::message::Change;
use sysmon_wire::{Label, UnixMs};

#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Of one host; `None` for all.
    pub host: Option<Label>,
    /// The end of the minute that was compared; `None` until the hub answers.
    pub time: Option<UnixMs>,
    rows: Vec<Change>,
    selected: usize,
    pub top: usize,
}

impl Changes {
    pub fn of(host: Option<Label>) -> Self {
        Self {
            host,
            ..Self::default()
        }
    }

    /// Replaces the list; `rows` begin with the most significant.
    pub fn set(&mut self, time: UnixMs, rows: Vec<Change>) {
        self.time = Some(time);
        self.rows = rows;
        self.move_by(0);
    }

    pub fn rows(&self) -> &[Change] {
        &self.rows
    }

    pub fn selected(&self) -> Option<&Change> {
        self.rows.get(self.selected)
    }

    pub fn selected_at(&self) -> usize {
        self.selected
    }

    pub fn select(&mut self, at: usize) {
        self.selected = at.min(self.rows.len().saturating_sub(1));
    }

    pub fn move_by(&mut self, rows: isize) {
        self.select(self.selected.saturating_add_signed(rows));
    }

    pub fn scroll_to_selected(&mut self, height: usize) {
        let least = (self.selected + 1).saturating_sub(height.max(1));
        self.top = self.top.clamp(least, self.selected.max(least));
    }
}
