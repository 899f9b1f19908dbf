//! One message: the transitions that are in it, their text, and their JSON for programs. Pure.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Severity;

use super::capacity::Capacity;
use super::lines::{Rank, lines};
use crate::{Alert, Transition};

/// Part of a message that is left for its last lines: how many more there are.
const LAST_LINES: usize = 200;

/// FNV-1a with 128 bits (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// What one message says.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// The transitions that are listed or counted in it.
    transitions: Vec<Transition>,
    /// For people, as long as the receiver takes it.
    text: String,
    is_brief: bool,
}

impl Notification {
    /// The first message about `queued`, and the transitions that are left for later ones: none if this
    /// `is_last`, when those that it has no room for are counted. Reports that `dropped` others were lost.
    pub(super) fn first_of(
        queued: Vec<Transition>,
        capacity: &Capacity,
        is_last: bool,
        dropped: u64,
    ) -> (Self, Vec<Transition>) {
        let (mut taken, mut left) = (queued, Vec::new());
        if taken.len() > capacity.alerts_max {
            taken.sort_by_key(Rank::of);
            left = taken.split_off(capacity.alerts_max);
        }
        let (mut text, mut size) = (String::new(), LAST_LINES);
        let lines = lines(&taken, capacity);
        let mut lines = lines.into_iter().peekable();
        let mut listed = BTreeSet::new();
        while let Some(line) = lines.peek() {
            size += (capacity.measure)("\n") + (capacity.measure)(&line.text);
            if size > capacity.text_max && !text.is_empty() {
                break;
            }
            push_line(&mut text, &line.text);
            listed.extend(line.about.iter().copied());
            lines.next();
        }
        let is_listed = |at: usize| listed.contains(&at);
        let is_program = capacity.alerts_max < usize::MAX;
        let rest: Vec<Transition> = (0..)
            .zip(&taken)
            .filter(|(at, _)| !is_listed(*at))
            .map(|(_, one)| one.clone())
            .collect();
        if !rest.is_empty() && (is_last || is_program) {
            push_line(
                &mut text,
                &format!("and {} more: {}", rest.len(), counts(&rest)),
            );
        } else if !rest.is_empty() {
            let mut at = 0..;
            taken.retain(|_| at.next().is_some_and(is_listed));
            left.extend(rest);
        }
        if !left.is_empty() {
            push_line(&mut text, &format!("({} more follow)", left.len()));
        }
        if dropped > 0 {
            push_line(
                &mut text,
                &format!(
                    "({dropped} less severe or older ones were dropped, because the queue was full)"
                ),
            );
        }
        taken.sort_by_key(Rank::of);
        let is_brief = false;
        (
            Self {
                transitions: taken,
                text,
                is_brief,
            },
            left,
        )
    }

    /// The counts alone, for a receiver that refuses the message itself.
    pub(super) fn brief(transitions: Vec<Transition>) -> Self {
        let title = title(&transitions);
        Self {
            text: format!("{title}: the details were refused here; `sysmon-hub status` has them"),
            transitions,
            is_brief: true,
        }
    }

    /// A notification that tests a route.
    pub fn test(hub: &str, now: UnixMs) -> Self {
        let alert = Alert {
            rule: "test".to_owned(),
            severity: Severity::Warning,
            host: hub.to_owned(),
            tags: Vec::new(),
            what: String::new(),
            since: now,
            value: None,
            summary: "this is only a test of the route".to_owned(),
        };
        Self {
            text: format!("WARNING {hub}: {} ({})", alert.summary, alert.rule),
            transitions: vec![Transition::fired(alert)],
            is_brief: false,
        }
    }

    /// A hash of the transitions, the same on every attempt, by which a receiver recognises duplicates.
    pub fn id(&self) -> String {
        id(&self.transitions, self.is_brief)
    }

    /// For people: one line for a rule on many hosts, and one for a host with several rules.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Counts by state, and the host: the subject of a mail.
    pub fn title(&self) -> String {
        title(&self.transitions)
    }

    /// All alerts that a receiver may have forgotten. It is for programs.
    pub(super) fn repeated(firing: Vec<Transition>) -> Self {
        Self {
            text: title(&firing),
            transitions: firing,
            is_brief: false,
        }
    }

    /// The transitions that it lists or counts, the most severe first.
    pub(super) fn transitions(&self) -> &[Transition] {
        &self.transitions
    }

