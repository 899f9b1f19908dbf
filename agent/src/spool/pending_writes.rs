//! Which files of the spool hold everything that was to be written to them. Pure.

use std::collections::HashMap;

/// Files of this run, each with the number of writes whose result is not known yet.
#[derive(Debug, Default)]
pub(super) struct PendingWrites(HashMap<String, u32>);

impl PendingWrites {
    pub(super) fn requested(&mut self, file: &str) {
        match self.0.get_mut(file) {
            Some(pending) => *pending += 1,
            None => drop(self.0.insert(file.to_owned(), 1)),
        }
    }

    pub(super) fn finished(&mut self, file: &str) {
        if let Some(pending) = self.0.get_mut(file) {
            *pending = pending.saturating_sub(1);
        }
    }

    /// Whether no write to the file is pending; files of earlier runs never have one.
    pub(super) fn is_complete(&self, file: &str) -> bool {
        self.0.get(file).is_none_or(|pending| *pending == 0)
    }

    pub(super) fn forget(&mut self, file: &str) {
        self.0.remove(file);
    }
}
