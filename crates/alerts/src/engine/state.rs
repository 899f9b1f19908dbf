//! Whether one thing that is watched is bad, and what becomes of that. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Severity;

use super::Transition;

/// Times that an alert goes off within the window before it is one that comes and goes.
const FLAPS_MAX: usize = 3;

/// That window; and how long such an alert has to be quiet before it is over.
const FLAP_WINDOW_MS: i64 = 600_000;

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its rule.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// The host.
    pub host: String,
    /// Words it was filed under.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Which of the host's series: the values of its attributes, or nothing.
    pub what: String,
    /// When it became bad.
    pub since: UnixMs,
    /// The value then; none for a host that is silent.
    pub value: Option<f64>,
    /// What it says, for people.
    pub summary: String,
}

impl Alert {
    /// Whether both are of the same thing.
    pub fn is_about(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// What tells it apart from others.
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.host, &self.rule, &self.what)
    }
}

/// What nobody looked at for this long may have been good in between; rows are seldom a minute apart.
const UNSEEN_MS: i64 = 180_000;

/// Whether something that is watched is bad.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Since when it has been bad without a break.
    bad_since: Option<UnixMs>,
    /// When it was found bad last.
    seen_bad: Option<UnixMs>,
    /// Since when it has been good, while the alert still stands.
    good_since: Option<UnixMs>,
    /// Since when there has been no value.
    pub(super) absent_since: Option<UnixMs>,
    /// Whether it was good before.
    pub(super) was_good: bool,
    /// The alert, while it fires.
    pub(super) firing: Option<Alert>,
    /// When it fired, lately.
    fired: Vec<UnixMs>,
    /// Whether it fired before a restart, so that rows of before it are known to it.
    pub(super) is_kept: bool,
}

impl State {
    /// That of an alert that fired before a restart, or before its rule was changed.
    pub(super) fn restored(firing: Option<Alert>) -> Self {
        Self {
            was_good: firing.is_some(),
            is_kept: firing.is_some(),
            firing,
            ..Self::default()
        }
    }

    /// Takes that it is bad; `alert` makes the alert, when it has been for long enough.
    pub(super) fn bad(
        &mut self,
        hold: Duration,
        now: UnixMs,
        alert: impl FnOnce() -> Alert,
    ) -> Option<Transition> {
        self.good_since = None;
        let seen = self.seen_bad.replace(now);
        if seen.is_none_or(|seen| now - seen > UNSEEN_MS) {
            self.bad_since = None;
        }
        let since = *self.bad_since.get_or_insert(now);
        let hold_ms = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
        if self.firing.is_some() || now - since < hold_ms {
            return None;
        }
        self.fired.retain(|fired| now - *fired < FLAP_WINDOW_MS);
        self.fired.push(now);
        let mut alert = alert();
        alert.since = alert.since.min(since);
        if self.is_flapping() {
            alert.summary.push_str(" (it comes and goes)");
        }
        self.firing = Some(alert.clone());
        Some(Transition {
            alert,
            firing: true,
        })
    }

    /// Takes that it is good.
    pub(super) fn good(&mut self, now: UnixMs) -> Option<Transition> {
        self.bad_since = None;
        self.was_good = true;
        self.firing.as_ref()?;
        let since = *self.good_since.get_or_insert(now);
        if self.is_flapping() && now - since < FLAP_WINDOW_MS {
            return None;
        }
        self.end()
    }

    /// The alert is over, if there is one.
    pub(super) fn end(&mut self) -> Option<Transition> {
        if self.is_flapping() {
            self.fired.clear();
        }
        self.bad_since = None;
        self.good_since = None;
        let alert = self.firing.take()?;
        Some(Transition {
            alert,
            firing: false,
        })
    }

    fn is_flapping(&self) -> bool {
        self.fired.len() >= FLAPS_MAX
    }
}