    pub(super) fn into_transitions(self) -> Vec<Transition> {
        self.transitions
    }

    /// For programs. The fields are a contract: `"schema"` numbers them.
    pub fn json(&self) -> Value {
        let alert = |transition: &Transition| {
            let alert = &transition.alert;
            json!({
                "id": id(std::slice::from_ref(transition), false),
                "state": if transition.firing { "firing" } else { "resolved" },
                "rule": alert.rule, "severity": alert.severity.as_str(), "host": alert.host,
                "what": alert.what, "since_ms": alert.since.0, "value": alert.value, "summary": alert.summary,
            })
        };
        let alerts: Vec<Value> = match self.is_brief {
            true => Vec::new(),
            false => self.transitions.iter().map(alert).collect(),
        };
        json!({ "schema": 1, "id": self.id(), "text": self.text, "alerts": alerts })
    }

    /// Whether it says the counts alone, because the receiver has refused the details.
    pub(super) fn is_brief(&self) -> bool {
        self.is_brief
    }

    /// The most severe of what it says.
    pub(super) fn rank(&self) -> Rank {
        let ranks = self.transitions.iter().map(Rank::of);
        ranks.min().unwrap_or(Rank::Resolved)
    }

    pub(super) fn is_critical(&self) -> bool {
        self.rank() == Rank::Critical
    }

    /// For a receiver that gets each alert by itself.
    pub(super) fn line_about(&self, alert: &Alert) -> String {
        match self.is_brief {
            true => self.text.clone(),
            false => format!("{}: {} ({})", alert.host, alert.summary, alert.rule),
        }
    }
}

fn id(transitions: &[Transition], is_brief: bool) -> String {
    let mut keys: Vec<_> = transitions
        .iter()
        .map(|transition| {
            let alert = &transition.alert;
            (alert.key(), alert.since.0, transition.firing)
        })
        .collect();
    keys.sort_unstable();
    let brief = if is_brief { "brief" } else { "" };
    hash(&format!("{keys:?}{brief}"))
}

/// Names an alert to a receiver that holds alerts: the same when it fires again.
pub(super) fn alert_key(alert: &Alert) -> String {
    format!("sysmon-{}", hash(&format!("{:?}", alert.key())))
}

fn hash(text: &str) -> String {
    let mut hash = FNV_OFFSET;
    for byte in text.bytes() {
        hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
    }
    format!("{hash:032x}")
}

fn title(transitions: &[Transition]) -> String {
    let hosts: BTreeSet<_> = transitions
        .iter()
        .map(|one| one.alert.host.as_str())
        .collect();
    let on = match hosts.first() {
        Some(one) if hosts.len() == 1 => (*one).to_owned(),
        _ => format!("{} hosts", hosts.len()),
    };
    format!("sysmon: {} on {on}", counts(transitions))
}

/// `3 critical, 1 resolved`.
fn counts(transitions: &[Transition]) -> String {
    let count = |rank: Rank| {
        transitions
            .iter()
            .filter(|one| Rank::of(one) == rank)
            .count()
    };
    let counts = Rank::ALL.into_iter().filter_map(|rank| match count(rank) {
        0 => None,
        count => Some(format!("{count} {}", rank.word())),
    });
    counts.collect::<Vec<_>>().join(", ")
}

