//! Whether a scope selects anything that exists: a mistyped one would silence nothing. Pure.

use sysmon_config::suggest;
use thiserror::Error;

use super::Scope;

/// The names that a scope can have. Of a kind without any, no name can be called wrong.
#[derive(Clone, Debug, Default)]
pub struct ScopeNames {
    /// Names of hosts.
    pub hosts: Vec<String>,
    /// Tags of hosts.
    pub tags: Vec<String>,
    /// Names of rules.
    pub rules: Vec<String>,
}

/// A part of a scope that matches nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no {what} {name:?}{hint}")]
pub struct UnknownName {
    what: &'static str,
    name: String,
    hint: String,
}

impl ScopeNames {
    /// Checks that each part of a scope matches a name.
    ///
    /// # Errors
    /// The first part that matches none, with the nearest name.
    pub fn check(&self, scope: &Scope) -> Result<(), UnknownName> {
        for pattern in scope.hosts().patterns() {
            let is_it = |name: &String| pattern.matches(name);
            known("host is called", &pattern.to_string(), &self.hosts, is_it)?;
        }
        for tag in scope.hosts().tags() {
            known("host has the tag", tag, &self.tags, |name| name == tag)?;
        }
        let rule = scope.rule();
        let is_it = |name: &String| rule.matches(name);
        known("rule is called", &rule.to_string(), &self.rules, is_it)
    }
}

fn known(
    what: &'static str,
    name: &str,
    names: &[String],
    is_it: impl Fn(&String) -> bool,
) -> Result<(), UnknownName> {
    if names.is_empty() || names.iter().any(is_it) {
        return Ok(());
    }
    let all = names.iter().map(String::as_str);
    Err(UnknownName {
        what,
        name: name.to_owned(),
        hint: suggest(&name.replace('*', ""), all),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_matches_nothing_is_refused_with_the_nearest_name() {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let names = ScopeNames {
            hosts: owned(&["db-1", "web"]),
            tags: owned(&["lab"]),
            rules: owned(&["busy", "disk-full"]),
        };
        let check = |scope: &str| {
            names
                .check(&scope.parse().unwrap())
                .map_err(|error| error.to_string())
        };
        for right in ["db-1:busy", "db-*,!db-1", "#lab:disk-*", ":busy", "*"] {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for (wrong, hint) in [
            (
                "db-1:busyy",
                "no rule is called \"busyy\"; did you mean \"busy\"?",
            ),
            ("bd-1", "no host is called \"bd-1\"; did you mean \"db-1\"?"),
            (
                "db-1,!wbe",
                "no host is called \"wbe\"; there are db-1, web",
            ),
            ("mail-*", "no host is called \"mail-*\""),
            (
                "#labb",
                "no host has the tag \"labb\"; did you mean \"lab\"?",
            ),
        ] {
            let said = check(wrong).unwrap_err();
            assert!(said.contains(hint), "{said}");
        }
        assert_eq!(
            ScopeNames::default().check(&"x:y".parse().unwrap()),
            Ok(()),
            "nobody has joined yet"
        );
    }
}
