//! Runs the programs of the workspace in a temporary directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Time-out of every wait, generous for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(40);

/// A temporary directory that contains everything the programs read and write.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

/// A running program, killed on drop.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Process id.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the log contains `text`.
    pub(crate) fn has_logged(&self, text: &str) {
        let read = || std::fs::read_to_string(&self.log).unwrap_or_default();
        until(&format!("{text:?} is logged"), read, |log| {
            log.contains(text)
        });
    }

    /// Sends SIGTERM and returns the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let start = Instant::now();
        while start.elapsed() < TIMEOUT {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still running after {TIMEOUT:?}");
    }
}

/// Reads repeatedly until the value is as expected, and returns it.
pub(crate) fn until<T: std::fmt::Debug>(
    what: &str,
    read: impl Fn() -> T,
    is_expected: impl Fn(&T) -> bool,
) -> T {
    until_within(TIMEOUT, what, read, is_expected)
}

/// As [`until`], for what takes longer.
pub(crate) fn until_within<T: std::fmt::Debug>(
    limit: Duration,
    what: &str,
    read: impl Fn() -> T,
    is_expected: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let value = read();
        if is_expected(&value) {
            return value;
        }
        assert!(
            start.elapsed() < limit,
            "timed out waiting until {what}: {value:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Path of a built program.
pub(crate) fn program(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_sysmon-tui"))
        .parent()
        .unwrap();
    let path = folder
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{} is not built: run `cargo test --workspace`",
        path.display()
    );
    path
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        let inherited = std::env::vars_os().map(|(key, _)| key);
        for key in inherited.filter(|key| key.to_string_lossy().starts_with("SYSMON_")) {
            command.env_remove(key);
        }
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("HOME", self.dir("home"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn start_with(
        &self,
        name: &str,
        log: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Running {
        let log = self.dir(log);
        let file = File::create(&log).unwrap();
        let mut command = self.command(name, args);
        command
            .env("SYSMON_HUB__STALE_AFTER", "2s")
            .env("SYSMON_HUB__OFFLINE_AFTER", "4s");
        command.envs(env.iter().copied());
        let out = file.try_clone().unwrap();
        let child = command.stdout(out).stderr(file).spawn().unwrap();
        Running { child, log }
    }

    /// Starts a program in the background.
    pub(crate) fn run(&self, name: &str, log: &str, args: &[&str]) -> Running {
        self.start_with(name, log, args, &[])
    }

    /// Starts a hub on a free port and waits until it listens.
    pub(crate) fn hub(&self) -> Running {
        self.hub_with(&[])
    }

    /// [`Self::hub`] with further environment variables.
    pub(crate) fn hub_with(&self, env: &[(&str, &str)]) -> Running {
        self.hub_again_with("127.0.0.1:0", env)
    }

    /// Restarts the hub at `address` with further environment variables.
    pub(crate) fn hub_again_with(&self, address: &str, env: &[(&str, &str)]) -> Running {
        let args = ["--state", "hub", "--listen", address];
        let hub = self.start_with("sysmon-hub", "hub.log", &args, env);
        hub.has_logged("listens on");
        hub
    }

    /// Restarts the hub at `address`.
    pub(crate) fn hub_at(&self, address: &str) -> Running {
        self.hub_again_with(address, &[])
    }

    /// The address of the hub.
    pub(crate) fn address(&self) -> String {
        std::fs::read_to_string(self.dir("hub/address"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// Issues an identity into a directory named like the peer.
    pub(crate) fn issue(&self, role: &str, name: &str) {
        let args = [
            "--state", "hub", "cert", "issue", "--role", role, "--name", name, "--out", name,
        ];
        self.output("sysmon-hub", &args);
    }

    /// Starts agent `name`, with an issued identity.
    pub(crate) fn agent(&self, name: &str) -> Running {
        self.agent_for(name, &self.address())
    }

    /// Starts an agent for a hub that may not be running.
    pub(crate) fn agent_for(&self, name: &str, address: &str) -> Running {
        self.agent_with(name, address, &[])
    }

    /// [`Self::agent_for`] with further environment variables.
    pub(crate) fn agent_with(&self, name: &str, address: &str, env: &[(&str, &str)]) -> Running {
        if !self.dir(name).exists() {
            self.issue("agent", name);
        }
        let args = ["--name", name, "--state", name, "--hub", address];
        self.start_with("sysmon-agent", &format!("{name}.log"), &args, env)
    }

    /// The output of a command, which must succeed.
    pub(crate) fn output(&self, name: &str, args: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(name, args).output().unwrap();
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{name} {args:?}: {stderr}");
        String::from_utf8(stdout).unwrap()
    }

    /// The exit code and error output of a command, which must fail.
    pub(crate) fn fails(&self, name: &str, args: &[&str]) -> (i32, String) {
        self.fails_with(name, args, &[])
    }

    /// [`Self::fails`] with further environment variables.
    pub(crate) fn fails_with(
        &self,
        name: &str,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> (i32, String) {
        let output = self.command(name, args).envs(env.iter().copied()).output();
        let Output { status, stderr, .. } = output.unwrap();
        assert!(!status.success(), "{name} {args:?} should fail");
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// The output of `sysmon-tui` for the operator whose identity is in `state`.
    pub(crate) fn tui(&self, state: &str, args: &[&str]) -> String {
        let address = self.address();
        let all = [&["--state", state, "--hub", &address], args].concat();
        self.output("sysmon-tui", &all)
    }

    /// The output of `sysmon-hub status`.
    pub(crate) fn status(&self) -> String {
        self.output("sysmon-hub", &["--state", "hub", "status"])
    }

    pub(crate) fn snapshot(&self, state: &str) -> Value {
        serde_json::from_str(&self.tui(state, &["snapshot", "--json"])).unwrap()
    }

    pub(crate) fn tui_fails(&self, state: &str, args: &[&str]) -> (i32, String) {
        self.tui_fails_with(&self.dir(state), args)
    }

    pub(crate) fn tui_fails_with(&self, state: &Path, args: &[&str]) -> (i32, String) {
        let (address, state) = (self.address(), state.display().to_string());
        let all = [&["--state", state.as_str(), "--hub", &address], args].concat();
        self.fails("sysmon-tui", &all)
    }
}
