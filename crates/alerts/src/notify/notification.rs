//! The text of a notification: many transitions in few lines, and the format of each kind of receiver.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Severity;

use crate::{Alert, Transition};

/// Lines of one notification; further ones are counted.
const LINES_MAX: usize = 20;

/// Names in one line; further ones are counted.
const NAMES_MAX: usize = 10;

/// Discord's limit is 2,000 characters; others show about as many.
const TEXT_MAX: usize = 1_900;

/// FNV-1a with 128 bits (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Slack,
    Teams,
    Discord,
    Ntfy,
}

fn line(transition: &Transition) -> String {
    let (state, alert) = (state(transition), &transition.alert);
    format!("{state} {}: {} ({})", alert.host, alert.summary, alert.rule)
}

fn state(transition: &Transition) -> &'static str {
    match (transition.firing, transition.alert.severity) {
        (false, _) => "RESOLVED",
        (true, Severity::Critical) => "CRITICAL",
        (true, Severity::Warning) => "WARNING",
    }
}

/// Order of lines: critical alerts, warnings, resolved alerts.
fn rank(transition: &Transition) -> u8 {
    match (transition.firing, transition.alert.severity) {
        (true, Severity::Critical) => 0,
        (true, Severity::Warning) => 1,
        (false, _) => 2,
    }
}

/// Transitions that are sent together.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification(pub(super) Vec<Transition>);

impl Notification {
    /// A notification that tests a route.
    pub fn test(hub: &str, now: UnixMs) -> Self {
        Self(vec![Transition::fired(Alert {
            rule: "test".to_owned(),
            severity: Severity::Warning,
            host: hub.to_owned(),
            tags: Vec::new(),
            what: String::new(),
            since: now,
            value: None,
            summary: "this is only a test of the route".to_owned(),
        })])
    }

    /// A hash of the transitions, the same on every attempt, by which a receiver recognises duplicates.
    pub fn id(&self) -> String {
        let mut keys: Vec<_> = self
            .0
            .iter()
            .map(|transition| {
                let alert = &transition.alert;
                (alert.key(), alert.since.0, transition.firing)
            })
            .collect();
        keys.sort_unstable();
        let mut hash = FNV_OFFSET;
        for byte in format!("{keys:?}").bytes() {
            hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
        }
        format!("{hash:032x}")
    }

    /// For people: one line for a rule on many hosts, and one for a host with several rules.
    pub fn text(&self) -> String {
        let mut lines = self.lines();
        if lines.len() > LINES_MAX {
            let more = lines.len() - LINES_MAX;
            lines.truncate(LINES_MAX);
            lines.push(format!("and {more} more"));
        }
        lines.join("\n")
    }

