//! Prints and performs steps.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use sysmon_config::Failure;

use crate::plan::Step;

/// Performs the steps in order, or only prints them and the files that they would write.
pub(crate) fn run(steps: &[Step], dry_run: bool) -> Result<(), Failure> {
    for step in steps {
        sysmon_config::print(&(describe(step, dry_run) + "\n"))?;
        if !dry_run {
            perform(step)?;
        }
    }
    Ok(())
}

fn describe(step: &Step, dry_run: bool) -> String {
    match step {
        Step::Write { path, text, .. } if dry_run => {
            format!("write {}:\n\n{text}", path.display())
        }
        Step::Write { path, .. } => format!("write {}", path.display()),
        Step::Remove(path) => format!("remove {}", path.display()),
        Step::Run(words) | Step::Try(words) => format!("run {}", words.join(" ")),
        Step::Note(text) => text.clone(),
    }
}

fn perform(step: &Step) -> Result<()> {
    match step {
        Step::Write { path, text, mode } => write(path, text, *mode)
            .with_context(|| format!("cannot write {}; run this as root", path.display())),
        Step::Remove(path) => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(anyhow!(
                "cannot remove {}: {error}; run this as root",
                path.display()
            )),
            _ => Ok(()),
        },
        Step::Run(words) => command(words),
        Step::Try(words) => {
            // What it would undo may not be there.
            let _ = command(words);
            Ok(())
        }
        Step::Note(_) => Ok(()),
    }
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    fs::write(path, text)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    #[cfg(not(unix))]
    let _ = mode;
    Ok(())
}

fn command(words: &[String]) -> Result<()> {
    let line = words.join(" ");
    let (program, arguments) = words.split_first().context("no command")?;
    let status = Command::new(program).args(arguments).status();
    let status = status.with_context(|| format!("cannot run {line}"))?;
    ensure!(status.success(), "`{line}` failed: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_changes_nothing_and_a_run_does_what_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.service");
        let steps = [
            Step::Write {
                path: file.clone(),
                text: "x".to_owned(),
                mode: 0o755,
            },
            Step::Try(vec!["false".to_owned()]),
        ];
        run(&steps, true).unwrap();
        assert!(!file.exists());
        run(&steps, false).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
        let remove = [Step::Remove(file.clone())];
        run(&remove, false).unwrap();
        run(&remove, false).unwrap();
        assert!(!file.exists());
        assert!(run(&[Step::Run(vec!["false".to_owned()])], false).is_err());
    }
}
