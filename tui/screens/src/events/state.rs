//! Events and firing alerts, and which one is selected.

use std::collections::HashMap;

use sysmon_wire::alerts::{AlertState, SilenceState};
use sysmon_wire::message::Request;
use sysmon_wire::timeline::{Event, EventKind, Timeline};
use sysmon_wire::{Label, UnixMs};

use super::alerts::OpenAlerts;
use super::load::Load;
use crate::model::window::Window;

/// Steps requested: as many as a wide screen has cells.
pub const STEPS: u16 = 240;

/// Events are requested this often, however long a cell of the strip is.
const FOLLOW_MS_MAX: i64 = 5_000;

#[derive(Clone, Debug, Default)]
pub struct Events {
    known: Option<Timeline>,
    /// How each of its events ended.
    endings: Vec<Ending>,
    requested: Option<(Option<Label>, Window)>,
    pub(super) round: u32,
    pub alerts: OpenAlerts,
    pub(super) load: Load,
    selected: usize,
    wants_silences: bool,
    /// The selected row and the first one shown, once the events of the place that was returned to are known.
    restored: Option<(usize, usize)>,
    pub top: usize,
}

impl Events {
    /// Requests the timeline again once what is known is a step old, or is of another host or span.
    pub fn follow(&mut self, host: Option<&Label>, window: Window) {
        let span = window.to - window.from;
        let step = (span / i64::from(STEPS)).clamp(1_000, FOLLOW_MS_MAX);
        if let Some((of, before)) = &self.requested {
            let is_current = of.as_ref() == host
                && before.to - before.from == span
                && (0..step).contains(&(window.to - before.to));
            if is_current {
                return;
            }
        }
        self.requested = Some((host.cloned(), window));
    }

    pub fn request(&self) -> Option<Request> {
        let (host, window) = self.requested.clone()?;
        Some(Request::Timeline {
            host,
            from: window.from,
            to: window.to,
            steps: STEPS,
        })
    }

    pub fn forget_requested(&mut self) {
        self.requested = None;
        self.round = self.round.wrapping_add(1);
    }

    pub fn set(&mut self, timeline: Timeline) {
        self.keep_selected(|this| {
            this.endings = endings(&timeline.events);
            this.known = Some(timeline);
        });
        if let Some((selected, top)) = self.restored.take() {
            self.select(selected);
            self.top = top;
        }
    }

    pub fn set_alerts(&mut self, alerts: Vec<AlertState>, more: u32, silences: Vec<SilenceState>) {
        self.keep_selected(|this| this.alerts.set(alerts, more, silences));
        if std::mem::take(&mut self.wants_silences) {
            self.select_silences();
        }
    }

    /// Selects the row that was selected when the list was left; again once its own events are known.
    pub fn restore(&mut self, selected: usize, top: usize) {
        if self.selected != selected {
            self.restored = Some((selected, top));
        }
        self.select(selected);
        self.top = top;
    }

    /// Selects the first silence, at once or when they are known.
    pub fn select_silences(&mut self) {
        let first = self.alerts.shown().len();
        match self.alerts.silences().is_empty() {
            true => self.wants_silences = true,
            false => self.select(first),
        }
    }

    /// Changes the list; the selection follows its row. The first row stays selected whatever it becomes, unless
    /// it is an alert, which somebody may be about to acknowledge.
    fn keep_selected(&mut self, change: impl FnOnce(&mut Self)) {
        let is_chosen =
            |entry: &EventRow<'_>| self.selected > 0 || !matches!(entry, EventRow::Event(_));
        let before = self.selected().filter(is_chosen).map(EventRow::key);
        change(self);
        let at = before.and_then(|key| self.rows().position(|entry| entry.key() == key));
        self.selected = at.unwrap_or(self.selected);
        self.move_by(0);
    }

    /// Whether there are rows at a moment; none if that is not known.
    pub fn is_covered(&self, time: UnixMs) -> Option<bool> {
        let known = self.known.as_ref()?;
        let at = usize::try_from((time - known.from).div_euclid(known.step_ms.max(1))).ok()?;
        known.covered.0.get(at).map(|covered| *covered != 0)
    }

    /// When an alert that fired was resolved, if both are in the span.
    pub(super) fn resolved(&self, event: &Event) -> Option<UnixMs> {
        let at = self
            .events()
            .iter()
            .position(|other| std::ptr::eq(other, event))?;
        let Some(Ending::At(time)) = self.endings.get(at) else {
            return None;
        };
        Some(*time)
    }

