//! Many transitions in few lines, the most severe first: one for a rule on many hosts, one for a host. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sysmon_wire::message::Severity;

use super::capacity::{Capacity, shortened};
use crate::Transition;

/// A line has at most this part of a message, so that one host or rule leaves room for others.
const PARTS: usize = 4;

/// A line about some of the transitions.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// Indices of the transitions that it lists or counts.
    pub(super) about: Vec<usize>,
}

/// Critical alerts, warnings, resolved alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Critical,
    Warning,
    Resolved,
}

impl Rank {
    pub(super) const ALL: [Self; 3] = [Self::Critical, Self::Warning, Self::Resolved];

    pub(super) fn of(transition: &Transition) -> Self {
        match (transition.firing, transition.alert.severity) {
            (true, Severity::Critical) => Self::Critical,
            (true, Severity::Warning) => Self::Warning,
            (false, _) => Self::Resolved,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Resolved => "resolved",
        }
    }
}

/// The lines about all of `transitions`, each of which fits into a part of a message.
pub(super) fn lines(transitions: &[Transition], capacity: &Capacity) -> Vec<Line> {
    let mut by_rule: BTreeMap<(Rank, &str), Vec<usize>> = BTreeMap::new();
    for (at, one) in transitions.iter().enumerate() {
        let group = by_rule.entry((Rank::of(one), &one.alert.rule));
        group.or_default().push(at);
    }
    let mut lines = Vec::new();
    let mut by_host: BTreeMap<(Rank, &str), Vec<(usize, &Transition)>> = BTreeMap::new();
    for ((rank, rule), about) in by_rule {
        let of_rule = || {
            about
                .iter()
                .filter_map(|at| Some((*at, transitions.get(*at)?)))
        };
        let hosts: BTreeSet<&str> = of_rule().map(|(_, one)| one.alert.host.as_str()).collect();
        if hosts.len() > 1 {
            let text = of_rule_line(rank, rule, about.len(), &hosts, capacity);
            lines.push((rank, Line { text, about }));
            continue;
        }
        for (at, one) in of_rule() {
            let group = by_host.entry((rank, &one.alert.host));
            group.or_default().push((at, one));
        }
    }
    for ((rank, host), of_host) in by_host {
        let text = of_host_line(rank, host, &of_host, capacity);
        let about = of_host.into_iter().map(|(at, _)| at).collect();
        lines.push((rank, Line { text, about }));
    }
    lines.sort_by_key(|(rank, _)| *rank);
    lines.into_iter().map(|(_, line)| line).collect()
}

fn of_rule_line(
    rank: Rank,
    rule: &str,
    alerts: usize,
    hosts: &BTreeSet<&str>,
    capacity: &Capacity,
) -> String {
    let state = rank.word().to_uppercase();
    let on = match alerts == hosts.len() {
        true => format!("{} hosts", hosts.len()),
        false => format!("{alerts} alerts on {} hosts", hosts.len()),
    };
    let names = hosts
        .iter()
        .map(|host| (*host).to_owned())
        .collect::<Vec<_>>();
    let names = first_of(&names, ", ", capacity);
    match hosts.len() - names.shown {
        0 => format!("{state} {rule}: {on}: {}", names.text),
        more => format!("{state} {rule}: {on}: {} and {more} more", names.text),
    }
}

fn of_host_line(
    rank: Rank,
    host: &str,
    of_host: &[(usize, &Transition)],
    capacity: &Capacity,
) -> String {
    let state = rank.word().to_uppercase();
    if let [(_, one)] = of_host {
        let alert = &one.alert;
        let rest = format!("{} ({})", alert.summary, alert.rule);
        return format!("{state} {host}: {}", first_of(&[rest], "", capacity).text);
    }
    // One alert of each rule comes before the second one of any.
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut in_turn: Vec<(usize, &Transition)> = Vec::new();
    for (_, one) in of_host {
        let turn = seen.entry(&one.alert.rule).or_default();
        in_turn.push((*turn, one));
        *turn += 1;
    }
    in_turn.sort_by_key(|(turn, _)| *turn);
    let summaries = in_turn.iter().map(|(_, one)| one.alert.summary.clone());
    let summaries = first_of(&summaries.collect::<Vec<_>>(), "; ", capacity);
    match of_host.len() - summaries.shown {
        0 => format!("{state} {host}: {}", summaries.text),
        more => format!("{state} {host}: {}; and {more} more", summaries.text),
    }
}

struct First {
    text: String,
    shown: usize,
}

/// As many of the texts as a line has room for, at least the first, which is shortened if it has to be.
fn first_of(texts: &[String], between: &str, capacity: &Capacity) -> First {
    let room = capacity.text_max / PARTS;
    let (mut text, mut shown) = (String::new(), 0);
    for one in texts.iter().take(capacity.names_max) {
        let size =
            (capacity.measure)(&text) + (capacity.measure)(between) + (capacity.measure)(one);
        if shown == 0 {
            text = shortened(one, room, capacity.measure);
        } else if size <= room {
            text.push_str(between);
            text.push_str(one);
        } else {
            break;
        }
        shown += 1;
    }
    First { text, shown }
}
