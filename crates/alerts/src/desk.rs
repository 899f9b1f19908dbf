//! Which alerts are open, who was told of them, and who takes care. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sysmon_wire::UnixMs;

use super::engine::{Alert, Transition};
use super::notify::Told;
use super::silence::{Quiet, Scope};

/// Characters of a name or a note that are kept.
const TEXT_MAX: usize = 200;

/// An alert that fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// The alert.
    pub alert: Alert,
    /// Whether it was told, or is on its way.
    pub told: bool,
    /// Who takes care of it, if anybody said so.
    #[serde(default)]
    pub acknowledged: Option<Acknowledged>,
}

/// That somebody takes care.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// Who.
    pub by: String,
    /// Since when.
    pub at: UnixMs,
    /// What they say about it.
    #[serde(default)]
    pub note: String,
}

impl Open {
    /// Whether somebody should be told: of what is taken care of nobody.
    fn is_untold(&self) -> bool {
        !self.told && self.acknowledged.is_none()
    }
}

type Key = (String, String, String);

/// All alerts that fire.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Desk {
    open: BTreeMap<Key, Open>,
}

fn key(alert: &Alert) -> Key {
    let (host, rule, what) = alert.key();
    (host.to_owned(), rule.to_owned(), what.to_owned())
}

impl Desk {
    /// With what was open before a restart.
    pub fn new(open: Vec<Open>) -> Self {
        let open = open.into_iter().map(|open| (key(&open.alert), open));
        Self {
            open: open.collect(),
        }
    }

    /// All alerts that fire.
    pub fn open(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// Takes what became of an alert; what is to be told at once, if anything is.
    ///
    /// That it fires is told by [`Desk::review`]. That it is over is told whatever is silenced, if that it
    /// fires was; else nobody needs to know.
    pub fn take(&mut self, transition: Transition) -> Option<Told> {
        let key = key(&transition.alert);
        if transition.firing {
            let open = Open {
                alert: transition.alert,
                told: false,
                acknowledged: None,
            };
            self.open.entry(key).or_insert(open);
            return None;
        }
        let open = self.open.remove(&key)?;
        open.told.then_some(Told {
            alert: open.alert,
            firing: false,
        })
    }

    /// What fires and is to be told now.
    pub fn review(&mut self, quiet: &Quiet, now: UnixMs) -> Vec<Told> {
        let untold = self.open.values_mut().filter(|open| open.is_untold());
        let loud = untold.filter(|open| quiet.reason(&open.alert, now).is_none());
        let tell = |open: &mut Open| {
            open.told = true;
            Told {
                alert: open.alert.clone(),
                firing: true,
            }
        };
        loud.map(tell).collect()
    }

    /// Whether anything fires that nobody was told of.
    pub fn has_untold(&self) -> bool {
        self.open.values().any(Open::is_untold)
    }

    /// Somebody takes care of these, and those that were not told yet need not be any more; or nobody does any
    /// more. How many that are.
    pub fn acknowledge(&mut self, scope: &Scope, acknowledged: Option<&Acknowledged>) -> usize {
        let meant = self.open.values_mut().filter(|open| {
            scope.includes(&open.alert) && (acknowledged.is_some() || open.acknowledged.is_some())
        });
        let cut = |text: &str| text.chars().take(TEXT_MAX).collect();
        let take = |open: &mut Open| {
            open.acknowledged = acknowledged.map(|who| Acknowledged {
                by: cut(&who.by),
                at: who.at,
                note: cut(&who.note),
            });
        };
        meant.map(take).count()
    }
}

#[cfg(test)]
mod tests {
    use super::super::silence::Silence;
    use super::*;
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

    fn quiet(scope: &str, until: i64) -> Quiet {
        Quiet {
            silences: vec![Silence {
                id: "1".to_owned(),
                scope: Scope::of(scope),
                from: UnixMs(0),
                until: UnixMs(until),
                reason: "because".to_owned(),
            }],
            maintenance: Vec::new(),
        }
    }

    #[test]
    fn what_is_silenced_is_told_when_that_is_over_and_it_still_fires() {
        let (mut desk, quiet) = (Desk::default(), quiet("a", 100));
        assert_eq!(desk.take(transition("a", true)), None);
        assert_eq!(desk.take(transition("b", true)), None);
        let told = desk.review(&quiet, UnixMs(50));
        assert_eq!((told.len(), told[0].alert.host.as_str()), (1, "b"));
        assert!(desk.has_untold() && desk.review(&quiet, UnixMs(99)).is_empty());
        assert_eq!(desk.review(&quiet, UnixMs(100)).len(), 1);
        assert!(!desk.has_untold() && desk.review(&quiet, UnixMs(101)).is_empty());
        assert!(
            desk.take(transition("a", false))
                .is_some_and(|told| !told.firing)
        );
        assert_eq!(desk.take(transition("a", false)), None, "once");
    }

    #[test]
    fn what_nobody_was_told_of_is_over_without_a_word() {
        let (mut desk, quiet) = (Desk::default(), quiet("*", 100));
        desk.take(transition("a", true));
        assert!(desk.review(&quiet, UnixMs(50)).is_empty());
        assert_eq!(desk.take(transition("a", false)), None);
        assert_eq!(desk.open().count(), 0);
    }

    #[test]
    fn somebody_takes_care_and_its_end_is_told_all_the_same() {
        let mut desk = Desk::default();
        desk.take(transition("a", true));
        desk.review(&Quiet::default(), UnixMs(2));
        let jane = jane_cares();
        assert_eq!(desk.acknowledge(&Scope::of("b"), Some(&jane)), 0);
        assert_eq!(desk.acknowledge(&Scope::of("a:hot"), Some(&jane)), 1);
        let kept: Vec<Open> = desk.open().cloned().collect();
        let text = serde_json::to_string(&kept).unwrap();
        let mut desk = Desk::new(serde_json::from_str(&text).unwrap());
        assert_eq!(desk.open().next().unwrap().acknowledged, Some(jane));
        assert!(desk.take(transition("a", false)).is_some());
        // What was silenced and is taken care of by then is told no more.
        desk.take(transition("c", true));
        desk.acknowledge(&Scope::of("c"), Some(&jane_cares()));
        assert!(!desk.has_untold() && desk.review(&Quiet::default(), UnixMs(4)).is_empty());
        // If she no longer does, it is.
        assert_eq!(desk.acknowledge(&Scope::of("*"), None), 1);
        assert_eq!(desk.acknowledge(&Scope::of("*"), None), 0, "once");
        assert_eq!(desk.review(&Quiet::default(), UnixMs(5)).len(), 1);
    }

    fn jane_cares() -> Acknowledged {
        Acknowledged {
            by: "jane".to_owned(),
            at: UnixMs(3),
            note: String::new(),
        }
    }
}
