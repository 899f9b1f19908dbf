//! The fleet as lines, for screen readers: what changes is announced, and commands are answered. Pure.

use std::collections::BTreeMap;

use sysmon_config::time::format_clock;
use sysmon_wire::Label;
use sysmon_wire::message::{HostState, Severity};

use super::message::Effect;
use super::operate;
use super::state::State;
use super::update::carry_out;
use crate::context::Link;
use crate::fleet::{Filter, HostRow, text};
use crate::screen::Outcome;

const HELP: &str = "commands: status, hosts, hosts FILTER, host NAME, alerts, ack HOST NOTE, silence SCOPE FOR REASON, quit";

/// Lines of one answer at most; of more, their number is said.
const LINES_MAX: usize = 200;

#[derive(Debug, PartialEq)]
struct KnownAlert {
    severity: Severity,
    acknowledged: Option<Label>,
    silenced: Option<Label>,
}

#[derive(Debug, PartialEq)]
struct KnownHost {
    state: HostState,
    alerts: BTreeMap<Label, KnownAlert>,
}

impl KnownHost {
    fn of(host: &HostRow) -> Self {
        let alert = |alert: &sysmon_wire::message::AlertLine| {
            let known = KnownAlert {
                severity: alert.severity,
                acknowledged: alert.acknowledged.clone(),
                silenced: alert.silenced.clone(),
            };
            (alert.rule.clone(), known)
        };
        Self {
            state: host.tick.state,
            alerts: host.line.alerts.iter().map(alert).collect(),
        }
    }
}

/// What was announced.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    hosts: Option<BTreeMap<Label, KnownHost>>,
    link: String,
    remark: Option<String>,
}

impl Announcer {
    /// The lines that say what is new since the last call.
    pub(super) fn news(&mut self, state: &State) -> Vec<String> {
        let mut lines = Vec::new();
        let link = link(&state.context.link);
        if link != self.link {
            lines.push(link.clone());
            self.link = link;
        }
        let remark = state.remark.as_ref().map(|(text, _)| text.clone());
        if remark != self.remark {
            lines.extend(remark.clone());
            self.remark = remark;
        }
        let now: BTreeMap<Label, KnownHost> = state
            .screens
            .fleet
            .all()
            .map(|host| (host.line.name.clone(), KnownHost::of(host)))
            .collect();
        match &self.hosts {
            None if now.is_empty() => return lines,
            None => lines.extend(summary(state)),
            Some(before) if *before == now => return lines,
            Some(before) => {
                let clock = format_clock(state.context.now.0, &state.context.zone);
                let changes = changes(state, before, &now);
                lines.extend(changes.into_iter().map(|line| format!("{clock} {line}")));
            }
        }
        self.hosts = Some(now);
        lines
    }
}

fn link(link: &Link) -> String {
    match link {
        Link::Connecting { to } if to.is_empty() => String::new(),
        Link::Connecting { to } => format!("connecting to {to}"),
        Link::Connected { hub } => format!("connected to {hub}"),
        Link::Lost { reason, .. } => format!("hub unreachable: {reason}; retrying"),
    }
}

fn changes(
    state: &State,
    before: &BTreeMap<Label, KnownHost>,
    now: &BTreeMap<Label, KnownHost>,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, host) in now {
        let Some(was) = before.get(name) else {
            lines.push(format!("{name} is new"));
            continue;
        };
        if was.state != host.state {
            lines.push(format!("{name} is {}", host.state.as_str()));
        }
        for (rule, alert) in &host.alerts {
            match was.alerts.get(rule) {
                None => {
                    let severity = alert.severity.as_str();
                    let why = why(state, name, rule);
                    lines.push(format!("{severity}: {rule} on {name}{why}"));
                }
                Some(known) if known != alert => {
                    lines.push(match (&alert.acknowledged, &alert.silenced) {
                        (Some(by), _) => format!("{rule} on {name} acknowledged by {by}"),
                        (None, Some(why)) => format!("{rule} on {name} silenced: {why}"),
                        (None, None) => {
                            format!("{rule} on {name} neither acknowledged nor silenced")
                        }
                    });
                }
                Some(_) => {}
            }
        }
        for rule in was.alerts.keys() {
            if !host.alerts.contains_key(rule) {
                lines.push(format!("resolved: {rule} on {name}"));
            }
        }
    }
    for name in before.keys() {
        if !now.contains_key(name) {
            lines.push(format!("{name} was forgotten"));
        }
    }
    lines
}

