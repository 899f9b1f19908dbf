//! The filter of hosts: words that all have to match, or one of several lists of them with `or` between.
//!
//! `db` is letters of the name or a tag, in order; `#web` or `tag:web` a tag, `is:offline` a state; `!` before one
//! of them leaves out what fits. `/^db-[12]$/` is a regular expression for the name or a tag.

use sysmon_wire::message::HostState;

use super::row::HostRow;
use crate::format::is_subsequence;
use crate::model::pattern::Pattern;
use crate::theme::Severity;

pub const HINT: &str = "name  #tag  is:alert  !not  or  /regex/";

type State = (&'static str, fn(&HostRow) -> bool);

const STATES: [State; 7] = [
    ("live", |host| host.tick.state == HostState::Live),
    ("stale", |host| host.tick.state == HostState::Stale),
    ("offline", |host| {
        host.tick.state == HostState::Offline && !host.is_unrecorded()
    }),
    ("alert", |host| host.severity() != Severity::None),
    ("warning", |host| host.severity() == Severity::Warning),
    ("critical", |host| host.severity() == Severity::Critical),
    ("unrecorded", HostRow::is_unrecorded),
];

/// Lists of words, of which all of one have to match; none of them is empty.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<Vec<Word>>);

#[derive(Clone, Debug)]
struct Word {
    is_not: bool,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// In the name or a tag.
    Text(String),
    /// Found in the name or a tag.
    Expression(Pattern),
    /// A tag begins so.
    Tag(String),
    /// A state's name begins so.
    State(String),
}

impl Filter {
    /// Parses the input. An incomplete term hides nothing.
    pub fn new(text: &str) -> Self {
        let word = |text: &str| {
            let (is_not, text) = match text.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, text),
            };
            let expression = text.strip_prefix('/');
            if let Some(expression) = expression {
                let expression = expression.strip_suffix('/').unwrap_or(expression);
                let what = What::Expression(Pattern::new(expression));
                return (!expression.is_empty()).then_some(Word { is_not, what });
            }
            let text = text.to_lowercase();
            let tag = text.strip_prefix("tag:").or(text.strip_prefix('#'));
            let (rest, what) = match (tag, text.strip_prefix("is:")) {
                (Some(tag), _) => (tag, What::Tag(tag.to_owned())),
                (None, Some(state)) => (state, What::State(state.to_owned())),
                (None, None) => (text.as_str(), What::Text(text.clone())),
            };
            (!rest.is_empty()).then_some(Word { is_not, what })
        };
        let mut lists = vec![Vec::new()];
        for text in text.split_whitespace() {
            if text.eq_ignore_ascii_case("or") {
                lists.push(Vec::new());
            } else if let Some(list) = lists.last_mut() {
                list.extend(word(text));
            }
        }
        lists.retain(|list| !list.is_empty());
        Self(lists)
    }

    /// Whether it depends on the state of hosts, not only on their names.
    pub(super) fn is_of_states(&self) -> bool {
        let is_state = |word: &Word| matches!(word.what, What::State(_));
        self.0.iter().flatten().any(is_state)
    }

    /// Whether a host fits.
    pub fn is_match(&self, host: &HostRow) -> bool {
        self.badness(host).is_some()
    }

    /// Rank of a match, best first, or `None`: 0 if it contains the input.
    pub(super) fn badness(&self, host: &HostRow) -> Option<u8> {
        if self.0.is_empty() {
            return Some(0);
        }
        let fitting = self.0.iter().filter_map(|list| badness_of_list(host, list));
        fitting.min()
    }

    /// Describes the filter in words.
    ///
    /// # Errors
    /// A state is unknown.
    pub fn explain(&self) -> Result<String, UnknownState> {
        let lists = self.0.iter().map(|list| {
            let words = list.iter().map(Word::explain);
            words.collect::<Result<Vec<_>, _>>()
        });
        let lists = lists.collect::<Result<Vec<_>, _>>()?.into_iter();
        let lists: Vec<_> = lists.map(|words| words.join(" and ")).collect();
        Ok(lists.join(", or "))
    }
}

impl Word {
    fn explain(&self) -> Result<String, UnknownState> {
        let what = match &self.what {
            What::Text(text) => text.clone(),
            What::Expression(expression) => format!("/{}/", expression.text()),
            What::Tag(tag) => format!("tag {tag}"),
            What::State(state) => {
                let names: Vec<_> = states(state).map(|(name, _)| *name).collect();
                if names.is_empty() {
                    return Err(UnknownState);
                }
                names.join(" or ")
            }
        };
        Ok(match self.is_not {
            true => format!("not {what}"),
            false => what,
        })
    }
}

