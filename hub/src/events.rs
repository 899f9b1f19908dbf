//! The newest events of all hosts: who joined, left, came back, restarted, and which alerts fired. Pure.

use std::collections::VecDeque;

use sysmon_store::EVENTS_STORED_MAX;
use sysmon_wire::limits::EVENTS_MAX;
use sysmon_wire::timeline::Event;
use sysmon_wire::{Label, UnixMs};

#[derive(Debug, Default)]
pub struct EventLog {
    newest: VecDeque<Event>,
    /// Events that the history has not got yet; none without a history.
    unsaved: Option<Vec<Event>>,
}

impl EventLog {
    /// Tracks what is unsaved from now on, for [`EventLog::take_unsaved`].
    pub fn track_unsaved(&mut self) {
        self.unsaved = Some(Vec::new());
    }

    pub fn push(&mut self, event: Event) {
        if let Some(unsaved) = self
            .unsaved
            .as_mut()
            .filter(|u| u.len() < EVENTS_STORED_MAX)
        {
            unsaved.push(event.clone());
        }
        self.restore(event);
    }

    pub fn restore(&mut self, event: Event) {
        if self.newest.len() >= EVENTS_STORED_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(event);
    }

    /// A host is called otherwise from now on.
    pub fn rename_host(&mut self, from: &Label, to: &Label) {
        let events = self
            .newest
            .iter_mut()
            .chain(self.unsaved.iter_mut().flatten());
        for event in events.filter(|event| event.host == *from) {
            event.host = to.clone();
        }
    }

    pub fn take_unsaved(&mut self) -> Vec<Event> {
        let unsaved = self.unsaved.as_mut().map(std::mem::take);
        unsaved.unwrap_or_default()
    }

    /// Events of one host or of all between two moments, in order of time; the newest [`EVENTS_MAX`] of them.
    pub fn between(&self, host: Option<&Label>, from: UnixMs, to: UnixMs) -> Vec<Event> {
        let matches = |event: &&Event| {
            (from..=to).contains(&event.time) && host.is_none_or(|host| event.host == *host)
        };
        let mut found: Vec<Event> = self.newest.iter().filter(matches).cloned().collect();
        found.sort_by_key(|event| event.time);
        found.drain(..found.len().saturating_sub(EVENTS_MAX));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysmon_wire::timeline::EventKind;

    fn event(time: i64, host: &str) -> Event {
        Event {
            time: UnixMs(time),
            host: host.into(),
            kind: EventKind::Online,
            text: "".into(),
        }
    }

    #[test]
    fn the_newest_events_are_listed_in_order_of_time() {
        let mut events = EventLog::default();
        events.track_unsaved();
        for n in 0..EVENTS_STORED_MAX as i64 + 5 {
            events.push(event(n, "a"));
        }
        events.push(event(7, "b"));
        assert_eq!(events.newest.len(), EVENTS_STORED_MAX);
        let all = events.between(None, UnixMs(0), UnixMs(i64::MAX));
        assert_eq!(all.len(), EVENTS_MAX);
        assert!(all.is_sorted_by_key(|event| event.time));
        let b = events.between(Some(&"b".into()), UnixMs(0), UnixMs(10));
        assert_eq!(b, [event(7, "b")]);
        assert_eq!(events.take_unsaved().len(), EVENTS_STORED_MAX);
        assert_eq!(events.take_unsaved(), []);
    }
}
