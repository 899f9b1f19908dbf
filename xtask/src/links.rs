//! Links of Markdown files, and the tests that SECURITY.md cites.

use std::path::Path;

use anyhow::Result;

use crate::source::{read, tracked, verdict};

/// A heading's anchor, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let heading = heading.to_ascii_lowercase().replace(' ', "-");
    heading.replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "")
}

/// Text outside fenced code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

fn is_broken(root: &Path, file: &str, target: &str) -> bool {
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(file).parent().unwrap_or(Path::new(""));
    let path = match path {
        "" => root.join(file),
        path => root.join(folder).join(path),
    };
    let has = |text: String| {
        let text = prose(&text);
        let mut headings = text.lines().filter(|line| line.starts_with('#'));
        headings.any(|line| anchor(line.trim_start_matches('#').trim()) == fragment)
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
    let passed = format!("{count} relative links resolve");
    verdict(&broken, passed, "links that lead nowhere")
}

/// Every `name_in_backticks` of SECURITY.md with at least three underscores is a test.
pub(crate) fn check_test_names(root: &Path) -> Result<String> {
    let text = read(root, "SECURITY.md")?;
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let quoted = text.split('`').skip(1).step_by(2).map(str::to_owned);
    let mut cited: Vec<String> = quoted.collect();
    cited.retain(|name| name.matches('_').count() > 2 && name.chars().all(is_name));
    let passed = format!("{} cited tests exist", cited.len());
    let files = tracked(root, &["rs"])?;
    let source: Result<String> = files.iter().map(|path| read(root, path)).collect();
    let source = source?;
    cited.retain(|name| !source.contains(&format!("fn {name}(")));
    verdict(&cited, passed, "SECURITY.md cites tests that do not exist")
}