fn why(state: &State, name: &Label, rule: &Label) -> String {
    let host = state.screens.fleet.host(name);
    let mut alerts = host.into_iter().flat_map(|host| &host.line.alerts);
    let alert = alerts.find(|alert| alert.rule == *rule);
    match alert.map(|alert| alert.summary.as_str()) {
        None | Some("") => String::new(),
        Some(summary) => format!(": {summary}"),
    }
}

fn summary(state: &State) -> Vec<String> {
    let hosts: Vec<&HostRow> = state.screens.fleet.all().collect();
    let count = |wanted| {
        let of_state = hosts.iter().filter(|host| host.tick.state == wanted);
        of_state.count()
    };
    let alerts: usize = hosts.iter().map(|host| host.line.alerts.len()).sum();
    let counted = |count: usize, noun: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {noun}{plural}")
    };
    vec![format!(
        "{}: {} live, {} stale, {} offline; {}; help lists the commands",
        counted(hosts.len(), "host"),
        count(HostState::Live),
        count(HostState::Stale),
        count(HostState::Offline),
        counted(alerts, "firing alert"),
    )]
}

fn alerts_of(host: &HostRow) -> impl Iterator<Item = String> + '_ {
    host.line.alerts.iter().map(|alert| {
        let state = match (&alert.acknowledged, &alert.silenced) {
            (Some(by), _) => format!(", acknowledged by {by}"),
            (None, Some(why)) => format!(", silenced: {why}"),
            (None, None) => String::new(),
        };
        let (severity, name) = (alert.severity.as_str(), &host.line.name);
        let (rule, summary) = (&alert.rule, &alert.summary);
        format!("{severity}: {rule} on {name}: {summary}{state}")
    })
}

/// Answers a command, and what it has to do outside.
pub(super) fn command(state: &mut State, line: &str) -> (Vec<String>, Vec<Effect>) {
    let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
    let rest = rest.trim();
    let mut lines = match word {
        "" | "status" => summary(state),
        "hosts" => {
            let filter = Filter::new(rest);
            let hosts = state.screens.fleet.all();
            hosts
                .filter(|host| filter.is_match(host))
                .map(text)
                .collect()
        }
        "host" => match state.screens.fleet.host(&Label::new(rest)) {
            Some(host) => std::iter::once(text(host)).chain(alerts_of(host)).collect(),
            None => vec![format!("no host {rest:?}")],
        },
        "alerts" => {
            let all: Vec<String> = state.screens.fleet.all().flat_map(alerts_of).collect();
            match all.is_empty() {
                true => vec!["no alert is firing".to_owned()],
                false => all,
            }
        }
        "ack" if rest.contains([' ', ':']) => {
            let outcome = match operate::acknowledge_command(rest) {
                Ok(operation) => Outcome::Operate(operation),
                Err(error) => Outcome::Remark(error),
            };
            return (Vec::new(), carry_out(state, vec![outcome]));
        }
        "ack" => {
            state.screens.fleet.select_host(&Label::new(rest));
            let outcomes = match state.screens.fleet.host(&Label::new(rest)) {
                Some(_) => operate::acknowledge(state),
                None => vec![Outcome::Remark(format!("no host {rest:?}"))],
            };
            return (Vec::new(), carry_out(state, outcomes));
        }
        "silence" => {
            let outcome = match operate::silence_command(state, rest) {
                Ok(operation) => Outcome::Operate(operation),
                Err(error) => Outcome::Remark(error),
            };
            return (Vec::new(), carry_out(state, vec![outcome]));
        }
        "quit" | "exit" => return (Vec::new(), vec![Effect::Quit]),
        "help" => vec![HELP.to_owned()],
        other => vec![format!("no command {other:?}; {HELP}")],
    };
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more"));
    }
    (lines, Vec::new())
}
