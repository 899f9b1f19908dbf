//! A hub as a process, and commands on its machine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use sysmon_clock::Clock;

pub(crate) const USER: u32 = 47_000;

pub(crate) struct LocalHub {
    pub(crate) dir: tempfile::TempDir,
    user: Option<u32>,
    pub(crate) child: Option<Child>,
}

impl LocalHub {
    pub(crate) fn new(user: Option<u32>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hub = Self {
            dir,
            user,
            child: None,
        };
        fs::create_dir(hub.state()).unwrap();
        fs::set_permissions(hub.state(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(hub.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(user) = user {
            std::os::unix::fs::chown(hub.state(), Some(user), Some(user)).unwrap();
        }
        hub
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sysmon-hub"));
        command.args(args).arg("--state").arg(self.state());
        command.env("HOME", self.dir.path()).stdin(Stdio::null());
        command.env_remove("XDG_STATE_HOME");
        command.env_remove("XDG_CONFIG_HOME");
        command
    }

    pub(crate) fn serve(&self) -> Command {
        let mut command = self.command(&["--listen", "127.0.0.1:0"]);
        if let Some(user) = self.user {
            std::os::unix::process::CommandExt::uid(&mut command, user);
            std::os::unix::process::CommandExt::gid(&mut command, user);
        }
        let log = fs::File::create(self.dir.path().join("hub.log")).unwrap();
        command.stderr(log).stdout(Stdio::null());
        command
    }

    pub(crate) fn start(&mut self) {
        self.child = Some(self.serve().spawn().unwrap());
        self.wait_for("the hub to listen", || {
            self.state().join("address").exists() && self.state().join("control.sock").exists()
        });
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
            let _ = fs::remove_file(self.state().join("address"));
        }
    }

    pub(crate) fn wait_for(&self, what: &str, condition: impl Fn() -> bool) {
        let end = Clock::system().instant() + Duration::from_secs(20);
        while !condition() {
            let log = || fs::read_to_string(self.dir.path().join("hub.log")).unwrap();
            assert!(
                Clock::system().instant() < end,
                "waiting for {what}: {}",
                log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        outcome(&self.command(args).output().unwrap())
    }

    /// Runs a command that must succeed; returns what it prints.
    pub(crate) fn print(&self, args: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        stdout
    }

    pub(crate) fn foreign_files(&self, owner: u32) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.state(), &mut found);
        found.retain(|path| fs::symlink_metadata(path).unwrap().uid() != owner);
        found
    }
}

impl Drop for LocalHub {
    fn drop(&mut self) {
        self.stop();
    }
}

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), found);
        }
        found.push(entry.path());
    }
}

pub(crate) fn outcome(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}
