//! A running hub reloads its configuration on SIGHUP.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests wait in real time and issue certificates for the present"
)]

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Bound for every wait, for busy machines.
const PATIENCE: Duration = Duration::from_secs(40);

struct Running {
    child: Child,
    dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sysmon-hub"));
        let inherited = std::env::vars_os().map(|(key, _)| key);
        for key in inherited.filter(|key| key.to_string_lossy().starts_with("SYSMON_")) {
            command.env_remove(key);
        }
        let child = command
            .args(["--listen", "127.0.0.1:0", "--state"])
            .arg(dir.path().join("hub"))
            .arg("--config")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { child, dir }
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Replaces the configuration and sends SIGHUP.
    fn reload(&self, config: &str) {
        std::fs::write(self.config(), config).unwrap();
        self.signal("HUP");
    }

    /// Waits until the log contains `text`.
    fn has_logged(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap();
            if log.contains(text) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended before {text:?}: {log}");
            assert!(start.elapsed() < PATIENCE, "no {text:?} in {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_reload_applies_what_can_change_and_rejects_errors_with_their_line() {
    let mut hub = Running::start("[hub]\nstale_after = \"5s\"\n");
    hub.has_logged("listens on");
    let good = "[hub]\nstale_after = \"9s\"\nname = \"other\"\nalerts = [\"hot: temp.max > 90\"]\n";
    hub.reload(good);
    hub.has_logged("configuration changed change=stale_after: 5s → 9s\n");
    hub.has_logged("name: the machine's name → other (after a restart)\n");
    hub.has_logged("alerts: the default rules → [\"hot: temp.max > 90\"]\n");
    hub.has_logged("configuration reloaded changes=3 after_restart=1");
    hub.reload("[hub]\n\nstale_aftr = \"9s\"\n");
    let place = format!("{}:3: unknown key \"stale_aftr\"", hub.config().display());
    hub.has_logged(&format!("configuration not reloaded error={place}"));
    hub.reload("[hub]\nalerts = [\"hot: temp.max ! 90\"]\n");
    let place = format!("{}:2: [hub] alerts: the alert rule", hub.config().display());
    hub.has_logged(&format!("configuration not reloaded error={place}"));
    let rules = "[hub]\nalerts = [\n  \"hot: temp.max > 90\",\n  \"busy: cpu > 90GB\",\n]\n";
    hub.reload(rules);
    let place = format!("{}:4: [hub] alerts: the alert rule", hub.config().display());
    hub.has_logged(&format!("configuration not reloaded error={place}"));
    hub.reload("[hub]\nnotify = [\"slack:file:/nowhere\"]\n");
    hub.has_logged("[hub] notify: cannot read file:/nowhere");
    // Compared with the configuration in use, not with the rejected one.
    hub.reload(good);
    hub.has_logged("configuration reloaded changes=0");
    hub.signal("TERM");
    let start = Instant::now();
    while hub.child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < PATIENCE, "the hub does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(hub.child.wait().unwrap().code(), Some(0));
}
