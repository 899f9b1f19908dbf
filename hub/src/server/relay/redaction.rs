//! Removes everything from updates that the public may not see. Pure.

use std::collections::BTreeMap;

use sysmon_config::ShareAlerts;
use sysmon_wire::alerts::{Acknowledgement, AlertState};
use sysmon_wire::message::{FleetUpdate, HostHealth, HostLine, HostTick};
use sysmon_wire::{ABSENT, HostFacts, Label};

use super::policy::EdgeOptions;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Withdrawn;

#[derive(Debug)]
pub(super) struct Redaction<'a> {
    options: &'a EdgeOptions,
    /// Public names of the hosts that were shown, by index.
    shown: BTreeMap<u32, Label>,
    /// The same by their names.
    public: BTreeMap<Label, Label>,
}

impl<'a> Redaction<'a> {
    pub(super) fn new(options: &'a EdgeOptions) -> Self {
        Self {
            options,
            shown: BTreeMap::new(),
            public: BTreeMap::new(),
        }
    }

    /// Removes facts, tags, notes, and the hosts, alerts and metrics that are not shared.
    pub(super) fn redact(&mut self, update: FleetUpdate) -> Result<FleetUpdate, Withdrawn> {
        if update.gone.iter().any(|gone| self.shown.contains_key(gone)) {
            return Err(Withdrawn);
        }
        let mut lines = Vec::new();
        for line in update.lines {
            if let Some(name) = self.name(&line)? {
                let alert = |alert| self.options.alert(alert, line.name.as_str(), name.as_str());
                let alerts = line.alerts.iter().filter_map(alert).collect();
                lines.push(HostLine {
                    index: line.index,
                    name: name.clone(),
                    facts: HostFacts::unknown(),
                    health: HostHealth::default(),
                    notes: Vec::new(),
                    alerts,
                });
            }
        }
        let ticks = update.ticks.into_iter();
        let sparks = update.sparks.into_iter();
        Ok(FleetUpdate {
            now: update.now,
            lines,
            gone: Vec::new(),
            ticks: ticks
                .filter(|tick| self.shown.contains_key(&tick.index))
                .map(|tick| self.tick(tick))
                .collect(),
            sparks: sparks
                .filter(|spark| self.shown.contains_key(&spark.index))
                .filter(|spark| self.options.shows(usize::from(spark.alias)))
                .collect(),
        })
    }

    /// A host's public name; further hosts of the same one get a number.
    fn name(&mut self, line: &HostLine) -> Result<Option<Label>, Withdrawn> {
        let Some(wanted) = self.options.public_name(line) else {
            return match self.shown.contains_key(&line.index) {
                true => Err(Withdrawn),
                false => Ok(None),
            };
        };
        if let Some(name) = self.shown.get(&line.index) {
            return Ok(Some(name.clone()));
        }
        let numbered = (2..).map(|n: u32| Label::new(&format!("{wanted} {n}")));
        let mut names = std::iter::once(wanted.clone()).chain(numbered);
        let is_free = |name: &Label| !self.shown.values().any(|taken| taken == name);
        let name = names.find(is_free).unwrap_or_else(|| wanted.clone());
        self.shown.insert(line.index, name.clone());
        self.public.insert(line.name.clone(), name.clone());
        Ok(Some(name))
    }

    /// That alerts are acknowledged, without by whom.
    pub(super) fn acknowledged(&self, alerts: &[AlertState]) -> Vec<AlertState> {
        let alert = |alert: &AlertState| {
            let host = self.public.get(&alert.host)?;
            let acknowledged = alert.acknowledged.as_ref()?;
            let nothing = || Label::new("");
            Some(AlertState {
                host: host.clone(),
                rule: alert.rule.clone(),
                device: nothing(),
                severity: alert.severity,
                since: alert.since,
                summary: nothing(),
                acknowledged: Some(Acknowledgement {
                    by: nothing(),
                    at: acknowledged.at,
                    note: nothing(),
                }),
                silenced: None,
            })
        };
        if self.options.alerts == ShareAlerts::None {
            return Vec::new();
        }
        alerts.iter().filter_map(alert).collect()
    }

