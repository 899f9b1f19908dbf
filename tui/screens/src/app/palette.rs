//! The commands of the palette: which there are, and running one.

use sysmon_wire::metrics::{ALIASES, SUMMARY};

use super::state::State;
use super::{comparison, navigation, operate};
use crate::keys::Action;
use crate::palette::{Command, Entry, WITH_WORD, matching};
use crate::screen::Outcome;
use crate::theme::ThemeName;

pub(super) fn entries(state: &State) -> Vec<Entry> {
    let input = &state.prompt.input;
    matching(input, commands(state), |begin| words(state, begin))
}

pub(super) fn choose(state: &mut State, rows: isize) {
    let last = entries(state).len().saturating_sub(1);
    let chosen = &mut state.prompt.chosen;
    *chosen = chosen.saturating_add_signed(rows).min(last);
}

fn commands(state: &State) -> Vec<Entry> {
    let context = &state.context;
    let here = context.keys.of(context.place());
    let here = here.filter(|bound| bound.binding.action != Action::Palette);
    let act = here.map(|bound| {
        let keys = bound.keys.iter().map(|key| key.name(context.theme.ascii));
        let action = bound.binding.action;
        Entry {
            keys: keys.collect::<Vec<_>>().join("  "),
            ..Entry::new(action.name(), bound.binding.help, Command::Act(action))
        }
    });
    let is_sorted = !state.screen().sorts().is_empty();
    let more = WITH_WORD
        .iter()
        .filter(|(begin, _, _)| *begin != "sort " || is_sorted)
        .map(|(begin, text, help)| Entry::new(*text, *help, Command::Complete(begin)));
    let silences = Entry::new(
        Action::Silences.name(),
        "list the silences; S ends the selected one",
        Command::Act(Action::Silences),
    );
    act.chain(more).chain([silences]).collect()
}

fn words(state: &State, begin: &'static str) -> Vec<Entry> {
    let entry =
        |word: &str, help: &str, command| Entry::new(format!("{begin}{word}"), help, command);
    match begin {
        "host " => {
            let names = state.screens.fleet.names();
            let of = |name: &sysmon_wire::Label| {
                entry(name.as_str(), "open it", Command::OpenHost(name.clone()))
            };
            names.map(of).collect()
        }
        "compare " => {
            let aliases = ALIASES.iter().take(SUMMARY).map(|alias| alias.alias);
            let mut entries: Vec<Entry> = aliases
                .map(|alias| entry(alias, "compare hosts by it", Command::Compare(alias)))
                .collect();
            // Names are case-sensitive.
            let word = state.prompt.input.trim_start().get(begin.len()..);
            let word = word.unwrap_or_default().trim();
            let hosts = comparison::matching(state, word).len();
            if hosts > 0 {
                let help = format!("compare these hosts: {hosts}");
                let command = Command::CompareHosts(word.to_owned());
                entries.push(entry(word, &help, command));
            }
            entries
        }
        "filter " => {
            let filters = state.filters.iter();
            filters
                .map(|(name, filter)| entry(name, filter, Command::Filter(filter.clone())))
                .collect()
        }
        "theme " => {
            let is_chosen = |(_, name): &&(&str, ThemeName)| *name != ThemeName::Auto;
            let themes = ThemeName::ALL.iter().filter(is_chosen);
            themes
                .map(|(name, theme)| entry(name, "use these colours", Command::SetTheme(*theme)))
                .collect()
        }
        "time " => {
            // A time is case-sensitive: 2026-05-04T09:00.
            let word = state.prompt.input.trim_start().get(begin.len()..);
            let word = word.unwrap_or_default().trim();
            let help = "go there: 14:03, -2h, yesterday 9:00";
            vec![entry(word, help, Command::GoToTime(word.to_owned()))]
        }
        "ack " | "silence " => {
            // Names are case-sensitive.
            let typed = state.prompt.input.trim_start();
            let text = typed.get(begin.len()..).unwrap_or_default().trim();
            let (operation, does, command) = match begin {
                "ack " => (
                    operate::acknowledge_command(text),
                    "⏎ acknowledges it",
                    Command::Acknowledge(text.to_owned()),
                ),
                _ => (
                    operate::silence_command(state, text),
                    "⏎ silences it",
                    Command::Silence(text.to_owned()),
                ),
            };
            let help = operation.map_or_else(|error| error, |_| does.to_owned());
            vec![entry(text, &help, command)]
        }
        _ => {
            let sorts = state.screen().sorts().into_iter();
            sorts
                .map(|name| entry(name, "sort by it", Command::Sort(name)))
                .collect()
        }
    }
}

pub(super) fn run(state: &mut State) -> Vec<Outcome> {
    let chosen = entries(state).into_iter().nth(state.prompt.chosen);
    let Some(Entry { command, .. }) = chosen else {
        // The input stays, to be corrected.
        return vec![Outcome::Remark(no_command(&state.prompt.input))];
    };
    if let Command::Complete(begin) = command {
        begin.clone_into(&mut state.prompt.input);
        state.prompt.chosen = 0;
        return Vec::new();
    }
    let operation = match &command {
        Command::Acknowledge(text) => Some(operate::acknowledge_command(text)),
        Command::Silence(text) => Some(operate::silence_command(state, text)),
        _ => None,
    };
    if let Some(operation) = operation {
        return match operation {
            Ok(operation) => {
                state.context.leave();
                vec![Outcome::Operate(operation)]
            }
            Err(error) => vec![Outcome::Remark(error)],
        };
    }
    state.context.leave();
    state.prompt.input.clear();
    match command {
        Command::Act(action) => return vec![Outcome::Act(action)],
        Command::OpenHost(name) => return vec![Outcome::Open(name)],
        Command::GoToTime(text) if !text.is_empty() => navigation::go_to(state, &text),
        Command::SetTheme(theme) => navigation::set_theme(state, theme),
        Command::Sort(name) => {
            let place = state.context.place();
            let outcomes = state.screens.of_mut(place).sort_by(name);
            return outcomes.unwrap_or_default();
        }
        Command::Compare(alias) => comparison::show_metric(state, alias),
        Command::CompareHosts(text) => comparison::compare_hosts(state, &text),
        Command::Filter(filter) => {
            let place = state.context.place();
            state.screens.of_mut(place).set_filter(&filter);
        }
        Command::GoToTime(_)
        | Command::Complete(_)
        | Command::Acknowledge(_)
        | Command::Silence(_) => {}
    }
    Vec::new()
}

fn no_command(input: &str) -> String {
    let typed = input.trim();
    let (command, word) = typed.split_once(' ').unwrap_or((typed, ""));
    match command {
        "host" => format!("no host {word:?}"),
        "filter" => format!("no saved filter {word:?}; [tui] filters has them"),
        "compare" => format!("no metric {word:?} to compare by"),
        "theme" => format!("no theme {word:?}"),
        "sort" => format!("no column {word:?} to sort by here"),
        _ => format!("no command {typed:?}"),
    }
}
