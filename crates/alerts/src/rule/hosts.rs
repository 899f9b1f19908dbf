//! Patterns for names, and lists of patterns that select hosts.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use sysmon_wire::limits::LABEL_BYTES_MAX;
use thiserror::Error;
use wildmatch::WildMatchPattern;

/// Patterns in one list.
const SELECTORS_MAX: usize = 64;

/// A pattern for names, in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(WildMatchPattern<'*', '\0'>);

impl Eq for Pattern {}

/// A text that is not a pattern or a list of patterns.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    /// No name is that long, and the time to match a name grows with the pattern.
    #[error(
        "the pattern that begins with {0:?} is longer than {LABEL_BYTES_MAX} bytes; use * for a part of it"
    )]
    TooLong(String),
    /// The list is too long.
    #[error(
        "a list of hosts has at most {SELECTORS_MAX} names, patterns and tags; give the hosts a tag and write #TAG"
    )]
    TooMany,
    /// There is nothing between two commas, or after a `!` or `#`.
    #[error(
        "{0:?} has an empty entry; write names, patterns with * and #TAGs with commas between them, and ! before what to leave out"
    )]
    Empty(String),
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > LABEL_BYTES_MAX {
            return Err(PatternError::TooLong(text.chars().take(20).collect()));
        }
        Ok(Self(WildMatchPattern::new(text)))
    }
}

impl Pattern {
    /// Whether the whole of `name` matches. The time is bounded by the product of both lengths.
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }

    /// Whether it stands for one name only.
    pub fn is_name(&self) -> bool {
        !self.0.pattern_chars().contains(&'*')
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    Named(Pattern),
    Tagged(String),
}

impl Selector {
    fn includes(&self, name: &str, tags: &[impl Borrow<str>]) -> bool {
        match self {
            Self::Named(pattern) => pattern.matches(name),
            Self::Tagged(tag) => tags.iter().any(|of_host| of_host.borrow() == tag),
        }
    }
}

/// Selects hosts: names, patterns with `*` and `#TAG`s, separated by commas; those after a `!` are left out.
///
/// A list that only leaves out selects all other hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    included: Vec<Selector>,
    excluded: Vec<Selector>,
}

impl FromStr for Hosts {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut hosts = Self {
            included: Vec::new(),
            excluded: Vec::new(),
        };
        for (count, entry) in text.split(',').enumerate() {
            if count >= SELECTORS_MAX {
                return Err(PatternError::TooMany);
            }
            let entry = entry.trim();
            let (list, selector) = match entry.strip_prefix('!') {
                Some(selector) => (&mut hosts.excluded, selector),
                None => (&mut hosts.included, entry),
            };
            list.push(match selector.strip_prefix('#') {
                Some("") => return Err(PatternError::Empty(text.chars().take(80).collect())),
                None if selector.is_empty() => {
                    return Err(PatternError::Empty(text.chars().take(80).collect()));
                }
                Some(tag) if tag.len() > LABEL_BYTES_MAX => {
                    return Err(PatternError::TooLong(tag.chars().take(20).collect()));
                }
                Some(tag) => Selector::Tagged(tag.to_owned()),
                None => Selector::Named(selector.parse()?),
            });
        }
        Ok(hosts)
    }
}

impl Hosts {
    /// Every host.
    pub fn all() -> Self {
        Self {
            included: Vec::new(),
            excluded: Vec::new(),
        }
    }

    /// Whether this selects a host with these tags.
    pub fn include(&self, name: &str, tags: &[impl Borrow<str>]) -> bool {
        let is_in = |selector: &Selector| selector.includes(name, tags);
        (self.included.is_empty() || self.included.iter().any(is_in))
            && !self.excluded.iter().any(is_in)
    }

