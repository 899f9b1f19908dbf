//! What fires now, and who takes care of it.

use sysmon_wire::alerts::AlertState;
use sysmon_wire::{Label, UnixMs};

/// It is asked for this often while it is shown.
const ASK_MS: i64 = 2_000;

/// What fires, as far as it is shown.
#[derive(Clone, Debug, Default)]
pub struct OpenAlerts {
    alerts: Vec<AlertState>,
    asked: Option<UnixMs>,
    /// What was asked of the hub about one of them, and is not answered: host, rule, and whether somebody takes care.
    pub doing: Option<(Label, Label, bool)>,
}

impl OpenAlerts {
    /// Whether it is time to ask; it counts as asked then.
    pub fn ask(&mut self, now: UnixMs) -> bool {
        let is_due = self
            .asked
            .is_none_or(|asked| !(0..ASK_MS).contains(&(now - asked)));
        if is_due {
            self.asked = Some(now);
        }
        is_due
    }

    /// Asks again when the next occasion comes.
    pub fn forget_asked(&mut self) {
        self.asked = None;
        self.doing = None;
    }

    /// Takes the answer: what nobody takes care of stands first, of that the worst, then the newest.
    pub fn take(&mut self, mut alerts: Vec<AlertState>) {
        alerts.sort_by_key(|alert| {
            let is_quiet = alert.acknowledged.is_some() || alert.silenced.is_some();
            (is_quiet, std::cmp::Reverse((alert.severity, alert.since)))
        });
        self.alerts = alerts;
    }

    /// Shows none: another moment is shown.
    pub fn clear(&mut self) {
        self.alerts.clear();
        self.asked = None;
    }

    /// What is shown.
    pub fn shown(&self) -> &[AlertState] {
        &self.alerts
    }

    /// How many of those nobody takes care of, how many somebody does, and how many are silenced.
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for alert in &self.alerts {
            let place = match (&alert.acknowledged, &alert.silenced) {
                (Some(_), _) => 1,
                (None, Some(_)) => 2,
                (None, None) => 0,
            };
            if let Some(count) = counts.get_mut(place) {
                *count += 1;
            }
        }
        counts
    }

    /// The one of a host by its rule.
    pub fn find(&self, host: &Label, rule: &Label) -> Option<&AlertState> {
        self.alerts
            .iter()
            .find(|alert| alert.host == *host && alert.rule == *rule)
    }
}
