//! A search pattern: a regular expression, or plain text.

use regex::{Regex, RegexBuilder};
use sysmon_wire::Process;

/// Bytes of a compiled expression; a larger one is matched as plain text.
const COMPILED_MAX: usize = 1 << 20;

#[derive(Clone, Debug, Default)]
pub struct Pattern {
    text: String,
    /// `None` if nothing was typed, or it is no expression.
    expression: Option<Regex>,
    /// The same, anchored at both ends.
    whole: Option<Regex>,
}

impl Pattern {
    /// Ignores case unless the text has a capital letter.
    pub fn new(text: &str) -> Self {
        let compile = |expression: &str| {
            RegexBuilder::new(expression)
                .case_insensitive(!has_capital(text))
                .size_limit(COMPILED_MAX)
                .build()
                .ok()
        };
        let expression = Some(text).filter(|text| !text.is_empty()).and_then(compile);
        let whole = expression
            .is_some()
            .then(|| compile(&format!("^(?:{text})$")));
        Self {
            text: text.to_owned(),
            expression,
            whole: whole.flatten(),
        }
    }

    /// Finds this text, or paths that end in it.
    pub fn ending(text: &str) -> Self {
        Self::new(&format!("(^|/){}$", regex::escape(text)))
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it is no valid expression, and so is matched as plain text.
    pub fn is_wrong(&self) -> bool {
        !self.text.is_empty() && self.expression.is_none()
    }

    pub fn finds(&self, text: &str) -> bool {
        match &self.expression {
            Some(expression) => expression.is_match(text),
            None if has_capital(&self.text) => text.contains(&self.text),
            None => text.to_lowercase().contains(&self.text.to_lowercase()),
        }
    }

    /// Whether it is found in a process' command, arguments, user or container, or is its pid. An anchored expression is
    /// about names.
    pub fn finds_process(&self, process: &Process) -> bool {
        let identity = &process.identity;
        let is_pid = || {
            let pid = identity.pid.to_string();
            self.whole
                .as_ref()
                .is_some_and(|whole| whole.is_match(&pid))
        };
        let is_in_arguments =
            || !self.text.contains(['^', '$']) && self.finds(process.arguments.as_str());
        self.is_empty()
            || [&identity.command, &identity.user, &identity.cgroup]
                .iter()
                .any(|text| self.finds(text.as_str()))
            || is_in_arguments()
            || is_pid()
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Whether the text has a capital letter that is not part of an escape such as `\W`.
fn has_capital(text: &str) -> bool {
    let mut is_escaped = false;
    text.chars().any(|c| {
        let counts = !is_escaped && c.is_uppercase();
        is_escaped = !is_escaped && c == '\\';
        counts
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::process;

    #[test]
    fn expressions_are_found_and_large_letters_count_only_where_typed() {
        let finds = |typed: &str, text: &str| Pattern::new(typed).finds(text);
        assert!(finds("post.*s$", "/usr/bin/Postgres"));
        assert!(finds("cc1|make", "make"));
        assert!(!finds("^bin", "/usr/bin/x"));
        assert!(finds("Post", "Postgres") && !finds("Post", "postgres"));
        assert!(finds(r"x\Wy", "X y"), "no large letter of its own");
        assert!(finds("", "anything"));
    }

    #[test]
    fn an_invalid_expression_is_matched_as_plain_text() {
        let wrong = Pattern::new("a(b");
        assert!(wrong.is_wrong() && wrong.finds("XA(Bx") && !wrong.finds("ab"));
        assert!(!Pattern::new("a.b").is_wrong() && !Pattern::new("").is_wrong());
        let huge = Pattern::new("(a{1000}){1000}");
        assert!(huge.is_wrong() && !huge.finds("aaa"));
    }

    #[test]
    fn a_process_is_found_by_its_names_and_by_its_whole_pid() {
        let mut one = process(1234, "/usr/bin/cc1", 0, 0);
        one.identity.cgroup = "builder".into();
        one.arguments = "-O2 shop.c".into();
        let finds = |typed: &str| Pattern::new(typed).finds_process(&one);
        for found in [
            "cc1", "root", "build", "1234", "12..", "99|1234", "shop", "",
        ] {
            assert!(finds(found), "{found}");
        }
        for not in ["123", "234", "cc2", "^99|12$", "shop.c$"] {
            assert!(!finds(not), "{not}");
        }
        let ending = Pattern::ending("a+(b)");
        assert!(ending.finds("a+(b)") && ending.finds("/x/a+(b)"));
        assert!(!ending.finds("a+(b) (2)") && !ending.finds("xa+(b)"));
    }
}