/// Rank of a match with all words of a list.
fn badness_of_list(host: &HostRow, list: &[Word]) -> Option<u8> {
    let mut worst = 0;
    for word in list {
        let fits = match &word.what {
            What::Text(text) => badness_of(host, text),
            What::Expression(expression) => {
                let mut tags = host.line.facts.tags.iter();
                let is_found = expression.finds(host.line.name.as_str())
                    || tags.any(|tag| expression.finds(tag.as_str()));
                is_found.then_some(0)
            }
            What::Tag(tag) => tags(host).any(|of| of.starts_with(tag)).then_some(0),
            What::State(state) => is(host, state).then_some(0),
        };
        match (fits, word.is_not) {
            // Scattered letters are too weak a match to exclude a host.
            (None | Some(1..), true) => {}
            (Some(badness), false) => worst = worst.max(badness),
            _ => return None,
        }
    }
    Some(worst)
}

/// No state begins with what follows `is:`; its text lists the states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownState;

impl std::fmt::Display for UnknownState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<_> = STATES.iter().map(|(name, _)| *name).collect();
        write!(f, "is: {}", all.join(", "))
    }
}

impl std::error::Error for UnknownState {}

fn tags(host: &HostRow) -> impl Iterator<Item = String> {
    let tags = host.line.facts.tags.iter();
    tags.map(|tag| tag.as_str().to_lowercase())
}

fn states(begin: &str) -> impl Iterator<Item = &'static State> {
    STATES
        .iter()
        .filter(move |(name, _)| name.starts_with(begin))
}

fn is(host: &HostRow, state: &str) -> bool {
    states(state).any(|(_, is)| is(host))
}

fn badness_of(host: &HostRow, wanted: &str) -> Option<u8> {
    let name = host.line.name.as_str().to_lowercase();
    if name.contains(wanted) || tags(host).any(|tag| tag.contains(wanted)) {
        Some(0)
    } else if is_subsequence(&name, wanted) || tags(host).any(|tag| is_subsequence(&tag, wanted)) {
        Some(1)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::Fleet;
    use super::*;
    use crate::testing::fleet_update;
    use sysmon_wire::Label;
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::{AlertLine, Severity};

    /// Names of the matching hosts among five: two are web servers, of which one is offline.
    fn shown(filter: &str) -> Vec<String> {
        let mut fleet = Fleet::default();
        let mut update = fleet_update(&[
            ("db-1", 100),
            ("dashboard", 100),
            ("web-1", 950),
            ("web-2", 100),
            ("cache-10", 100),
        ]);
        for line in &mut update.lines[2..4] {
            line.facts.tags = vec![Label::new("Web"), Label::new("lab")];
        }
        update.lines[0].facts.tags = vec![Label::new("db")];
        update.ticks[3].state = HostState::Offline;
        update.lines[2].alerts = vec![AlertLine {
            rule: "r".into(),
            severity: Severity::Warning,
            since: UnixMs(0),
            summary: "".into(),
            acknowledged: None,
            silenced: None,
            metric: "".into(),
        }];
        fleet.apply(update);
        fleet.filter = filter.to_owned();
        fleet.reorder();
        fleet
            .shown()
            .map(|host| host.line.name.to_string())
            .collect()
    }

    #[test]
    fn words_combine_and_leave_out() {
        assert_eq!(
            shown("db"),
            ["db-1", "dashboard"],
            "the better one before the other"
        );
        assert_eq!(shown("WEB 1"), ["web-1"]);
        assert_eq!(shown("#web"), ["web-1", "web-2"]);
        assert_eq!(
            shown("tag:w !is:offline"),
            ["web-1"],
            "while it is being typed"
        );
        assert_eq!(shown("is:off"), ["web-2"]);
        assert_eq!(shown("is:alert"), ["web-1"]);
        assert_eq!(shown("!#web !db"), ["cache-10", "dashboard"]);
        assert_eq!(shown("is:nothing"), [""; 0]);
        for begun in ["", " ", "!", "#", "tag:", "is:", "!is:"] {
            assert_eq!(shown(begun).len(), 5, "{begun:?}");
        }
    }

    #[test]
    fn lists_with_or_between_and_regular_expressions_are_filters_too() {
        assert_eq!(shown("db-1 or cache"), ["cache-10", "db-1"]);
        assert_eq!(shown("#web is:offline or /^DASH/i"), ["web-2"]);
        assert_eq!(shown("/^d/"), ["dashboard", "db-1"]);
        assert_eq!(shown("/^(web|db)-1$/"), ["web-1", "db-1"]);
        assert_eq!(shown("!/-/"), ["dashboard"]);
        assert_eq!(shown("/a(/"), [""; 0], "matched as plain text");
        for begun in ["or", "or or", "/", "!/", "//"] {
            assert_eq!(shown(begun).len(), 5, "{begun:?}");
        }
        let explained = Filter::new("db !/x/ or #web").explain();
        assert_eq!(explained.unwrap(), "db and not /x/, or tag web");
    }

    #[test]
    fn a_filter_can_be_explained() {
        let explained = |text: &str| Filter::new(text).explain();
        assert_eq!(
            explained("db #web !is:o").unwrap(),
            "db and tag web and not offline"
        );
        assert!(
            explained("is:x")
                .unwrap_err()
                .to_string()
                .contains("live, stale, offline")
        );
        assert_eq!(explained("").unwrap(), "");
    }
}