    /// Replaces a name in the list; true if it is there. Patterns stay as they are.
    ///
    /// # Errors
    /// The new name is longer than a pattern can be.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<bool, PatternError> {
        let new: Pattern = to.parse()?;
        let mut any = false;
        for selector in self.included.iter_mut().chain(&mut self.excluded) {
            if let Selector::Named(pattern) = selector
                && pattern.is_name()
                && pattern.matches(from)
            {
                *pattern = new.clone();
                any = true;
            }
        }
        Ok(any)
    }

    /// The names and patterns in the list, without tags.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        let selectors = self.included.iter().chain(&self.excluded);
        selectors.filter_map(|selector| match selector {
            Selector::Named(pattern) => Some(pattern),
            Selector::Tagged(_) => None,
        })
    }
}

impl Hosts {
    /// The tags in the list.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let selectors = self.included.iter().chain(&self.excluded);
        selectors.filter_map(|selector| match selector {
            Selector::Named(_) => None,
            Selector::Tagged(tag) => Some(tag.as_str()),
        })
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let included = self.included.iter().map(|selector| ("", selector));
        let excluded = self.excluded.iter().map(|selector| ("!", selector));
        let mut comma = "";
        for (not, selector) in included.chain(excluded) {
            match selector {
                Selector::Named(pattern) => write!(f, "{comma}{not}{pattern}")?,
                Selector::Tagged(tag) => write!(f, "{comma}{not}#{tag}")?,
            }
            comma = ",";
        }
        match comma {
            "" => f.write_str("*"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn includes(list: &str, name: &str) -> bool {
        list.parse::<Hosts>().unwrap().include(name, &["lab"])
    }

    #[test]
    fn hosts_are_selected_by_name_or_tag() {
        assert!(includes("db-*", "db-1") && !includes("db-*", "web-1") && includes("*", "x"));
        assert!(includes("*-1", "db-1") && includes("d*b*", "dab-b") && !includes("db", "db-1"));
        assert!(includes("#lab", "x") && !includes("#home", "x"));
        assert!(
            !includes("d?-1", "db-1") && !includes("d[ab]-1", "da-1"),
            "only * is special"
        );
    }

    #[test]
    fn a_list_selects_what_one_entry_selects_and_none_leaves_out() {
        assert!(includes("db-*,web-*", "web-1") && !includes("db-*,web-*", "mail"));
        assert!(includes("db-*, !db-3", "db-1") && !includes("db-*, !db-3", "db-3"));
        assert!(includes("!db-*", "web-1") && !includes("!db-*", "db-1"));
        assert!(!includes("*,!#lab", "x") && includes("!#home,!db-*", "x"));
        for text in ["db-*,web-*,!db-3", "#lab", "*", "!#lab"] {
            assert_eq!(text.parse::<Hosts>().unwrap().to_string(), text);
        }
        for wrong in ["db-*,", "!", "#", "a,,b", ""] {
            assert!(wrong.parse::<Hosts>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_and_lists_are_bounded() {
        let long = "a".repeat(LABEL_BYTES_MAX + 1);
        assert!(long.parse::<Pattern>().is_err() && format!("#{long}").parse::<Hosts>().is_err());
        let many = vec!["a"; SELECTORS_MAX + 1].join(",");
        assert_eq!(many.parse::<Hosts>(), Err(PatternError::TooMany));
    }

    /// Forty letters take a matcher that tries every split of the name longer than the age of the universe.
    #[test]
    fn the_time_to_match_does_not_explode_with_the_stars() {
        for stars in [10, 40, LABEL_BYTES_MAX / 2 - 1] {
            let pattern: Pattern = format!("{}x", "*a".repeat(stars)).parse().unwrap();
            assert!(!pattern.matches(&"a".repeat(40)));
            assert!(!pattern.matches(&"a".repeat(LABEL_BYTES_MAX)));
        }
    }

    proptest! {
        /// The plain definition: a `*` takes some beginning of the rest.
        #[test]
        fn a_pattern_matches_what_its_definition_says(pattern in "[ab*]{0,8}", name in "[ab]{0,8}") {
            fn is_match(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => (0..=name.len()).any(|at| is_match(rest, &name[at..])),
                    Some((first, rest)) => name.first() == Some(first) && is_match(rest, &name[1..]),
                }
            }
            let parsed: Pattern = pattern.parse().unwrap();
            prop_assert_eq!(parsed.matches(&name), is_match(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
