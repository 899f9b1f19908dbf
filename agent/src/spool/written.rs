//! Which files of the spool hold all that was ordered into them. Pure.

use std::collections::HashMap;

/// What is known of the files of this run.
#[derive(Debug, Default)]
pub(super) struct Written(HashMap<String, State>);

#[derive(Debug, Default)]
struct State {
    /// Orders whose outcome is not known yet.
    pending: u32,
    /// Something could not be written.
    failed: bool,
}

impl Written {
    /// Something was ordered into the file.
    pub(super) fn ordered(&mut self, file: &str) {
        match self.0.get_mut(file) {
            Some(state) => state.pending += 1,
            None => drop(self.0.insert(
                file.to_owned(),
                State {
                    pending: 1,
                    failed: false,
                },
            )),
        }
    }

    /// The oldest order without an outcome has this one.
    pub(super) fn outcome(&mut self, file: &str, ok: bool) {
        if let Some(state) = self.0.get_mut(file) {
            state.pending = state.pending.saturating_sub(1);
            state.failed |= !ok;
        }
    }

    /// Whether everything is in the file; files of earlier runs hold what was found in them.
    pub(super) fn holds_all(&self, file: &str) -> bool {
        self.0
            .get(file)
            .is_none_or(|state| state.pending == 0 && !state.failed)
    }

    /// Whether something that was ordered into the file is not there and will not be.
    pub(super) fn lacks_some(&self, file: &str) -> bool {
        self.0.get(file).is_some_and(|state| state.failed)
    }

    /// The file is to be removed, or to be written anew.
    pub(super) fn forget(&mut self, file: &str) {
        self.0.remove(file);
    }
}