    fn lines(&self) -> Vec<String> {
        let mut by_rule: BTreeMap<(u8, &str), Vec<&Transition>> = BTreeMap::new();
        for transition in &self.0 {
            by_rule
                .entry((rank(transition), &transition.alert.rule))
                .or_default()
                .push(transition);
        }
        let mut lines = Vec::new();
        let mut by_host: BTreeMap<(u8, &str), Vec<&Transition>> = BTreeMap::new();
        for ((rank, rule), transitions) in by_rule {
            let hosts = transitions.iter().map(|one| one.alert.host.as_str());
            let mut hosts: Vec<&str> = hosts.collect();
            hosts.sort_unstable();
            hosts.dedup();
            if hosts.len() > 1 {
                let state = transitions.first().map_or("", |one| state(one));
                let line = format!(
                    "{state} {rule}: {} hosts: {}",
                    hosts.len(),
                    first_names(&hosts)
                );
                lines.push((rank, line));
                continue;
            }
            for transition in transitions {
                by_host
                    .entry((rank, &transition.alert.host))
                    .or_default()
                    .push(transition);
            }
        }
        for ((rank, host), transitions) in by_host {
            match transitions.as_slice() {
                [one] => lines.push((rank, line(one))),
                several => {
                    let state = several.first().map_or("", |one| state(one));
                    let summaries = several.iter().map(|one| one.alert.summary.as_str());
                    let summaries: Vec<_> = summaries.collect();
                    lines.push((rank, format!("{state} {host}: {}", summaries.join("; "))));
                }
            }
        }
        lines.sort_by_key(|(rank, _)| *rank);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// Counts by state, and the host: the subject of a mail.
    pub fn title(&self) -> String {
        let count = |rank: u8| self.0.iter().filter(|one| self::rank(one) == rank).count();
        let words = [(0, "critical"), (1, "warning"), (2, "resolved")];
        let counts = words
            .into_iter()
            .filter_map(|(rank, word)| match count(rank) {
                0 => None,
                count => Some(format!("{count} {word}")),
            });
        let hosts: std::collections::BTreeSet<_> =
            self.0.iter().map(|one| one.alert.host.as_str()).collect();
        let hosts: Vec<_> = hosts.into_iter().collect();
        let on = match hosts.as_slice() {
            [one] => (*one).to_owned(),
            many => format!("{} hosts", many.len()),
        };
        format!("sysmon: {} on {on}", counts.collect::<Vec<_>>().join(", "))
    }

    /// For programs. The fields are a contract: `"schema"` numbers them.
    pub fn json(&self) -> Value {
        let alert = |transition: &Transition| {
            let alert = &transition.alert;
            json!({
                "id": Self(vec![transition.clone()]).id(),
                "state": if transition.firing { "firing" } else { "resolved" },
                "rule": alert.rule, "severity": alert.severity.as_str(), "host": alert.host,
                "what": alert.what, "since_ms": alert.since.0, "value": alert.value, "summary": alert.summary,
            })
        };
        json!({ "schema": 1, "id": self.id(), "text": self.text(), "alerts": self.0.iter().map(alert).collect::<Vec<_>>() })
    }

    pub(super) fn body(&self, format: Format) -> String {
        let text: String = self.text().chars().take(TEXT_MAX).collect();
        match format {
            Format::Json => self.json(),
            // Names must not mention people: https://api.slack.com/reference/surfaces/formatting#escaping
            Format::Slack => {
                let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                json!({ "text": escaped })
            }
            Format::Discord => json!({ "content": text, "allowed_mentions": { "parse": [] } }),
            Format::Teams => {
                // A card's text is Markdown, which ignores a single line break.
                let block = json!({ "type": "TextBlock", "text": text.replace('\n', "\n\n"), "wrap": true });
                let card = json!({ "type": "AdaptiveCard", "version": "1.4", "body": [block] });
                let attachment =
                    json!({ "contentType": "application/vnd.microsoft.card.adaptive", "content": card });
                json!({ "type": "message", "text": text, "attachments": [attachment] })
            }
            Format::Ntfy => return text,
        }
        .to_string()
    }

    pub(super) fn is_critical(&self) -> bool {
        self.0.iter().any(|one| rank(one) == 0)
    }
}

/// The first names, and how many more there are.
fn first_names(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_MAX).copied().collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
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

    #[test]
    fn a_rule_on_many_hosts_and_a_host_with_many_rules_are_one_line_each() {
        let message = Notification(vec![
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
        let hosts: Vec<String> = (100..200).map(|n| format!("h{n}")).collect();
        let many = Notification(
            hosts
                .iter()
                .map(|host| transition(host, "silent", true))
                .collect(),
        );
        assert!(
            many.text().ends_with("h108, h109 and 90 more"),
            "{}",
            many.text()
        );
        let rules = (10..60).map(|n| transition(&format!("h{n}"), &format!("r{n}"), true));
        assert!(
            Notification(rules.collect())
                .text()
                .ends_with("and 30 more")
        );
    }

    #[test]
    fn the_id_depends_on_alerts_and_states_but_not_on_order_or_summary() {
        let id = |transitions: Vec<Transition>| Notification(transitions).id();
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

    #[test]
    fn each_kind_of_receiver_gets_its_format() {
        let mut one = transition("a", "busy", true);
        one.alert.summary = "<!channel> & @everyone".to_owned();
        let message = Notification(vec![one]);
        let value = |form| serde_json::from_str::<Value>(&message.body(form)).unwrap();
        assert_eq!(
            value(Format::Slack)["text"],
            "CRITICAL a: &lt;!channel&gt; &amp; @everyone (busy)"
        );
        let line = "CRITICAL a: <!channel> & @everyone (busy)";
        assert_eq!(value(Format::Discord)["content"], line);
        assert_eq!(
            value(Format::Discord)["allowed_mentions"]["parse"],
            json!([])
        );
        let card = &value(Format::Teams)["attachments"][0]["content"];
        assert_eq!(
            (&card["type"], &card["body"][0]["text"]),
            (&json!("AdaptiveCard"), &json!(line))
        );
        assert_eq!(value(Format::Json)["alerts"][0]["rule"], "busy");
        assert_eq!(message.body(Format::Ntfy), line);
    }
}
