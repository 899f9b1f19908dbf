//! Phrases and names that `xtask/words.toml` replaces, in what people read and in identifiers.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};
use serde::Deserialize;

use crate::source::{read, tracked, verdict};

#[derive(Deserialize)]
struct Words {
    /// Path prefixes that are not searched.
    skip: Vec<String>,
    phrase: Vec<Entry>,
    name: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    find: String,
    better: String,
    /// Longer phrases that are fine.
    #[serde(default)]
    except: Vec<String>,
    /// Path prefixes where it may stand.
    #[serde(default)]
    allow: Vec<String>,
}

/// The line that a piece of text begins on, the text, and whether it is an identifier.
type Piece = (usize, String, bool);

fn pieces_of_rust(tokens: TokenStream, pieces: &mut Vec<Piece>) {
    for token in tokens {
        let line = token.span().start().line;
        match &token {
            TokenTree::Group(group) => pieces_of_rust(group.stream(), pieces),
            TokenTree::Ident(_) => pieces.push((line, token.to_string(), true)),
            TokenTree::Literal(_) => pieces.push((line, token.to_string(), false)),
            TokenTree::Punct(_) => {}
        }
    }
}

fn pieces(path: &str, text: &str) -> Result<Vec<Piece>> {
    if !path.ends_with(".rs") {
        return Ok(vec![(1, text.to_owned(), false)]);
    }
    let mut pieces = Vec::new();
    let tokens = TokenStream::from_str(text).map_err(|error| anyhow!("{path}: {error}"))?;
    pieces_of_rust(tokens, &mut pieces);
    Ok(pieces)
}

/// Lines on which `phrase` begins: whole words, any case, across line ends.
fn find(text: &str, phrase: &str, except: &[String]) -> Vec<usize> {
    let text = text.to_ascii_lowercase().replace('\n', " ");
    let bytes = text.as_bytes();
    let is_word = |at: Option<&u8>| at.is_some_and(u8::is_ascii_alphanumeric);
    let whole = |&(at, found): &(usize, &str)| {
        !is_word(at.checked_sub(1).and_then(|at| bytes.get(at)))
            && !is_word(bytes.get(at + found.len()))
            && !except.iter().any(|longer| text[at..].starts_with(longer))
    };
    text.match_indices(&phrase.to_ascii_lowercase())
        .filter(whole)
        .map(|(at, _)| at)
        .collect()
}

pub(crate) fn check(root: &Path) -> Result<String> {
    let words = read(root, "xtask/words.toml")?;
    let words: Words = toml::from_str(&words).context("xtask/words.toml")?;
    let mut findings = Vec::new();
    let files = tracked(root, &["md", "toml", "service", "html", "js", "rs"])?;
    let starts = |path: &str, folders: &[String]| folders.iter().any(|f| path.starts_with(f));
    for path in files.iter().filter(|path| !starts(path, &words.skip)) {
        for (first_line, text, is_name) in pieces(path, &read(root, path)?)? {
            let entries = if is_name { &words.name } else { &words.phrase };
            for entry in entries.iter().filter(|entry| !starts(path, &entry.allow)) {
                let places = match is_name {
                    true if text == entry.find => vec![0],
                    true => Vec::new(),
                    false => find(&text, &entry.find, &entry.except),
                };
                for at in places {
                    let line = first_line + text[..at].matches('\n').count();
                    findings.push((path, line, format!("{:?}: {}", entry.find, entry.better)));
                }
            }
        }
    }
    findings.sort();
    let list: Vec<String> = findings
        .iter()
        .map(|(path, line, better)| format!("{path}:{line}: {better}"))
        .collect();
    let passed = format!("{} files follow xtask/words.toml", files.len());
    let failed = format!("{} places; the better word stands behind each", list.len());
    verdict(&list, passed, &failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_found_across_lines_and_as_whole_words() {
        assert!(find("is over the limit", "is over", &["is over the".to_owned()]).is_empty());
        assert_eq!(find("It is\nOver. is overdue", "is over", &[]), [3]);
    }
}