    /// The events of the list: an alert and its end are one.
    fn listed(&self) -> impl DoubleEndedIterator<Item = &Event> {
        let is_end = |at: usize| matches!(self.endings.get(at), Some(Ending::IsEnd));
        let events = self.events().iter().enumerate();
        events
            .filter(move |(at, _)| !is_end(*at))
            .map(|(_, event)| event)
    }

    /// What happened, in order of time.
    pub fn events(&self) -> &[Event] {
        self.known.as_ref().map_or(&[], |known| &known.events)
    }

    pub fn before(&self, time: UnixMs) -> Option<&Event> {
        self.events().iter().rev().find(|event| event.time < time)
    }

    pub fn after(&self, time: UnixMs) -> Option<&Event> {
        self.events().iter().find(|event| event.time > time)
    }

    /// The rows of the list: firing alerts, the worst first, then silences, then events, the newest first.
    pub fn rows(&self) -> impl Iterator<Item = EventRow<'_>> {
        let alerts = self.alerts.shown().iter().map(EventRow::Alert);
        let silences = self.alerts.silences().iter().map(EventRow::Silence);
        let events = self.listed().rev().map(EventRow::Event);
        alerts.chain(silences).chain(events)
    }

    pub fn len(&self) -> usize {
        self.alerts.shown().len() + self.alerts.silences().len() + self.listed().count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn selected(&self) -> Option<EventRow<'_>> {
        self.rows().nth(self.selected)
    }

    pub fn selected_at(&self) -> usize {
        self.selected
    }

    pub fn move_by(&mut self, rows: isize) {
        let last = self.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(rows).min(last);
    }

    pub fn select(&mut self, at: usize) {
        self.selected = at;
        self.move_by(0);
    }

    pub fn scroll_to_selected(&mut self, height: usize) {
        let least = (self.selected + 1).saturating_sub(height.max(1));
        self.top = self.top.clamp(least, self.selected.max(least));
    }
}

/// How an alert among the events ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    None,
    /// It was resolved at this time.
    At(UnixMs),
    /// It is itself the end of another.
    IsEnd,
}

