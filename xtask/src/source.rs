//! The files that git tracks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Paths relative to the root, sorted, that end in one of `extensions`.
pub(crate) fn tracked(root: &Path, extensions: &[&str]) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    ensure!(
        output.status.success(),
        "git ls-files failed in {}",
        root.display()
    );
    let listed = String::from_utf8(output.stdout)?;
    let ends = |path: &&str| {
        extensions
            .iter()
            .any(|ext| path.ends_with(&format!(".{ext}")))
    };
    let mut paths: Vec<String> = listed.lines().filter(ends).map(str::to_owned).collect();
    // A file that was deleted but not committed yet is still listed.
    paths.retain(|path| root.join(path).is_file());
    paths.sort();
    Ok(paths)
}

/// Is this a file of a program or library, as opposed to a test, bench, example or fuzz target?
pub(crate) fn is_shipped(path: &str) -> bool {
    !path
        .split('/')
        .any(|part| matches!(part, "tests" | "benches" | "fuzz" | "examples"))
}

pub(crate) fn read(root: &Path, path: &str) -> Result<String> {
    std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
}

/// The text before the first line that begins with `#[cfg(test)]`.
pub(crate) fn without_tests(text: &str) -> &str {
    if text.starts_with("#[cfg(test)]") {
        return "";
    }
    text.find("\n#[cfg(test)]")
        .map_or(text, |end| &text[..=end])
}

/// The package's folder: what stands before `/src/`.
pub(crate) fn package(path: &str) -> &str {
    path.split_once("/src/").map_or("", |(package, _)| package)
}
