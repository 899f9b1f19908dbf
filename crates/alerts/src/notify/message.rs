//! What is said about alerts: of many at once in few lines, and in the forms that receivers take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Severity;

use super::super::engine::{Alert, Transition};
use super::route::Form;

/// Lines of one message; of more only the number.
const LINES_MAX: usize = 20;

/// Names in one line.
const NAMES_MAX: usize = 10;

/// Characters that Discord takes, and about as many as others show.
const TEXT_MAX: usize = 1_900;

/// Of FNV-1a with 128 bits (<https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>).
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// What is told of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The alert.
    pub alert: Alert,
    /// Whether it fires, or is over.
    pub firing: bool,
}

impl From<Transition> for Told {
    fn from(transition: Transition) -> Self {
        Self {
            alert: transition.alert,
            firing: transition.firing,
        }
    }
}

impl Told {
    /// In one line, for people.
    pub fn line(&self) -> String {
        let alert = &self.alert;
        let state = self.state();
        format!("{state} {}: {} ({})", alert.host, alert.summary, alert.rule)
    }

    fn state(&self) -> &'static str {
        match (self.firing, self.alert.severity) {
            (false, _) => "RESOLVED",
            (true, Severity::Critical) => "CRITICAL",
            (true, Severity::Warning) => "WARNING",
        }
    }

    /// What is worst comes first, and what is over last.
    fn rank(&self) -> u8 {
        match (self.firing, self.alert.severity) {
            (true, Severity::Critical) => 0,
            (true, Severity::Warning) => 1,
            (false, _) => 2,
        }
    }
}

/// What is sent at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Message(pub(super) Vec<Told>);

impl Message {
    /// A message for trying out a route.
    pub fn test(hub: &str, now: UnixMs) -> Self {
        Self(vec![Told {
            alert: Alert {
                rule: "test".to_owned(),
                severity: Severity::Warning,
                host: hub.to_owned(),
                tags: Vec::new(),
                what: String::new(),
                since: now,
                value: None,
                summary: "this is only a test of the route".to_owned(),
            },
            firing: true,
        }])
    }

    /// The same for the same news however often it is sent, so that a receiver who has it already can leave it out.
    pub fn id(&self) -> String {
        let mut news: Vec<_> = self
            .0
            .iter()
            .map(|told| (told.alert.key(), told.alert.since.0, told.firing))
            .collect();
        news.sort_unstable();
        let mut hash = FNV_OFFSET;
        for byte in format!("{news:?}").bytes() {
            hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
        }
        format!("{hash:032x}")
    }

    /// For people: what many hosts have in common is one line, and so is what one host has several of.
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
        let mut by_rule: BTreeMap<(u8, &str), Vec<&Told>> = BTreeMap::new();
        for told in &self.0 {
            by_rule
                .entry((told.rank(), &told.alert.rule))
                .or_default()
                .push(told);
        }
        let mut lines = Vec::new();
        let mut by_host: BTreeMap<(u8, &str), Vec<&Told>> = BTreeMap::new();
        for ((rank, rule), told) in by_rule {
            let mut hosts: Vec<&str> = told.iter().map(|told| told.alert.host.as_str()).collect();
            hosts.sort_unstable();
            hosts.dedup();
            if hosts.len() > 1 {
                let state = told.first().map_or("", |told| told.state());
                let line = format!("{state} {rule}: {} hosts: {}", hosts.len(), some(&hosts));
                lines.push((rank, line));
                continue;
            }
            for told in told {
                by_host
                    .entry((rank, &told.alert.host))
                    .or_default()
                    .push(told);
            }
        }
        for ((rank, host), told) in by_host {
            match told.as_slice() {
                [one] => lines.push((rank, one.line())),
                several => {
                    let state = several.first().map_or("", |told| told.state());
                    let said = several.iter().map(|told| told.alert.summary.as_str());
                    let said: Vec<_> = said.collect();
                    lines.push((rank, format!("{state} {host}: {}", said.join("; "))));
                }
            }
        }
        lines.sort_by_key(|(rank, _)| *rank);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// In a few words.
    pub fn title(&self) -> String {
        let count = |rank: u8| self.0.iter().filter(|told| told.rank() == rank).count();
        let words = [(0, "critical"), (1, "warning"), (2, "resolved")];
        let said = words
            .into_iter()
            .filter_map(|(rank, word)| match count(rank) {
                0 => None,
                count => Some(format!("{count} {word}")),
            });
        let hosts: std::collections::BTreeSet<_> =
            self.0.iter().map(|told| told.alert.host.as_str()).collect();
        let hosts: Vec<_> = hosts.into_iter().collect();
        let on = match hosts.as_slice() {
            [one] => (*one).to_owned(),
            many => format!("{} hosts", many.len()),
        };
        format!("sysmon: {} on {on}", said.collect::<Vec<_>>().join(", "))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let alert = |told: &Told| {
            let alert = &told.alert;
            json!({
                "id": Self(vec![told.clone()]).id(),
                "state": if told.firing { "firing" } else { "resolved" },
                "rule": alert.rule, "severity": alert.severity.as_str(), "host": alert.host,
                "what": alert.what, "since_ms": alert.since.0, "value": alert.value, "summary": alert.summary,
            })
        };
        json!({ "schema": 1, "id": self.id(), "text": self.text(), "alerts": self.0.iter().map(alert).collect::<Vec<_>>() })
    }

