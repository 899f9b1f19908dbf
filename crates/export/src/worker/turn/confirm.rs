//! After a failure: what an engine that stores the cursor really has.

use super::{TurnError, Turns};

impl Turns {
    /// Goes on from what the engine has: it may have taken the batch whose answer was lost, or have been restored from a
    /// backup meanwhile.
    pub(super) fn confirm(&mut self) -> Result<(), TurnError> {
        if !self.is_doubtful || !self.engine.stores_cursor() {
            return Ok(());
        }
        let stored = self.engine.stored_cursor()?;
        if let (Some(stored), Some(cursor)) = (stored, &mut self.cursor) {
            let source = &mut self.source;
            let oldest = |host: &_| source.oldest(host).ok().flatten();
            let lacks_ms = cursor.go_on_from(&stored, oldest);
            if lacks_ms > 0 {
                tracing::warn!(
                    destination = %self.options.name, lacks_ms,
                    "the engine lacks rows that it had, as after a restored backup; they are sent again"
                );
            }
        }
        self.is_doubtful = false;
        Ok(())
    }
}
