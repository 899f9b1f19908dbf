//! The reference pages that are generated: configuration, commands and metrics.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sysmon_wire::{Kind, metrics};

use crate::source::{read, tracked};

const PAGES: &str = "docs/reference";
const PROGRAMS: [&str; 5] = [
    "sysmon-agent",
    "sysmon-hub",
    "sysmon-tui",
    "sysmon-edge",
    "sysmon-bench",
];

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

fn pages(root: &Path, programs: &Path) -> Result<[(&'static str, String); 3]> {
    Ok([
        ("configuration.md", configuration(root)?),
        ("commands.md", commands(programs)?),
        ("metrics.md", metric_table(root)?),
    ])
}

pub(crate) fn write(root: &Path) -> Result<String> {
    let programs = built_programs(root)?;
    for (name, text) in pages(root, &programs)? {
        std::fs::write(root.join(PAGES).join(name), text)?;
    }
    Ok(format!("wrote {PAGES}"))
}

pub(crate) fn check(root: &Path, programs: &Path) -> Result<String> {
    for (name, text) in pages(root, programs)? {
        if read(root, &format!("{PAGES}/{name}"))? != text {
            bail!("{PAGES}/{name} is stale; run `cargo xtask docs`");
        }
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
        let about = comments
            .iter()
            .find(|(s, name, _)| s == section && name == key.name);
        let (.., about) =
            about.with_context(|| format!("config.example.toml does not explain {key:?}"))?;
        let about = about.replace('*', "\\*").replace('<', "\\<");
        let variable = format!(
            "SYSMON_{}__{}",
            section.to_uppercase(),
            key.name.to_uppercase()
        );
        let default = key
            .default
            .map_or("not set".to_owned(), |default| format!("`{default}`"));
        let name = key.name;
        write!(
            page,
            "\n### `{name}`\n\n{about}\n\nDefault: {default}. Environment: `{variable}`.\n"
        )?;
    }
    Ok(page)
}

fn help(program: &Path, path: &[String]) -> Result<String> {
    let output = Command::new(program)
        .args(path)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .with_context(|| {
            format!(
                "cannot run {}; run `cargo build --workspace`",
                program.display()
            )
        })?;
    ensure!(
        output.status.success(),
        "{} {path:?} --help failed",
        program.display()
    );
    let text = String::from_utf8(output.stdout)?;
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
        let Some(name) = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '))
        else {
            continue;
        };
        let name = name.split_whitespace().next().unwrap_or_default();
        if name != "help" {
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
        add_command(&mut page, &programs.join(program), &mut Vec::new())?;
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
    let entry = format!(" = \"{name}\",");
    let line = registry
        .lines()
        .find(|line| line.contains(&entry))
        .unwrap_or_default();
    let constant = line.split(" = ").next().unwrap_or_default().trim();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mentions = |text: &str| text.split(|c| !is_word(c)).any(|word| word == constant);
    let found = files
        .iter()
        .filter(|(path, text)| fills(path) && mentions(text));
    found
        .map(|(path, _)| format!("`{path}`"))
        .collect::<Vec<_>>()
        .join(", ")
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
        let (name, unit, scale, about) = (metric.name, metric.unit, metric.scale, metric.about);
        writeln!(
            page,
            "| `{name}` | {unit} | {kind} | {scale} | {about} | {from} |"
        )?;
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
