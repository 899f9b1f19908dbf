//! Links of Markdown files, and the tests that SECURITY.md cites.

use std::path::Path;

use anyhow::{Result, bail};

use crate::source::{read, tracked};

/// A heading's anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| {
        if c == ' ' {
            '-'
        } else {
            c.to_ascii_lowercase()
        }
    })
    .collect()
}

/// Text outside fenced code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

fn is_broken(root: &Path, file: &str, target: &str) -> bool {
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let path = if path.is_empty() {
        root.join(file)
    } else {
        root.join(folder).join(path)
    };
    let has = |text: String| {
        prose(&text).lines().any(|line| {
            line.starts_with('#') && anchor(line.trim_start_matches('#').trim()) == fragment
        })
    };
    !path.exists() || !fragment.is_empty() && !std::fs::read_to_string(path).is_ok_and(has)
}

pub(crate) fn check(root: &Path) -> Result<String> {
    let (mut count, mut broken) = (0, Vec::new());
    for file in tracked(root, &["md"])? {
        let text = prose(&read(root, &file)?);
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            count += 1;
            if is_broken(root, &file, target) {
                broken.push(format!("{file}: {target}"));
            }
        }
    }
    if broken.is_empty() {
        return Ok(format!("{count} relative links resolve"));
    }
    bail!("links that lead nowhere:\n{}", broken.join("\n"))
}

/// Every `name_in_backticks` of SECURITY.md with at least three underscores is a test.
pub(crate) fn check_test_names(root: &Path) -> Result<String> {
    let text = read(root, "SECURITY.md")?;
    let cited: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| {
            name.matches('_').count() > 2
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
        .collect();
    let source: String = tracked(root, &["rs"])?
        .iter()
        .map(|path| read(root, path))
        .collect::<Result<_>>()?;
    let missing: Vec<&str> = cited
        .iter()
        .copied()
        .filter(|name| !source.contains(&format!("fn {name}(")))
        .collect();
    if missing.is_empty() {
        return Ok(format!("{} cited tests exist", cited.len()));
    }
    bail!(
        "SECURITY.md cites tests that do not exist:\n{}",
        missing.join("\n")
    )
}
