//! The reference pages that are generated: configuration, commands and metrics.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sysmon_wire::{Kind, metrics};

use crate::source::{output, read, tracked};

const PAGES: &str = "docs/reference";
const PROGRAMS: [&str; 5] = ["agent", "hub", "tui", "edge", "bench"];

/// Builds the programs and returns the folder they are in.
pub(crate) fn built_programs(root: &Path) -> Result<PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(root)
        .status()?;
    ensure!(status.success(), "cargo build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    Ok(target.join("debug"))
}

fn pages(root: &Path, programs: &Path) -> Result<[(PathBuf, String); 3]> {
    let folder = root.join(PAGES);
    Ok([
        (folder.join("configuration.md"), configuration(root)?),
        (folder.join("commands.md"), commands(programs)?),
        (folder.join("metrics.md"), metric_table(root)?),
    ])
}

pub(crate) fn write(root: &Path) -> Result<String> {
    let programs = built_programs(root)?;
    for (path, text) in pages(root, &programs)? {
        std::fs::write(path, text)?;
    }
    Ok(format!("wrote {PAGES}"))
}

pub(crate) fn check(root: &Path, programs: &Path) -> Result<String> {
    for (path, text) in pages(root, programs)? {
        let is_current = std::fs::read_to_string(&path)? == text;
        ensure!(
            is_current,
            "{} is stale; run `cargo xtask docs`",
            path.display()
        );
    }
    Ok("the generated pages are current".to_owned())
}

/// The comment above each key of `config.example.toml`, by section and key.
fn comments(root: &Path) -> Result<Vec<(String, String, String)>> {
    let example = read(root, "config.example.toml")?;
    let (mut section, mut comment, mut found) = (String::new(), String::new(), Vec::new());
    for line in example.lines() {
        let text = line.trim_start_matches("# ");
        let key = text
            .split_once(" = ")
            .filter(|(key, _)| !key.contains(' ') && line.starts_with('#'));
        if let Some(name) = line.strip_prefix('[') {
            name.trim_end_matches(']').clone_into(&mut section);
            comment.clear();
        } else if let Some((key, _)) = key {
            found.push((section.clone(), key.to_owned(), comment.trim().to_owned()));
        } else if line.is_empty() {
            comment.clear();
        } else {
            comment += text;
            comment.push(' ');
        }
    }
    Ok(found)
}

fn configuration(root: &Path) -> Result<String> {
    let comments = comments(root)?;
    let mut page = include_str!("../pages/configuration.md").to_owned();
    let mut section = "";
    for key in sysmon_config::keys() {
        if key.section != section {
            section = key.section;
            write!(page, "\n## `[{section}]`\n")?;
        }
        let mut about = comments.iter();
        let about = about.find(|(s, name, _)| s == section && name == key.name);
        let (.., about) =
            about.with_context(|| format!("config.example.toml does not explain {key:?}"))?;
        let about = about.replace('*', "\\*").replace('<', "\\<");
        let variable = format!("SYSMON_{section}__{}", key.name).to_uppercase();
        let default = key.default.map(|default| format!("`{default}`"));
        let default = default.unwrap_or_else(|| "not set".to_owned());
        write!(page, "\n### `{}`\n\n{about}\n\n", key.name)?;
        writeln!(page, "Default: {default}. Environment: `{variable}`.")?;
    }
    Ok(page)
}

fn help(program: &Path, path: &[String]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(path).arg("--help").env("COLUMNS", "100");
    let text = output(&mut command).context("run `cargo build --workspace` first")?;
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    Ok(lines.join("\n"))
}

fn add_command(page: &mut String, program: &Path, path: &mut Vec<String>) -> Result<()> {
    let text = help(program, path)?;
    let name = program.file_stem().unwrap_or_default().to_string_lossy();
    let title = [&[name.into_owned()], path.as_slice()].concat().join(" ");
    let level = "#".repeat((path.len() + 2).min(4));
    write!(page, "\n{level} `{title}`\n\n```text\n{text}\n```\n")?;
    let listed = text.split("\nCommands:\n").nth(1).unwrap_or_default();
    for line in listed.lines().take_while(|line| !line.is_empty()) {
        // Deeper lines continue the description of a command.
        let entry = line.strip_prefix("  ").unwrap_or_default();
        let name = entry.split(' ').next().unwrap_or_default();
        if !["", "help"].contains(&name) {
            path.push(name.to_owned());
            add_command(page, program, path)?;
            path.pop();
        }
    }
    Ok(())
}

fn commands(programs: &Path) -> Result<String> {
    let mut page = include_str!("../pages/commands.md").to_owned();
    for program in PROGRAMS {
        add_command(
            &mut page,
            &programs.join(format!("sysmon-{program}")),
            &mut Vec::new(),
        )?;
    }
    Ok(page)
}

/// The files of the agent and the hub that mention the registry's constant for the metric `name`.
fn sources(
    registry: &str,
    files: &[(String, String)],
    name: &str,
    fills: impl Fn(&str) -> bool,
) -> String {
    let (before, _) = registry
        .split_once(&format!(" = \"{name}\","))
        .unwrap_or_default();
    let constant = before.rsplit(|c: char| c.is_whitespace()).next();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mentions = |text: &str| {
        text.split(|c| !is_word(c))
            .any(|word| Some(word) == constant)
    };
    let found = files
        .iter()
        .filter(|(path, text)| fills(path) && mentions(text));
    let found: Vec<String> = found.map(|(path, _)| format!("`{path}`")).collect();
    found.join(", ")
}

fn metric_table(root: &Path) -> Result<String> {
    let registry = read(root, "crates/wire/src/metrics.rs")?;
    let mut files = Vec::new();
    for path in tracked(root, &["rs"])? {
        let may_fill = ["agent/src/", "hub/src/", "crates/client/src/"];
        let is_simulated = path.contains("/simulated/");
        if may_fill.iter().any(|prefix| path.starts_with(prefix)) && !is_simulated {
            let text = read(root, &path)?;
            files.push((path, crate::source::without_tests(&text).to_owned()));
        }
    }
    let mut page = include_str!("../pages/metrics.md").to_owned();
    for metric in metrics::ALL {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        // The hub reads many metrics and fills those about itself.
        let fills =
            |path: &str| path.starts_with("agent/src/linux/") || metric.name.starts_with("sysmon.");
        let from = sources(&registry, &files, metric.name, fills);
        write!(page, "| `{}` | {} | {kind} ", metric.name, metric.unit)?;
        writeln!(page, "| {} | {} | {from} |", metric.scale, metric.about)?;
    }
    page += "\n## Aliases\n\n| alias | stands for |\n|---|---|\n";
    for alias in metrics::ALIASES {
        write!(page, "| `{}` | `{}`", alias.alias, alias.metric.name)?;
        for (name, value) in alias.attributes {
            write!(page, " {name}={value}")?;
        }
        page += " |\n";
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_pages_are_current() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let test = std::env::current_exe().expect("the test's own path");
        let programs = test.ancestors().nth(2).expect("target/PROFILE").to_owned();
        check(&root, &programs).expect("current pages");
    }
}
