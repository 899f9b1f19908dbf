//! The built programs, run as processes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::{Usage, usage};

/// Time-out for anything that a program is expected to do.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Starts a program with `home` as its home directory.
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

/// A hub on a free port of loopback, with its state in a temporary directory.
pub(crate) struct LocalHub {
    program: PathBuf,
    dir: tempfile::TempDir,
    running: Running,
    pub(crate) state: String,
    pub(crate) address: String,
}

impl LocalHub {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let program = program("sysmon-hub")?;
        let dir = tempfile::tempdir()?;
        let state = dir.path().join("hub").display().to_string();
        let args = ["--state", &state, "--listen", "127.0.0.1:0"];
        let running = Running::start(&program, &args, dir.path())?;
        let address = wait_for_file(&dir.path().join("hub/address"))?;
        Ok(Self {
            program,
            dir,
            running,
            state,
            address,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.0.id()
    }

    /// Runs `sysmon-hub` with this state directory and returns its output.
    pub(crate) fn command(&self, args: &[&str]) -> anyhow::Result<String> {
        output(&self.program, &[&["--state", &self.state], args].concat())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub(crate) fn home(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn agent(&self, name: &str, address: &str) -> anyhow::Result<Running> {
        let state = self.path(name);
        let issue = [
            "cert", "issue", "--role", "agent", "--name", name, "--out", &state,
        ];
        self.command(&issue)?;
        let args = ["--state", &state, "--hub", address];
        Running::start(&program("sysmon-agent")?, &args, self.home())
    }
}

/// The output of a program, which must succeed.
pub(crate) fn output(program: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(args).output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed: {}", program.display(), stderr.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// What each of these processes has used so far.
pub(crate) fn usages(processes: &[(&str, u32)]) -> anyhow::Result<Vec<Usage>> {
    let read = |(name, pid): &(&str, u32)| {
        usage(*pid).with_context(|| format!("{name} has exited; run it by hand to see why"))
    };
    processes.iter().map(read).collect()
}

pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(name);
    if !path.exists() {
        bail!(
            "{} is not built; run `cargo build --release --workspace`",
            path.display()
        );
    }
    Ok(path)
}

/// The trimmed content of a file, once it exists.
fn wait_for_file(path: &Path) -> anyhow::Result<String> {
    let start = Instant::now();
    while start.elapsed() < TIMEOUT {
        if let Ok(text) = std::fs::read_to_string(path) {
            return Ok(text.trim().to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("{} did not appear within {TIMEOUT:?}", path.display())
}
