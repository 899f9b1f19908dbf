//! Which files of the spool hold all that was ordered into them. Pure.

use std::collections::HashMap;

/// The files of this run, each with the orders whose outcome is not known yet.
#[derive(Debug, Default)]
pub(super) struct Written(HashMap<String, u32>);

impl Written {
    /// Something was ordered into the file.
    pub(super) fn ordered(&mut self, file: &str) {
        match self.0.get_mut(file) {
            Some(pending) => *pending += 1,
            None => drop(self.0.insert(file.to_owned(), 1)),
        }
    }

    /// The oldest order without an outcome has one.
    pub(super) fn outcome(&mut self, file: &str) {
        if let Some(pending) = self.0.get_mut(file) {
            *pending = pending.saturating_sub(1);
        }
    }

    /// Whether everything is in the file; those of earlier runs hold what was found in them.
    pub(super) fn holds_all(&self, file: &str) -> bool {
        self.0.get(file).is_none_or(|pending| *pending == 0)
    }

    /// The file is to be removed.
    pub(super) fn forget(&mut self, file: &str) {
        self.0.remove(file);
    }
}
