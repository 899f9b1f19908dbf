//! The alerts that fire: whether a notification was queued, and who acknowledged them. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sysmon_wire::alerts::Acknowledgement;
use sysmon_wire::{Label, UnixMs};

use crate::silence::{Scope, Suppressions};
use crate::{Alert, Transition};

/// A firing alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// The alert.
    pub alert: Alert,
    /// Whether a notification was sent or queued; only then its resolution is notified, too.
    pub notified: bool,
    /// Who took responsibility for it.
    #[serde(default)]
    pub acknowledged: Option<Acknowledgement>,
}

impl ActiveAlert {
    /// Whether a notification is still due unless the alert is silenced.
    fn is_pending(&self) -> bool {
        !self.notified && self.acknowledged.is_none()
    }
}

type Key = (String, String, String);

/// What operators did about a firing alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertMark {
    /// Who acknowledged it.
    pub acknowledged: Option<Label>,
    /// Why its notifications are suppressed.
    pub silenced: Option<Label>,
}

/// The firing alerts that somebody acknowledged or silenced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertMarks(BTreeMap<Key, AlertMark>);

impl AlertMarks {
    /// What was done about `alert`; nothing of one that is not marked.
    pub fn of(&self, alert: &Alert) -> AlertMark {
        match self.0.is_empty() {
            true => AlertMark::default(),
            false => self.0.get(&key(alert)).cloned().unwrap_or_default(),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ActiveAlerts {
    alerts: BTreeMap<Key, ActiveAlert>,
}

fn key(alert: &Alert) -> Key {
    let (host, rule, what) = alert.key();
    (host.to_owned(), rule.to_owned(), what.to_owned())
}

impl ActiveAlerts {
    pub(crate) fn new(active: Vec<ActiveAlert>) -> Self {
        let active = active
            .into_iter()
            .map(|active| (key(&active.alert), active));
        Self {
            alerts: active.collect(),
        }
    }

    /// A host is called otherwise from now on.
    pub(crate) fn rename_host(&mut self, from: &str, to: &str) {
        let is_of_host = |(host, ..): &Key, _: &mut ActiveAlert| host == from;
        let renamed: Vec<_> = self.alerts.extract_if(.., is_of_host).collect();
        for (_, mut active) in renamed {
            active.alert.rename_host(from, to);
            self.alerts.insert(key(&active.alert), active);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ActiveAlert> {
        self.alerts.values()
    }

    pub(crate) fn marks(&self, suppressions: &Suppressions, now: UnixMs) -> AlertMarks {
        let may_be_silenced = !suppressions.is_empty();
        let marked = self.alerts.iter().filter_map(|(key, active)| {
            let acknowledged = active.acknowledged.as_ref().map(|who| who.by.clone());
            let silenced = match may_be_silenced {
                true => suppressions.reason(&active.alert, now).map(Label::new),
                false => None,
            };
            let is_marked = acknowledged.is_some() || silenced.is_some();
            let mark = AlertMark {
                acknowledged,
                silenced,
            };
            is_marked.then(|| (key.clone(), mark))
        });
        AlertMarks(marked.collect())
    }

    /// Applies a transition, and returns it if it is to be notified at once.
    ///
    /// A firing alert waits for [`ActiveAlerts::due`], which respects silences. A resolution is notified even while
    /// the alert is silenced, if its firing was: nobody is left with half a story.
    pub(crate) fn apply(&mut self, transition: Transition) -> Option<Transition> {
        let key = key(&transition.alert);
        if transition.firing {
            self.alerts.entry(key).or_insert(ActiveAlert {
                alert: transition.alert,
                notified: false,
                acknowledged: None,
            });
            return None;
        }
        let active = self.alerts.remove(&key)?;
        active
            .notified
            .then_some(Transition::resolved(active.alert))
    }

    /// Marks pending alerts that nothing suppresses at `now` as notified, and returns them.
    pub(crate) fn due(&mut self, suppressions: &Suppressions, now: UnixMs) -> Vec<Transition> {
        let pending = self
            .alerts
            .values_mut()
            .filter(|active| active.is_pending());
        let due = pending.filter(|active| suppressions.reason(&active.alert, now).is_none());
        let notify = |active: &mut ActiveAlert| {
            active.notified = true;
            Transition::fired(active.alert.clone())
        };
        due.map(notify).collect()
    }

    /// Whether a notification will be due as soon as nothing suppresses it.
    pub(crate) fn has_pending(&self) -> bool {
        self.alerts.values().any(ActiveAlert::is_pending)
    }

    /// Sets the acknowledgement of the alerts in `scope`, or removes it with none; returns how many alerts that
    /// changes. Acknowledged alerts that were not notified yet need no notification.
    pub(crate) fn acknowledge(
        &mut self,
        scope: &Scope,
        acknowledgement: Option<&Acknowledgement>,
    ) -> usize {
        let in_scope = self.alerts.values_mut().filter(|active| {
            scope.includes(&active.alert)
                && (acknowledgement.is_some() || active.acknowledged.is_some())
        });
        let set = |active: &mut ActiveAlert| active.acknowledged = acknowledgement.cloned();
        in_scope.map(set).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::silence::Silence;
    use sysmon_wire::message::Severity;

    fn transition(host: &str, firing: bool) -> Transition {
        Transition {
            alert: Alert {
                rule: "hot".to_owned(),
                severity: Severity::Warning,
                host: host.to_owned(),
                tags: Vec::new(),
                what: String::new(),
                since: UnixMs(1),
                value: None,
                summary: String::new(),
            },
            firing,
        }
    }

    fn suppressed(scope: &str, until: i64) -> Suppressions {
        Suppressions {
            silences: vec![Silence {
                id: "1".to_owned(),
                scope: scope.parse().unwrap(),
                from: UnixMs(0),
                until: UnixMs(until),
                by: "jane".to_owned(),
                reason: "because".to_owned(),
            }],
            maintenance: Vec::new(),
        }
    }

    #[test]
    fn a_silenced_alert_is_notified_when_the_silence_expires_and_it_still_fires() {
        let (mut active, suppressed) = (ActiveAlerts::default(), suppressed("a", 100));
        assert_eq!(active.apply(transition("a", true)), None);
        assert_eq!(active.apply(transition("b", true)), None);
        let due = active.due(&suppressed, UnixMs(50));
        assert_eq!((due.len(), due[0].alert.host.as_str()), (1, "b"));
        assert!(active.has_pending() && active.due(&suppressed, UnixMs(99)).is_empty());
        assert_eq!(active.due(&suppressed, UnixMs(100)).len(), 1);
        assert!(!active.has_pending() && active.due(&suppressed, UnixMs(101)).is_empty());
        assert!(
            active
                .apply(transition("a", false))
                .is_some_and(|resolved| !resolved.firing)
        );
        assert_eq!(active.apply(transition("a", false)), None, "once");
    }

    #[test]
    fn an_alert_that_was_not_notified_is_resolved_without_notification() {
        let (mut active, suppressed) = (ActiveAlerts::default(), suppressed("*", 100));
        active.apply(transition("a", true));
        assert!(active.due(&suppressed, UnixMs(50)).is_empty());
        assert_eq!(active.apply(transition("a", false)), None);
        assert_eq!(active.iter().count(), 0);
    }

    #[test]
    fn an_acknowledged_alert_needs_no_notification_but_its_resolution_does() {
        let mut active = ActiveAlerts::default();
        active.apply(transition("a", true));
        active.due(&Suppressions::default(), UnixMs(2));
        let jane = by_jane();
        assert_eq!(active.acknowledge(&"b".parse().unwrap(), Some(&jane)), 0);
        assert_eq!(
            active.acknowledge(&"a:hot".parse().unwrap(), Some(&jane)),
            1
        );
        let saved: Vec<ActiveAlert> = active.iter().cloned().collect();
        let text = serde_json::to_string(&saved).unwrap();
        let mut active = ActiveAlerts::new(serde_json::from_str(&text).unwrap());
        assert_eq!(active.iter().next().unwrap().acknowledged, Some(jane));
        assert!(active.apply(transition("a", false)).is_some());
        // A silenced alert that is acknowledged needs no notification when the silence expires.
        active.apply(transition("c", true));
        active.acknowledge(&"c".parse().unwrap(), Some(&by_jane()));
        assert!(
            !active.has_pending() && active.due(&Suppressions::default(), UnixMs(4)).is_empty()
        );
        // It does when the acknowledgement is withdrawn.
        assert_eq!(active.acknowledge(&"*".parse().unwrap(), None), 1);
        assert_eq!(active.acknowledge(&"*".parse().unwrap(), None), 0, "once");
        assert_eq!(active.due(&Suppressions::default(), UnixMs(5)).len(), 1);
    }

    #[test]
    fn the_alerts_of_a_renamed_host_go_on_under_its_new_name() {
        let mut active = ActiveAlerts::default();
        active.apply(transition("a", true));
        active.apply(transition("ab", true));
        active.due(&Suppressions::default(), UnixMs(2));
        active.acknowledge(&"a".parse().unwrap(), Some(&by_jane()));
        active.rename_host("a", "c");
        let hosts: Vec<_> = active.iter().map(|one| one.alert.host.as_str()).collect();
        assert_eq!(hosts, ["ab", "c"]);
        assert_eq!(active.iter().nth(1).unwrap().acknowledged, Some(by_jane()));
        assert_eq!(active.apply(transition("a", false)), None);
        assert!(active.apply(transition("c", false)).is_some());
    }

    fn by_jane() -> Acknowledgement {
        Acknowledgement {
            by: "jane".into(),
            at: UnixMs(3),
            note: "".into(),
        }
    }
}