    fn tick(&self, mut tick: HostTick) -> HostTick {
        for (place, value) in tick.values.iter_mut().enumerate() {
            if !self.options.shows(place) {
                *value = ABSENT;
            }
        }
        tick
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{hosts, options, picture};
    use super::*;
    use crate::fleet::HostId;
    use crate::view::fleet_changes;
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::AlertLine;

    #[test]
    fn only_shared_hosts_are_shown_and_only_their_numbers() {
        let core = hosts(&["web-1", "db-1"]);
        let options = options(&["web-*=Shop"]);
        let mut redaction = Redaction::new(&options);
        let update = redaction.redact(picture(&core)).unwrap();
        assert_eq!(
            (update.lines.len(), update.ticks.len(), update.sparks.len()),
            (1, 1, 1)
        );
        assert_eq!(update.lines[0].name, "Shop");
        assert!(!format!("{update:?}").contains("secret"));
        let later = fleet_changes(&core.fleet, 0, UnixMs(9000)).remove(0);
        assert_eq!(redaction.redact(later).unwrap().ticks.len(), 1);
    }

    #[test]
    fn metrics_and_alerts_are_shown_as_far_as_they_are_shared() {
        let core = hosts(&["web-1"]);
        let mut update = picture(&core);
        update.lines[0].alerts = vec![AlertLine {
            metric: "secret.metric".into(),
            acknowledged: Some("secret-jane".into()),
            silenced: Some("secret reason".into()),
            rule: "disk-full".into(),
            summary: "/secret of web-1 is full".into(),
            severity: sysmon_wire::message::Severity::Critical,
            since: UnixMs(1),
        }];
        let with = |metrics: &[&str], alerts| EdgeOptions {
            metrics: Some(metrics.iter().map(ToString::to_string).collect()),
            alerts,
            ..options(&["*=Shop"])
        };
        let shown = |options: &EdgeOptions| Redaction::new(options).redact(update.clone()).unwrap();
        let seen = shown(&with(&["mem"], ShareAlerts::None));
        assert!(seen.sparks.is_empty() && seen.ticks[0].values.iter().all(|v| *v == ABSENT));
        assert!(seen.lines[0].alerts.is_empty());
        let seen = shown(&with(&["cpu"], ShareAlerts::Names));
        assert!(!seen.sparks.is_empty() && seen.ticks[0].values[0] == 5);
        assert_eq!(seen.lines[0].alerts[0].rule, "disk-full");
        assert!(!format!("{seen:?}").contains("secret"));
        let seen = shown(&with(&["cpu"], ShareAlerts::Summaries));
        assert_eq!(seen.lines[0].alerts[0].summary, "/secret of Shop is full");
        let said = format!("{seen:?}");
        assert!(!said.contains("jane") && !said.contains("reason"), "{said}");
    }

    #[test]
    fn an_acknowledgement_is_shown_without_its_author() {
        let core = hosts(&["web-1", "db-1"]);
        let alert = |host: &str, by: Option<&str>| AlertState {
            host: host.into(),
            rule: "disk-full".into(),
            device: "/secret".into(),
            severity: sysmon_wire::message::Severity::Critical,
            since: UnixMs(5),
            summary: "/secret of web-1 is full".into(),
            acknowledged: by.map(|by| Acknowledgement {
                by: by.into(),
                at: UnixMs(7),
                note: "secret".into(),
            }),
            silenced: Some("secret".into()),
        };
        let all = [
            alert("web-1", Some("secret-jane")),
            alert("web-1", None),
            alert("db-1", Some("secret-jane")),
        ];
        let shown = |words| {
            let options = EdgeOptions {
                alerts: words,
                ..options(&["web-*=Shop"])
            };
            let mut redaction = Redaction::new(&options);
            redaction.redact(picture(&core)).unwrap();
            redaction.acknowledged(&all)
        };
        let names = shown(ShareAlerts::Names);
        assert_eq!(names.len(), 1);
        assert_eq!(
            (names[0].host.as_str(), names[0].since),
            ("Shop", UnixMs(5))
        );
        assert_eq!(
            names[0].acknowledged.as_ref().map(|one| one.at),
            Some(UnixMs(7))
        );
        assert!(!format!("{names:?}").contains("secret"));
        assert!(!format!("{:?}", shown(ShareAlerts::Summaries)).contains("secret"));
        assert_eq!(shown(ShareAlerts::None), []);
    }

    #[test]
    fn hosts_of_one_public_name_are_numbered_and_a_withdrawn_one_is_noticed() {
        let mut core = hosts(&["web-1", "web-2"]);
        let options = options(&["#secret-tag=Shop"]);
        let mut redaction = Redaction::new(&options);
        let update = redaction.redact(picture(&core)).unwrap();
        let names: Vec<_> = update.lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["Shop", "Shop 2"]);
        let again = redaction.redact(picture(&core)).unwrap();
        assert_eq!(again.lines[1].name, "Shop 2");
        let id = HostId(update.lines[0].index);
        core.fleet.set_facts(id, HostFacts::unknown());
        assert_eq!(redaction.redact(picture(&core)), Err(Withdrawn));
    }

    #[test]
    fn an_edge_begins_anew_when_a_host_that_it_shows_is_forgotten() {
        let core = hosts(&["web-1"]);
        let options = options(&["#secret-tag=Shop"]);
        let mut redaction = Redaction::new(&options);
        let shown = redaction.redact(picture(&core)).unwrap().lines[0].index;
        let gone = |index| FleetUpdate {
            gone: vec![index],
            ..crate::view::empty(UnixMs(0))
        };
        assert!(redaction.redact(gone(shown + 1)).is_ok());
        assert_eq!(redaction.redact(gone(shown)), Err(Withdrawn));
    }
}
