//! The programs of the workspace, as processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;

/// How long a program has to do anything at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A program that is ended when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a program with a home directory of its own.
    pub(crate) fn start(program: &Path, args: &[&str], home: &Path) -> anyhow::Result<Self> {
        let child = Command::new(program)
            .args(args)
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

/// The program beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if !path.exists() {
        bail!(
            "{} is not built: run `cargo build --release --workspace`",
            path.display()
        );
    }
    Ok(path)
}

/// What is in a file, once it is there.
pub(crate) fn wait_for_file(path: &Path) -> anyhow::Result<String> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Ok(text) = std::fs::read_to_string(path) {
            return Ok(text.trim().to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("{} never appeared", path.display())
}