/// The endings of events: an alert is resolved by the next event of its host that says so of the same text.
fn endings(events: &[Event]) -> Vec<Ending> {
    let mut endings = vec![Ending::None; events.len()];
    let mut open: HashMap<(&str, &str), usize> = HashMap::new();
    for (at, event) in events.iter().enumerate() {
        let key = (event.host.as_str(), event.text.as_str());
        match event.kind {
            EventKind::Fired(_) => {
                open.insert(key, at);
            }
            EventKind::Resolved(_) => {
                let Some(begun) = open.remove(&key) else {
                    continue;
                };
                if let Some(ending) = endings.get_mut(begun) {
                    *ending = Ending::At(event.time);
                }
                if let Some(ending) = endings.get_mut(at) {
                    *ending = Ending::IsEnd;
                }
            }
            _ => {}
        }
    }
    endings
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EventRow<'a> {
    Alert(&'a AlertState),
    Silence(&'a SilenceState),
    Event(&'a Event),
}

#[derive(PartialEq)]
enum Key {
    Alert(Label, Label, Label),
    Silence(Label),
    Event(UnixMs, Label, EventKind),
}

impl EventRow<'_> {
    pub fn time(&self) -> UnixMs {
        match self {
            Self::Alert(alert) => alert.since,
            Self::Silence(silence) => silence.from,
            Self::Event(event) => event.time,
        }
    }

    /// The host, or what a silence is of.
    pub fn host(&self) -> &Label {
        match self {
            Self::Alert(alert) => &alert.host,
            Self::Silence(silence) => &silence.scope,
            Self::Event(event) => &event.host,
        }
    }

    fn key(self) -> Key {
        match self {
            Self::Alert(alert) => {
                Key::Alert(alert.host.clone(), alert.rule.clone(), alert.device.clone())
            }
            Self::Silence(silence) => Key::Silence(silence.id.clone()),
            Self::Event(event) => Key::Event(event.time, event.host.clone(), event.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_and_its_end_are_one_row() {
        let event = |time: i64, kind, text: &str| Event {
            time: UnixMs(time),
            host: "a".into(),
            kind,
            text: text.into(),
        };
        let severity = Severity::Warning;
        let mut state = Events::default();
        state.set(Timeline {
            from: UnixMs(0),
            step_ms: 10,
            oldest: UnixMs(0),
            covered: Blob(vec![1, 0]),
            events: vec![
                event(1, EventKind::Resolved(severity), "of before"),
                event(2, EventKind::Fired(severity), "full"),
                event(3, EventKind::Fired(severity), "hot"),
                event(9, EventKind::Resolved(severity), "full"),
            ],
        });
        assert_eq!((state.len(), state.events().len()), (3, 4));
        let resolved = state.events().iter().map(|event| state.resolved(event));
        assert_eq!(
            resolved.collect::<Vec<_>>(),
            [None, Some(UnixMs(9)), None, None]
        );
        assert_eq!(state.rows().next().unwrap().time(), UnixMs(3));
    }
    use sysmon_wire::alerts::Acknowledgement;
    use sysmon_wire::message::{Blob, Severity};
    use sysmon_wire::timeline::EventKind;

    fn alert(host: &str, is_taken: bool) -> AlertState {
        AlertState {
            host: host.into(),
            rule: "cpu".into(),
            device: Label::new(""),
            severity: Severity::Warning,
            since: UnixMs(5),
            summary: Label::new(""),
            acknowledged: is_taken.then(|| Acknowledgement {
                by: "jane".into(),
                at: UnixMs(6),
                note: Label::new(""),
            }),
            silenced: None,
        }
    }

    #[test]
    fn the_selection_follows_its_row() {
        let mut state = Events::default();
        state.set_alerts(vec![alert("a", false), alert("b", false)], 0, Vec::new());
        let host = |state: &Events| state.selected().unwrap().host().to_string();
        assert_eq!((state.len(), host(&state).as_str()), (2, "a"));
        state.move_by(1);
        assert_eq!(host(&state), "b");
        // Neither acknowledged nor silenced alerts come first.
        state.set_alerts(
            vec![alert("a", true), alert("b", false), alert("c", false)],
            0,
            Vec::new(),
        );
        assert_eq!((state.selected_at(), host(&state).as_str()), (0, "b"));
        state.set_alerts(
            vec![alert("c", false), alert("b", false), alert("a", true)],
            0,
            Vec::new(),
        );
        assert_eq!((state.selected_at(), host(&state).as_str()), (1, "b"));
        state.move_by(1);
        assert_eq!(host(&state), "a");
        state.set_alerts(vec![alert("c", false)], 0, Vec::new());
        assert_eq!(host(&state), "c");
    }

    #[test]
    fn the_timeline_is_requested_again_after_a_step_and_for_another_host_or_span() {
        let mut state = Events::default();
        let window = |now: i64| Window::of(3_600_000, UnixMs(now), None);
        let mut followed = |host: Option<&str>, window: Window| {
            let before = state.request();
            state.follow(host.map(Label::new).as_ref(), window);
            before != state.request()
        };
        assert!(followed(None, window(10_000_000)));
        assert!(!followed(None, window(10_001_000)));
        assert!(followed(None, window(10_020_000)), "a step later");
        assert!(followed(Some("a"), window(10_020_000)));
        let wider = Window::of(6 * 3_600_000, UnixMs(10_020_000), None);
        assert!(followed(Some("a"), wider));
        let round = state.round;
        state.forget_requested();
        assert_ne!(state.round, round);
        assert_eq!(state.request(), None);
    }

    #[test]
    fn events_are_found_on_both_sides_of_a_moment() {
        let event = |time: i64| Event {
            time: UnixMs(time),
            host: "a".into(),
            kind: EventKind::Offline,
            text: "".into(),
        };
        let mut state = Events::default();
        assert_eq!(
            (state.is_covered(UnixMs(5)), state.selected()),
            (None, None)
        );
        state.set(Timeline {
            from: UnixMs(0),
            step_ms: 10,
            oldest: UnixMs(0),
            covered: Blob(vec![1, 0]),
            events: vec![event(3), event(15)],
        });
        assert_eq!(state.before(UnixMs(15)), Some(&event(3)));
        assert_eq!(state.after(UnixMs(3)), Some(&event(15)));
        assert_eq!(state.after(UnixMs(15)), None);
        assert_eq!(
            state.selected(),
            Some(EventRow::Event(&event(15))),
            "the newest first"
        );
        let covered = [5, 15, 25].map(|time| state.is_covered(UnixMs(time)));
        assert_eq!(covered, [Some(true), Some(false), None]);
    }
}
