//! The commands that can be typed, and which of them fit what was typed.

use sysmon_wire::Label;
use sysmon_wire::metrics::{ALIASES, SUMMARY};

use super::{State, fleet, processes, top};
use crate::keys::{Action, Mode};
use crate::theme::ThemeName;

/// Entries listed: more than anybody goes through.
const ENTRIES_MAX: usize = 200;

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What a key does.
    Act(Action),
    /// Open a host.
    Host(Label),
    /// Go to the time that was typed.
    Time(String),
    /// Draw in other colours.
    Theme(ThemeName),
    /// Sort the hosts.
    SortFleet(fleet::Sort),
    /// Sort the processes.
    SortProcesses(processes::Sort),
    /// Sort the busiest processes of all hosts.
    SortTop(top::Sort),
    /// Compare hosts by a metric.
    Compare(&'static str),
    /// Type on, after this.
    Complete(&'static str),
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is called.
    pub text: String,
    /// What it does, in words.
    pub help: String,
    /// The keys that do the same.
    pub keys: String,
    /// What it does.
    pub command: Command,
}

impl Entry {
    fn new(text: impl Into<String>, help: impl Into<String>, command: Command) -> Self {
        Self {
            text: text.into(),
            help: help.into(),
            keys: String::new(),
            command,
        }
    }
}

/// Commands that need a word more, and what for.
const WITH_WORD: [(&str, &str, &str); 5] = [
    ("host ", "host NAME", "open a host"),
    (
        "time ",
        "time WHEN",
        "go to a time: 14:03, -2h, yesterday 9:00",
    ),
    ("compare ", "compare METRIC", "hosts beside each other"),
    ("theme ", "theme NAME", "draw in other colours"),
    ("sort ", "sort COLUMN", "sort by a column"),
];

/// The commands that fit what was typed, the best first.
pub fn entries(state: &State) -> Vec<Entry> {
    let typed = state.input.trim_start().to_lowercase();
    let begun = WITH_WORD
        .iter()
        .find(|(begin, _, _)| typed.starts_with(begin));
    let mut found: Vec<(u8, Entry)> = match begun {
        Some((begin, _, _)) => {
            let word = typed.get(begin.len()..).unwrap_or_default().trim();
            let fits = |entry: Entry| {
                let of_it = entry.text.get(begin.len()..).unwrap_or_default();
                Some((badness(of_it, "", word)?, entry))
            };
            // A time is taken as it was typed: 2026-05-04T09:00.
            let raw = state.input.trim_start().get(begin.len()..);
            words(state, begin, raw.unwrap_or_default().trim())
                .into_iter()
                .filter_map(fits)
                .collect()
        }
        None => {
            let wanted = typed.trim_end();
            let mut all = commands(state);
            // Without its command, a word counts once there is one.
            if !wanted.is_empty() {
                let begins = ["host ", "compare ", "theme ", "sort "];
                all.extend(begins.iter().flat_map(|begin| words_of(state, begin)));
            }
            let fits = |entry: Entry| Some((badness(&entry.text, &entry.help, wanted)?, entry));
            all.into_iter().filter_map(fits).collect()
        }
    };
    found.sort_by_key(|(badness, _)| *badness);
    found.truncate(ENTRIES_MAX);
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// What counts where one is, and the commands that need a word more.
fn commands(state: &State) -> Vec<Entry> {
    let place = state.place();
    let here = state.keys.of(place);
    let here = here.filter(|bound| bound.binding.action != Action::Palette);
    let act = here.map(|bound| {
        let keys = bound.keys.iter().map(|key| key.name(state.theme.ascii));
        let action = bound.binding.action;
        Entry {
            keys: keys.collect::<Vec<_>>().join("  "),
            ..Entry::new(action.name(), bound.binding.help, Command::Act(action))
        }
    });
    let more = WITH_WORD
        .iter()
        .filter(|(begin, _, _)| {
            *begin != "sort " || matches!(place, Mode::Fleet | Mode::Processes | Mode::Top)
        })
        .map(|(begin, text, help)| Entry::new(*text, *help, Command::Complete(begin)));
    act.chain(more).collect()
}

/// What can follow a command; a time is whatever was typed.
fn words(state: &State, begin: &str, word: &str) -> Vec<Entry> {
    if begin != "time " {
        return words_of(state, begin);
    }
    let help = "go there: 14:03, -2h, yesterday 9:00";
    let text = format!("time {word}");
    vec![Entry::new(text, help, Command::Time(word.to_owned()))]
}

fn words_of(state: &State, begin: &str) -> Vec<Entry> {
    match begin {
        "host " => {
            let names = state.fleet.names();
            names
                .map(|name| {
                    Entry::new(
                        format!("host {name}"),
                        "open it",
                        Command::Host(name.clone()),
                    )
                })
                .collect()
        }
        "compare " => {
            let aliases = ALIASES.iter().take(SUMMARY);
            aliases
                .map(|alias| {
                    Entry::new(
                        format!("compare {}", alias.alias),
                        "compare hosts by it",
                        Command::Compare(alias.alias),
                    )
                })
                .collect()
        }
        "theme " => {
            let themes = ThemeName::ALL.iter();
            themes
                .map(|(name, theme)| {
                    Entry::new(
                        format!("theme {name}"),
                        "draw in these colours",
                        Command::Theme(*theme),
                    )
                })
                .collect()
        }
        _ => match state.place() {
            Mode::Fleet => fleet::Sort::all()
                .map(|(sort, name)| {
                    Entry::new(
                        format!("sort {name}"),
                        "sort by it",
                        Command::SortFleet(sort),
                    )
                })
                .collect(),
            Mode::Processes => processes::Sort::ALL
                .iter()
                .map(|(sort, name)| {
                    Entry::new(
                        format!("sort {name}"),
                        "sort by it",
                        Command::SortProcesses(*sort),
                    )
                })
                .collect(),
            Mode::Top => top::Sort::ALL
                .iter()
                .map(|(sort, name)| {
                    Entry::new(
                        format!("sort {name}"),
                        "sort by it",
                        Command::SortTop(*sort),
                    )
                })
                .collect(),
            _ => Vec::new(),
        },
    }
}

/// How badly a name fits, if at all: what is wanted is its beginning or that of its last word, or somewhere in
/// it, or begins its explanation, stands in that, or its letters are there in order.
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
    } else if fleet::fuzzy(&name, wanted) {
        Some(5)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::BINDINGS;
    use crate::testing::{fleet_update, state};

    fn texts(typed: &str, mode: Mode) -> Vec<String> {
        let mut state = state();
        state
            .fleet
            .apply(fleet_update(&[("web-1", 1), ("db-1", 2)]));
        state.fleet.reorder();
        (state.mode, state.back) = (Mode::Palette, vec![mode]);
        state.input = typed.to_owned();
        entries(&state)
            .into_iter()
            .map(|entry| entry.text)
            .collect()
    }

    #[test]
    fn every_action_of_a_place_is_a_command() {
        let places = [
            Mode::Fleet,
            Mode::Host,
            Mode::Processes,
            Mode::Process,
            Mode::Top,
            Mode::Changes,
        ];
        for place in places {
            let all = texts("", place);
            for binding in BINDINGS.iter().filter(|b| b.modes.contains(&place)) {
                let name = binding.action.name();
                let is_there = all.iter().any(|text| text == name);
                assert!(
                    is_there || binding.action == Action::Palette,
                    "{name} in {place:?}"
                );
            }
        }
    }

    #[test]
    fn the_best_comes_first() {
        assert_eq!(texts("qu", Mode::Fleet)[0], "quit");
        assert_eq!(texts("db", Mode::Fleet)[0], "host db-1");
        assert_eq!(texts("wha", Mode::Fleet)[0], "changes", "what changed");
        assert_eq!(texts("host w", Mode::Host), ["host web-1"]);
        assert_eq!(texts("theme mo", Mode::Host), ["theme mono"]);
        assert_eq!(texts("SORT mem", Mode::Processes), ["sort memory"]);
        assert_eq!(texts("time -2h", Mode::Fleet), ["time -2h"]);
        let date = "time 2026-05-04T09:00";
        assert_eq!(texts(date, Mode::Fleet), [date]);
        assert!(texts("stop at this", Mode::Fleet).contains(&"freeze".to_owned()));
        assert!(texts("pgd", Mode::Fleet).contains(&"page-down".to_owned()));
        assert!(texts("no such thing", Mode::Fleet).is_empty());
        assert!(!texts("", Mode::Host).contains(&"sort COLUMN".to_owned()));
    }
}
