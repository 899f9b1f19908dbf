//! The strip of time at the bottom: how much of it is shown, when there are rows, and what happened.

use sysmon_wire::alerts::AlertState;
use sysmon_wire::timeline::{Event, EventKind, Timeline};
use sysmon_wire::{Label, UnixMs};

use super::alerts::OpenAlerts;

/// How much time the strip can show, and how people say it.
const ZOOMS: [(i64, &str); 9] = [
    (60_000, "1 min"),
    (600_000, "10 min"),
    (3_600_000, "1 h"),
    (6 * 3_600_000, "6 h"),
    (86_400_000, "1 d"),
    (7 * 86_400_000, "7 d"),
    (30 * 86_400_000, "30 d"),
    (365 * 86_400_000, "1 y"),
    (730 * 86_400_000, "2 y"),
];

/// An hour: long enough to see where it began, short enough to point at.
const FIRST_ZOOM: usize = 2;

/// Steps that are asked for: as many as a wide screen has cells.
pub const STEPS: u16 = 240;

/// What happened is asked for this often, however long a cell of the strip stands for.
const ASK_MS_MAX: i64 = 5_000;

/// What the strip shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its left end.
    pub from: UnixMs,
    /// Its right end.
    pub to: UnixMs,
}

impl Window {
    /// The cell of `width` in which a moment lies; none if it lies outside.
    pub fn cell(&self, time: UnixMs, width: usize) -> Option<usize> {
        let span = (self.to - self.from).max(1);
        let at = usize::try_from(time - self.from).ok()?;
        if time > self.to {
            return None;
        }
        Some((at * width / span as usize).min(width.saturating_sub(1)))
    }

    /// The moment in the middle of a cell of `width`.
    pub fn moment(&self, cell: usize, width: usize) -> UnixMs {
        let span = self.to - self.from;
        self.from + span * (2 * cell as i64 + 1) / (2 * width.max(1) as i64)
    }
}

/// The strip, and the list of what happened.
#[derive(Clone, Debug)]
pub struct TimelineState {
    zoom: usize,
    known: Option<Timeline>,
    /// What was asked for last.
    asked: Option<(Option<Label>, Window)>,
    /// What fires now; stands above what happened.
    pub alerts: OpenAlerts,
    selected: usize,
    /// The first row of the list on screen.
    pub top: usize,
}

impl Default for TimelineState {
    fn default() -> Self {
        Self {
            zoom: FIRST_ZOOM,
            known: None,
            asked: None,
            alerts: OpenAlerts::default(),
            selected: 0,
            top: 0,
        }
    }
}

impl TimelineState {
    /// Milliseconds shown.
    pub fn span_ms(&self) -> i64 {
        ZOOMS.get(self.zoom).map_or(3_600_000, |(span, _)| *span)
    }

    /// How long that is, in words.
    pub fn span_text(&self) -> &'static str {
        ZOOMS.get(self.zoom).map_or("", |(_, text)| text)
    }

    /// Shows more time, or less.
    pub fn zoom(&mut self, by: isize) {
        self.zoom = self.zoom.saturating_add_signed(by).min(ZOOMS.len() - 1);
    }

    /// What is shown: up to now if the moment shown is in there, else the time around it.
    pub fn window(&self, now: UnixMs, at: Option<UnixMs>) -> Window {
        let span = self.span_ms();
        match at {
            Some(at) if at < now - span => Window {
                from: at - span / 2,
                to: at + span / 2,
            },
            _ => Window {
                from: now - span,
                to: now,
            },
        }
    }

    /// What has to be asked for to fill the strip, if what is known has become too old; it counts as asked then.
    pub fn ask(&mut self, host: Option<&Label>, window: Window) -> Option<(Option<Label>, Window)> {
        let step = (self.span_ms() / i64::from(STEPS)).clamp(1_000, ASK_MS_MAX);
        if let Some((asked, before)) = &self.asked {
            let same = asked.as_ref() == host
                && before.to - before.from == window.to - window.from
                && (0..step).contains(&(window.to - before.to));
            if same {
                return None;
            }
        }
        let asked = (host.cloned(), window);
        self.asked = Some(asked.clone());
        Some(asked)
    }

    /// Asks again when the next occasion comes: the hub that was asked is gone.
    pub fn forget_asked(&mut self) {
        self.asked = None;
    }

    /// Takes the answer.
    pub fn take(&mut self, timeline: Timeline) {
        self.keep_selected(|this| this.known = Some(timeline));
    }

    /// Takes what fires now.
    pub fn take_alerts(&mut self, alerts: Vec<AlertState>) {
        self.keep_selected(|this| this.alerts.take(alerts));
    }

    /// Changes the list, and leaves that selected which was, wherever it stands then. The first row stays the first
    /// whatever happens, unless it is an alert, of which one takes care.
    fn keep_selected(&mut self, change: impl FnOnce(&mut Self)) {
        let is_chosen = |entry: &Entry<'_>| self.selected > 0 || matches!(entry, Entry::Alert(_));
        let before = self.selected().filter(is_chosen).map(Entry::key);
        change(self);
        let at = before.and_then(|key| self.entries().position(|entry| entry.key() == key));
        self.selected = at.unwrap_or(self.selected);
        self.move_by(0);
    }

    /// Whether there are rows at a moment; none if that is not known.
    pub fn is_covered(&self, time: UnixMs) -> Option<bool> {
        let known = self.known.as_ref()?;
        let at = usize::try_from((time - known.from).div_euclid(known.step_ms.max(1))).ok()?;
        known.covered.0.get(at).map(|covered| *covered != 0)
    }

    /// What happened, in order of time.
    pub fn events(&self) -> &[Event] {
        self.known.as_ref().map_or(&[], |known| &known.events)
    }

    /// The last event before a moment.
    pub fn before(&self, time: UnixMs) -> Option<&Event> {
        self.events().iter().rev().find(|event| event.time < time)
    }

    /// The first event after a moment.
    pub fn after(&self, time: UnixMs) -> Option<&Event> {
        self.events().iter().find(|event| event.time > time)
    }

    /// The rows of the list: what fires, the worst first, then what happened, the newest first.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let alerts = self.alerts.shown().iter().map(Entry::Alert);
        alerts.chain(self.events().iter().rev().map(Entry::Event))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.alerts.shown().len() + self.events().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row that is selected in the list.
    pub fn selected(&self) -> Option<Entry<'_>> {
        self.entries().nth(self.selected)
    }

    /// Where the selected one stands.
    pub fn selected_at(&self) -> usize {
        self.selected
    }

    /// Selects another, as far as there are some.
    pub fn move_by(&mut self, rows: isize) {
        let last = self.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(rows).min(last);
    }

    /// Selects a row of the list.
    pub fn select(&mut self, at: usize) {
        self.selected = at;
        self.move_by(0);
    }

    /// Keeps the selected one among the `height` rows on screen.
    pub fn scroll(&mut self, height: usize) {
        let least = (self.selected + 1).saturating_sub(height.max(1));
        self.top = self.top.clamp(least, self.selected.max(least));
    }
}

