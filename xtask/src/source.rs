//! The files that git tracks.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Paths relative to the root, sorted, that end in one of `extensions`.
pub(crate) fn tracked(root: &Path, extensions: &[&str]) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]);
    let listed = output(git.current_dir(root))?;
    let mut paths: Vec<String> = listed.lines().map(str::to_owned).collect();
    paths.retain(|path| {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        // A file that was deleted but not committed yet is still listed.
        extensions.contains(&extension) && root.join(path).is_file()
    });
    paths.sort();
    Ok(paths)
}

/// What a program prints; it must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// `passed` where nothing was found, otherwise an error that lists it.
pub(crate) fn verdict(found: &[String], passed: String, failed: &str) -> Result<String> {
    ensure!(found.is_empty(), "{failed}:\n{}", found.join("\n"));
    Ok(passed)
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
