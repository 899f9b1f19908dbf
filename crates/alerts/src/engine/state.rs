//! The state of one rule on one series: from holding, through firing, to resolved. Pure.

use std::time::Duration;

use sysmon_wire::UnixMs;

use crate::{Alert, Transition};

/// An alert that fires this often within the window is flapping.
const FLAPS_MAX: usize = 3;

/// That window; also how long the condition of a flapping alert must not hold before the alert is resolved.
const FLAP_WINDOW_MS: i64 = 600_000;

/// After a gap this long the condition may not have held in between; rows are seldom a minute apart.
const UNSEEN_MS: i64 = 180_000;

/// One rule on one series or host.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Since when the condition has held without a break.
    held_since: Option<UnixMs>,
    /// When the condition was last seen to hold.
    held_at: Option<UnixMs>,
    /// Since when the condition has not held, while the alert still fires.
    clear_since: Option<UnixMs>,
    /// Since when the series has had no value.
    pub(super) absent_since: Option<UnixMs>,
    /// Whether the condition did not hold at some time before.
    pub(super) was_clear: bool,
    pub(super) firing: Option<Alert>,
    fired: Vec<UnixMs>,
    /// Whether the alert fired before a restart; recalled rows then change nothing.
    pub(super) is_restored: bool,
}

impl State {
    /// The state of an alert that fired before a restart, or before its rule was changed.
    pub(super) fn restored(firing: Option<Alert>) -> Self {
        Self {
            was_clear: firing.is_some(),
            is_restored: firing.is_some(),
            firing,
            ..Self::default()
        }
    }

    /// The condition holds at `now`; `alert` makes the alert once it has held for `hold`.
    pub(super) fn holds(
        &mut self,
        hold: Duration,
        now: UnixMs,
        alert: impl FnOnce() -> Alert,
    ) -> Option<Transition> {
        self.clear_since = None;
        let seen = self.held_at.replace(now);
        if seen.is_none_or(|seen| now - seen > UNSEEN_MS) {
            self.held_since = None;
        }
        let since = *self.held_since.get_or_insert(now);
        let hold_ms = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
        if self.firing.is_some() || now - since < hold_ms {
            return None;
        }
        self.fired.retain(|fired| now - *fired < FLAP_WINDOW_MS);
        self.fired.push(now);
        let mut alert = alert();
        alert.since = alert.since.min(since);
        if self.is_flapping() {
            alert.summary.push_str(" (flapping)");
        }
        self.firing = Some(alert.clone());
        Some(Transition::fired(alert))
    }

    pub(super) fn clears(&mut self, now: UnixMs) -> Option<Transition> {
        self.held_since = None;
        self.was_clear = true;
        self.firing.as_ref()?;
        let since = *self.clear_since.get_or_insert(now);
        if self.is_flapping() && now - since < FLAP_WINDOW_MS {
            return None;
        }
        self.resolve()
    }

    pub(super) fn resolve(&mut self) -> Option<Transition> {
        if self.is_flapping() {
            self.fired.clear();
        }
        self.held_since = None;
        self.clear_since = None;
        let alert = self.firing.take()?;
        Some(Transition::resolved(alert))
    }

    fn is_flapping(&self) -> bool {
        self.fired.len() >= FLAPS_MAX
    }
}