/// A row of the list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry<'a> {
    /// Something that fires now.
    Alert(&'a AlertState),
    /// Something that happened.
    Event(&'a Event),
}

/// What a row is known by.
#[derive(PartialEq)]
enum Key {
    Alert(Label, Label, Label),
    Event(UnixMs, Label, EventKind),
}

impl Entry<'_> {
    /// When it happened, or began.
    pub fn time(&self) -> UnixMs {
        match self {
            Self::Alert(alert) => alert.since,
            Self::Event(event) => event.time,
        }
    }

    /// The host.
    pub fn host(&self) -> &Label {
        match self {
            Self::Alert(alert) => &alert.host,
            Self::Event(event) => &event.host,
        }
    }

    fn key(self) -> Key {
        match self {
            Self::Alert(alert) => {
                Key::Alert(alert.host.clone(), alert.rule.clone(), alert.device.clone())
            }
            Self::Event(event) => Key::Event(event.time, event.host.clone(), event.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    fn what_is_selected_stays_so_wherever_it_goes() {
        let mut state = TimelineState::default();
        state.take_alerts(vec![alert("a", false), alert("b", false)]);
        let host = |state: &TimelineState| state.selected().unwrap().host().to_string();
        assert_eq!((state.len(), host(&state).as_str()), (2, "a"));
        state.move_by(1);
        assert_eq!(host(&state), "b");
        // Of what fires that comes first of which nobody takes care.
        state.take_alerts(vec![alert("a", true), alert("b", false), alert("c", false)]);
        assert_eq!((state.selected_at(), host(&state).as_str()), (0, "b"));
        state.take_alerts(vec![alert("c", false), alert("b", false), alert("a", true)]);
        assert_eq!((state.selected_at(), host(&state).as_str()), (1, "b"));
        state.move_by(1);
        assert_eq!(host(&state), "a");
        state.take_alerts(vec![alert("c", false)]);
        assert_eq!(host(&state), "c");
    }

    #[test]
    fn the_window_ends_now_unless_what_is_shown_lies_before_it() {
        let state = TimelineState::default();
        let now = UnixMs(100 * 3_600_000);
        let window = state.window(now, None);
        assert_eq!((window.from, window.to), (now - 3_600_000, now));
        assert_eq!(state.window(now, Some(now - 10_000)), window);
        let past = state.window(now, Some(now - 7_200_000));
        assert_eq!(past.to, now - 5_400_000);
        assert_eq!(window.cell(now, 60), Some(59));
        assert_eq!(window.cell(window.from, 60), Some(0));
        assert_eq!(window.cell(window.from - 1, 60), None);
        assert_eq!(window.cell(now + 1, 60), None);
        for cell in 0..60 {
            assert_eq!(window.cell(window.moment(cell, 60), 60), Some(cell));
        }
    }

    #[test]
    fn it_asks_when_time_has_gone_a_step_or_another_host_is_shown() {
        let mut state = TimelineState::default();
        let window = |now: i64| TimelineState::default().window(UnixMs(now), None);
        assert!(state.ask(None, window(10_000_000)).is_some());
        assert_eq!(state.ask(None, window(10_001_000)), None);
        assert!(
            state.ask(None, window(10_020_000)).is_some(),
            "a step later"
        );
        assert!(state.ask(Some(&"a".into()), window(10_020_000)).is_some());
        state.zoom(1);
        let wider = state.window(UnixMs(10_020_000), None);
        assert!(state.ask(Some(&"a".into()), wider).is_some());
        state.forget_asked();
        assert!(state.ask(Some(&"a".into()), wider).is_some());
    }

    #[test]
    fn events_are_found_on_both_sides_of_a_moment() {
        let event = |time: i64| Event {
            time: UnixMs(time),
            host: "a".into(),
            kind: EventKind::Offline,
            text: "".into(),
        };
        let mut state = TimelineState::default();
        assert_eq!(
            (state.is_covered(UnixMs(5)), state.selected()),
            (None, None)
        );
        state.take(Timeline {
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
            Some(Entry::Event(&event(15))),
            "the newest first"
        );
        let covered = [5, 15, 25].map(|time| state.is_covered(UnixMs(time)));
        assert_eq!(covered, [Some(true), Some(false), None]);
    }
}
