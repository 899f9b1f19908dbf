//! What happened to hosts, and when there are rows: the strip of time on a screen. Pure.

use std::collections::VecDeque;

use sysmon_store::EVENTS_STORED_MAX;
use sysmon_wire::limits::{EVENTS_MAX, TIMELINE_STEPS_MAX};
use sysmon_wire::message::Blob;
use sysmon_wire::timeline::{Event, Timeline};
use sysmon_wire::{Label, UnixMs};

use crate::fleet::{Fleet, HostId};

/// The newest events, in the order in which they were noticed.
#[derive(Debug, Default)]
pub struct Events {
    kept: VecDeque<Event>,
    /// Those that the history was not told of; none where there is no history.
    unsaved: Option<Vec<Event>>,
}

impl Events {
    /// Remembers from now on what is new, for [`Events::take_unsaved`].
    pub fn record(&mut self) {
        self.unsaved = Some(Vec::new());
    }

    /// Takes an event.
    pub fn push(&mut self, event: Event) {
        if let Some(unsaved) = self
            .unsaved
            .as_mut()
            .filter(|u| u.len() < EVENTS_STORED_MAX)
        {
            unsaved.push(event.clone());
        }
        self.keep(event);
    }

    /// Takes back an event that the history knew.
    pub fn restore(&mut self, event: Event) {
        self.keep(event);
    }

    fn keep(&mut self, event: Event) {
        if self.kept.len() >= EVENTS_STORED_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
    }

    /// What is new since the last call.
    pub fn take_unsaved(&mut self) -> Vec<Event> {
        self.unsaved
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Those of one host or of all between two moments, in order of time; of too many the newest.
    pub fn between(&self, host: Option<&Label>, from: UnixMs, to: UnixMs) -> Vec<Event> {
        let is_wanted = |event: &&Event| {
            (from..=to).contains(&event.time) && host.is_none_or(|host| event.host == *host)
        };
        let mut found: Vec<Event> = self.kept.iter().filter(is_wanted).cloned().collect();
        found.sort_by_key(|event| event.time);
        found.drain(..found.len().saturating_sub(EVENTS_MAX));
        found
    }
}

/// When there are rows of a host, or of any, and what happened.
///
/// Of all hosts only the ends of what is sealed are looked at, so that a thousand hosts take no longer than one.
pub fn timeline(
    fleet: &Fleet,
    host: Option<HostId>,
    from: UnixMs,
    to: UnixMs,
    steps: u16,
) -> Timeline {
    let steps = i64::from(steps.clamp(1, TIMELINE_STEPS_MAX));
    let step_ms = ((to - from) / steps).max(1);
    let mut covered = vec![false; steps as usize];
    let mut oldest = UnixMs(i64::MAX);
    let host = host.and_then(|id| fleet.host(id));
    match host {
        Some(host) => {
            // What cannot be read counts as not there.
            let _ = host.ring.mark_covered(from, step_ms, &mut covered);
            oldest = host.ring.oldest().unwrap_or(oldest);
        }
        None => {
            for (_, host) in fleet.watched_hosts() {
                host.ring.mark_covered_roughly(from, step_ms, &mut covered);
                oldest = oldest.min(host.ring.oldest().unwrap_or(oldest));
            }
        }
    }
    Timeline {
        from,
        step_ms,
        oldest: oldest.min(to),
        covered: Blob(covered.into_iter().map(u8::from).collect()),
        events: fleet
            .events()
            .between(host.map(|host| &host.name), from, to),
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
    fn the_newest_events_are_kept_and_told_in_order_of_time() {
        let mut events = Events::default();
        events.record();
        for n in 0..EVENTS_STORED_MAX as i64 + 5 {
            events.push(event(n, "a"));
        }
        events.push(event(7, "b"));
        assert_eq!(events.kept.len(), EVENTS_STORED_MAX);
        let all = events.between(None, UnixMs(0), UnixMs(i64::MAX));
        assert_eq!(all.len(), EVENTS_MAX);
        assert!(all.is_sorted_by_key(|event| event.time));
        let b = events.between(Some(&"b".into()), UnixMs(0), UnixMs(10));
        assert_eq!(b, [event(7, "b")]);
        assert_eq!(events.take_unsaved().len(), EVENTS_STORED_MAX);
        assert_eq!(events.take_unsaved(), []);
    }
}