    /// As a receiver of webhooks takes it.
    pub(super) fn body(&self, form: Form) -> String {
        let text: String = self.text().chars().take(TEXT_MAX).collect();
        match form {
            Form::Json => self.json(),
            // Names must not call people: https://api.slack.com/reference/surfaces/formatting#escaping
            Form::Slack => {
                let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                json!({ "text": escaped })
            }
            Form::Discord => json!({ "content": text, "allowed_mentions": { "parse": [] } }),
            Form::Teams => {
                // Of its text a card makes Markdown, where a single line break is none.
                let block = json!({ "type": "TextBlock", "text": text.replace('\n', "\n\n"), "wrap": true });
                let card = json!({ "type": "AdaptiveCard", "version": "1.4", "body": [block] });
                let attachment =
                    json!({ "contentType": "application/vnd.microsoft.card.adaptive", "content": card });
                json!({ "type": "message", "text": text, "attachments": [attachment] })
            }
            Form::Ntfy => return text,
        }
        .to_string()
    }

    pub(super) fn is_critical(&self) -> bool {
        self.0.iter().any(|told| told.rank() == 0)
    }
}

/// Some names, and how many more there are.
fn some(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_MAX).copied().collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn told(host: &str, rule: &str, firing: bool) -> Told {
        Told {
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
    fn what_belongs_together_is_one_line() {
        let message = Message(vec![
            told("a", "silent", true),
            told("c", "busy", true),
            told("b", "silent", true),
            told("c", "full", true),
            told("d", "full", false),
        ]);
        assert_eq!(
            message.text(),
            "CRITICAL silent: 2 hosts: a, b\nCRITICAL c: busy is at 97 %; full is at 97 %\n\
             RESOLVED d: full is at 97 % (full)"
        );
        assert_eq!(message.title(), "sysmon: 4 critical, 1 resolved on 4 hosts");
        let hosts: Vec<String> = (100..200).map(|n| format!("h{n}")).collect();
        let many = Message(
            hosts
                .iter()
                .map(|host| told(host, "silent", true))
                .collect(),
        );
        assert!(
            many.text().ends_with("h108, h109 and 90 more"),
            "{}",
            many.text()
        );
        let rules = (10..60).map(|n| told(&format!("h{n}"), &format!("r{n}"), true));
        assert!(Message(rules.collect()).text().ends_with("and 30 more"));
    }

    #[test]
    fn the_same_news_has_the_same_id_and_other_news_another() {
        let id = |told: Vec<Told>| Message(told).id();
        let (a, b) = (told("a", "busy", true), told("b", "busy", true));
        assert_eq!(
            id(vec![a.clone(), b.clone()]),
            id(vec![b.clone(), a.clone()])
        );
        let mut later = a.clone();
        later.alert.since = UnixMs(6);
        let mut said_otherwise = a.clone();
        said_otherwise.alert.summary = "busy is at 98 %".to_owned();
        assert_eq!(id(vec![a.clone()]), id(vec![said_otherwise]));
        let others = [
            vec![later],
            vec![told("a", "busy", false)],
            vec![b.clone()],
            vec![a.clone(), b],
        ];
        for other in others {
            assert_ne!(id(vec![a.clone()]), id(other));
        }
        // What was told by a hub before a change of this is known after it.
        assert_eq!(id(vec![a]), "60430feee23912fe2ce5cb7df26400f0");
    }

    #[test]
    fn every_receiver_gets_what_it_takes() {
        let mut told = told("a", "busy", true);
        told.alert.summary = "<!channel> & @everyone".to_owned();
        let message = Message(vec![told]);
        let value = |form| serde_json::from_str::<Value>(&message.body(form)).unwrap();
        assert_eq!(
            value(Form::Slack)["text"],
            "CRITICAL a: &lt;!channel&gt; &amp; @everyone (busy)"
        );
        let line = "CRITICAL a: <!channel> & @everyone (busy)";
        assert_eq!(value(Form::Discord)["content"], line);
        assert_eq!(value(Form::Discord)["allowed_mentions"]["parse"], json!([]));
        let card = &value(Form::Teams)["attachments"][0]["content"];
        assert_eq!(
            (&card["type"], &card["body"][0]["text"]),
            (&json!("AdaptiveCard"), &json!(line))
        );
        assert_eq!(value(Form::Json)["alerts"][0]["rule"], "busy");
        assert_eq!(message.body(Form::Ntfy), line);
    }
}
