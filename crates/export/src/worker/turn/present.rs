//! Turns for engines that want no past: the state of every host, then events.

use std::time::Duration;

use super::{IDLE, Pending, State, TurnError, Turns, lock};
use crate::{Cursor, EventPosition, Present};

/// Reads of events in one turn, each of as many as fit at once.
const READS_MAX: usize = 20;

impl Turns {
    /// Sends the present if it is due; returns how long to wait for the next turn.
    pub(super) fn send_present(&mut self, cursor: &mut Cursor) -> Result<Duration, TurnError> {
        if cursor.is_paused {
            self.show_present(Some(State::Paused));
            self.store(cursor, false)?;
            return Ok(IDLE);
        }
        let (now, interval) = (self.now(), self.engine.interval());
        if now >= self.next_live {
            let hosts = self.source.present()?;
            let sent = self.engine.send_present(&Present {
                hosts: &hosts,
                created: cursor.created,
            })?;
            self.count(hosts.len(), sent, true);
            self.send_events(cursor)?;
            self.next_live = (self.next_live + interval).max(self.now());
        }
        self.succeed();
        self.show_present(Some(State::Running));
        self.store(cursor, false)?;
        Ok(self.next_live.saturating_duration_since(self.now()))
    }

    fn send_events(&mut self, cursor: &mut Cursor) -> Result<(), TurnError> {
        if !self.engine.takes_events() {
            return Ok(());
        }
        let newest = self.source.newest_event()?;
        if let Some(position) = self.engine.event_position() {
            let before = (cursor.created, cursor.event);
            align(cursor, position, newest, self.options.clock.now());
            self.is_stored &= before == (cursor.created, cursor.event);
        }
        for _ in 0..READS_MAX {
            let mut events = self.source.events_since(cursor.event)?;
            let Some((last, _)) = events.last() else {
                break;
            };
            let mut next = cursor.clone();
            next.event = *last;
            events.retain(|(_, event)| self.source.exports_events_of(&event.host));
            let batch = Pending {
                events,
                next: Some(next),
                ..Pending::default()
            };
            self.flush(batch, cursor)?;
        }
        Ok(())
    }

    /// Shows how long the engine has not had the present.
    pub(super) fn show_present(&self, state: Option<State>) {
        let now = self.options.clock.now();
        let mut status = lock(&self.status);
        status.lag_ms = match &state {
            Some(State::Running) => 0,
            _ => status.last_success.map_or(0, |last| (now - last).max(0)),
        };
        if let Some(state) = state {
            status.state = state;
        }
    }
}

/// Makes the cursor fit what the engine and the history have. Ids never fall within one cursor, so that an engine tells
/// by them what it has; where they would, the cursor begins anew.
fn align(cursor: &mut Cursor, position: EventPosition, newest: i64, now: sysmon_wire::UnixMs) {
    match position {
        EventPosition::Empty { room } => {
            cursor.event = cursor.event.min(newest - room).max(0);
        }
        EventPosition::Newest { created, id } if created == cursor.created && id <= newest => {
            cursor.event = id;
        }
        EventPosition::Newest { created, .. } if created < cursor.created => {
            cursor.event = cursor.event.min(newest);
        }
        // Events of a later hub, or a history that was restored from before the newest event.
        EventPosition::Newest { created, .. } => {
            cursor.created = now.max(created + 1);
            cursor.event = cursor.event.min(newest);
        }
    }
}

#[cfg(test)]
mod tests;
