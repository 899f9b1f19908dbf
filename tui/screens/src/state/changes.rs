//! What is different from before, and which of it is selected.

use sysmon_wire::message::Change;
use sysmon_wire::{Label, UnixMs};

/// The list of changes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Of this host, or of all.
    pub host: Option<Label>,
    /// The end of the minute that was compared; none before the answer came.
    pub time: Option<UnixMs>,
    rows: Vec<Change>,
    selected: usize,
    /// The first row on screen.
    pub top: usize,
}

impl Changes {
    /// Nothing known yet, of a host or of all.
    pub fn of(host: Option<Label>) -> Self {
        Self {
            host,
            ..Self::default()
        }
    }

    /// Takes the answer, the most telling first.
    pub fn take(&mut self, time: UnixMs, rows: Vec<Change>) {
        self.time = Some(time);
        self.rows = rows;
        self.move_by(0);
    }

    /// All of them.
    pub fn rows(&self) -> &[Change] {
        &self.rows
    }

    /// The selected one.
    pub fn selected(&self) -> Option<&Change> {
        self.rows.get(self.selected)
    }

    /// Where the selected one stands.
    pub fn selected_at(&self) -> usize {
        self.selected
    }

    /// Selects the one at a place, or the nearest.
    pub fn select(&mut self, at: usize) {
        self.selected = at.min(self.rows.len().saturating_sub(1));
    }

    /// Selects another, as far as there are some.
    pub fn move_by(&mut self, rows: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(rows).min(last);
    }

    /// Keeps the selected one among the `height` rows on screen.
    pub fn scroll(&mut self, height: usize) {
        let least = (self.selected + 1).saturating_sub(height.max(1));
        self.top = self.top.clamp(least, self.selected.max(least));
    }
}
