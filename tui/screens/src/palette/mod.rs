//! The command palette: ranks commands by how well they match what is typed, and lists them above the prompt.

mod view;

use sysmon_wire::Label;

use crate::format::is_subsequence;
use crate::keys::Action;
use crate::theme::ThemeName;
pub(crate) use view::draw;

/// Entries listed: more than anybody reads.
const ENTRIES_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Act(Action),
    OpenHost(Label),
    GoToTime(String),
    /// What to acknowledge, with a note.
    Acknowledge(String),
    /// What to silence, for how long, and why.
    Silence(String),
    SetTheme(ThemeName),
    Sort(&'static str),
    Compare(&'static str),
    /// Compares the hosts whose names match a pattern.
    CompareHosts(String),
    Filter(String),
    /// Replaces the input, for a command that needs another word.
    Complete(&'static str),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub text: String,
    pub help: String,
    pub keys: String,
    pub command: Command,
}

impl Entry {
    pub(crate) fn new(text: impl Into<String>, help: impl Into<String>, command: Command) -> Self {
        Self {
            text: text.into(),
            help: help.into(),
            keys: String::new(),
            command,
        }
    }
}

/// Commands that need another word: how they begin, how they are listed, and their help.
pub(crate) const WITH_WORD: [(&str, &str, &str); 8] = [
    ("host ", "host NAME", "open a host"),
    (
        "time ",
        "time WHEN",
        "go to a time: 14:03, -2h, yesterday 9:00",
    ),
    (
        "ack ",
        "ack HOST NOTE",
        "acknowledge with a note: db-1:disk-full making room",
    ),
    (
        "silence ",
        "silence SCOPE FOR REASON",
        "silence alerts: db-1 2h load test",
    ),
    (
        "compare ",
        "compare METRIC or HOSTS",
        "compare hosts by a metric, or these: db-*",
    ),
    ("filter ", "filter NAME", "show the hosts of a saved filter"),
    ("theme ", "theme NAME", "change the colours"),
    ("sort ", "sort COLUMN", "sort by a column"),
];

/// The commands that match the input, the best match first. `words` lists the commands that begin with one of
/// [`WITH_WORD`].
pub(crate) fn matching(
    input: &str,
    commands: Vec<Entry>,
    words: impl Fn(&'static str) -> Vec<Entry>,
) -> Vec<Entry> {
    let typed = input.trim_start().to_lowercase();
    let begun = WITH_WORD
        .iter()
        .find(|(begin, _, _)| typed.starts_with(begin));
    let mut found: Vec<(u8, Entry)> = match begun {
        Some((begin, _, _)) => {
            let word = typed.get(begin.len()..).unwrap_or_default().trim();
            let matches = |entry: Entry| {
                let rest = entry.text.get(begin.len()..).unwrap_or_default();
                Some((badness(rest, "", word)?, entry))
            };
            words(begin).into_iter().filter_map(matches).collect()
        }
        None => {
            let wanted = typed.trim_end();
            let mut all = commands;
            // A word matches without its command once something is typed.
            if !wanted.is_empty() {
                let begins = ["host ", "compare ", "theme ", "sort "];
                all.extend(begins.into_iter().flat_map(&words));
            }
            let matches = |entry: Entry| Some((badness(&entry.text, &entry.help, wanted)?, entry));
            all.into_iter().filter_map(matches).collect()
        }
    };
    found.sort_by_key(|(badness, _)| *badness);
    found.truncate(ENTRIES_MAX);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// Rank of a matching name, best first; `None` without a match. In order: the input begins it, begins its last
/// word, is somewhere in it, begins its help, is in its help, or its letters occur in order.
fn badness(name: &str, help: &str, wanted: &str) -> Option<u8> {
    let name = name.to_lowercase();
    let last = name.rsplit(' ').next().unwrap_or_default();
    if name.starts_with(wanted) {
        Some(0)
    } else if last.starts_with(wanted) {
        Some(1)
    } else if name.contains(wanted) {
        Some(2)
    } else if help.to_lowercase().starts_with(wanted) {
        Some(3)
    } else if help.to_lowercase().contains(wanted) {
        Some(4)
    } else if is_subsequence(&name, wanted) {
        Some(5)
    } else {
        None
    }
}