fn push_line(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn transition(host: &str, rule: &str, firing: bool) -> Transition {
        Transition {
            alert: Alert {
                rule: rule.to_owned(),
                severity: Severity::Critical,
                host: host.to_owned(),
                tags: Vec::new(),
                what: String::new(),
                since: UnixMs(5),
                value: Some(0.97),
                summary: format!("{rule} is at 97 %"),
            },
            firing,
        }
    }

    fn capacity(route: &str) -> Capacity {
        route.parse::<crate::notify::Route>().unwrap().capacity()
    }

    fn whole(transitions: Vec<Transition>) -> Notification {
        Notification::first_of(transitions, &capacity("ntfy:http://x"), true, 0).0
    }

    #[test]
    fn a_rule_on_many_hosts_and_a_host_with_many_rules_are_one_line_each() {
        let message = whole(vec![
            transition("a", "silent", true),
            transition("c", "busy", true),
            transition("b", "silent", true),
            transition("c", "full", true),
            transition("d", "full", false),
        ]);
        assert_eq!(
            message.text(),
            "CRITICAL silent: 2 hosts: a, b\nCRITICAL c: busy is at 97 %; full is at 97 %\n\
             RESOLVED d: full is at 97 % (full)"
        );
        assert_eq!(message.title(), "sysmon: 4 critical, 1 resolved on 4 hosts");
        let hosts = (100..200).map(|n| transition(&format!("h{n}"), "silent", true));
        let many = whole(hosts.collect());
        assert!(
            many.text().ends_with("h108, h109 and 90 more"),
            "{}",
            many.text()
        );
        let mut disks = vec![transition("a", "full", true), transition("b", "full", true)];
        disks.push(disks[0].clone());
        assert_eq!(
            whole(disks).text(),
            "CRITICAL full: 3 alerts on 2 hosts: a, b"
        );
    }

    #[test]
    fn one_host_fills_a_part_of_a_message_and_shows_each_rule_before_the_second_alert_of_any() {
        let mut all: Vec<Transition> = (0..50).map(|_| transition("a", "job", true)).collect();
        all.push(transition("a", "disk", true));
        all.push(transition("b", "busy", true));
        let text = whole(all).text().to_owned();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("CRITICAL a: disk is at 97 %; job is at 97 %; job is"),
            "{text}"
        );
        assert!(lines[0].ends_with("; and 41 more"), "{text}");
        assert_eq!(lines[1], "CRITICAL b: busy is at 97 % (busy)");
    }

    #[test]
    fn a_message_is_cut_between_alerts_and_says_how_many_follow() {
        let one = |n: usize| {
            let mut one = transition(&format!("h{n}"), &format!("r{n}"), true);
            one.alert.summary = "夜間の処理が失敗しました".repeat(3);
            one
        };
        let all: Vec<Transition> = (10..60).map(one).collect();
        let ntfy = capacity("ntfy:http://x");
        let (first, left) = Notification::first_of(all.clone(), &ntfy, false, 0);
        assert!(
            first.text().len() <= 4_096 && !left.is_empty(),
            "{}",
            first.text()
        );
        assert!(
            first
                .text()
                .ends_with(&format!("\n({} more follow)", left.len())),
            "{}",
            first.text()
        );
        let listed = first.text().matches("CRITICAL").count();
        assert_eq!((listed, listed + left.len()), (first.transitions.len(), 50));
        let (last, left) = Notification::first_of(all, &ntfy, true, 7);
        assert!(last.text().len() <= 4_096 && left.is_empty() && last.transitions.len() == 50);
        let more = format!("\nand {0} more: {0} critical\n(7 less severe", 50 - listed);
        assert!(last.text().contains(&more), "{}", last.text());
    }

    #[test]
    fn a_summary_longer_than_any_message_is_shortened() {
        let mut long = transition("a", "busy", true);
        long.alert.summary = "&\u{1f525}".repeat(10_000);
        for route in [
            "discord:http://x",
            "slack:http://x",
            "teams:http://x",
            "ntfy:http://x",
            "http://x",
        ] {
            let capacity = capacity(route);
            let (message, left) = Notification::first_of(vec![long.clone()], &capacity, false, 0);
            let size = (capacity.measure)(message.text());
            assert!(
                size <= capacity.text_max && left.is_empty(),
                "{route}: {size}"
            );
            assert!(message.text().ends_with('…'), "{}", message.text());
        }
    }

    #[test]
    fn the_id_depends_on_alerts_and_states_but_not_on_order_or_summary() {
        let id = |transitions: Vec<Transition>| whole(transitions).id();
        let (a, b) = (transition("a", "busy", true), transition("b", "busy", true));
        assert_eq!(
            id(vec![a.clone(), b.clone()]),
            id(vec![b.clone(), a.clone()])
        );
        let mut later = a.clone();
        later.alert.since = UnixMs(6);
        let mut reworded = a.clone();
        reworded.alert.summary = "busy is at 98 %".to_owned();
        assert_eq!(id(vec![a.clone()]), id(vec![reworded]));
        let others = [
            vec![later],
            vec![transition("a", "busy", false)],
            vec![b.clone()],
            vec![a.clone(), b],
        ];
        for other in others {
            assert_ne!(id(vec![a.clone()]), id(other));
        }
        // The id of an unfinished delivery must survive an upgrade.
        assert_eq!(id(vec![a]), "60430feee23912fe2ce5cb7df26400f0");
    }
}
