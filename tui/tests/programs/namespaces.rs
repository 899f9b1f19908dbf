//! Two machines with addresses of their own, set up with the lines of the README and nothing else.
//!
//! They are network namespaces, which only root may make; where that cannot be, this says so and passes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::place::{program, until};

const HUB_ADDRESS: &str = "10.79.79.1";
const AGENT_ADDRESS: &str = "10.79.79.2";

/// Two machines with a cable between them.
struct Lan {
    dir: tempfile::TempDir,
    hub: String,
    agent: String,
    running: Vec<Child>,
}

/// Whether `ip` did as it was told; what it says otherwise.
fn ip(line: &str) -> Result<(), String> {
    let output = Command::new("ip").args(line.split(' ')).output();
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn host_name() -> String {
    let output = Command::new("uname").arg("-n").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Where `ip netns exec` finds what a machine has in place of /etc/hosts.
fn etc_of(machine: &str) -> PathBuf {
    Path::new("/etc/netns").join(machine)
}

impl Lan {
    fn new() -> Result<Self, String> {
        let number = std::process::id();
        let lan = Self {
            dir: tempfile::tempdir().unwrap(),
            hub: format!("sysmon-hub-{number}"),
            agent: format!("sysmon-agent-{number}"),
            running: Vec::new(),
        };
        let (hub, agent) = (&lan.hub, &lan.agent);
        let (cable, plug) = (format!("sh{number}"), format!("sa{number}"));
        ip(&format!("netns add {hub}"))?;
        ip(&format!("netns add {agent}"))?;
        ip(&format!(
            "link add {cable} netns {hub} type veth peer name {plug} netns {agent}"
        ))?;
        for (machine, end, address) in [(hub, &cable, HUB_ADDRESS), (agent, &plug, AGENT_ADDRESS)] {
            ip(&format!("-n {machine} link set lo up"))?;
            ip(&format!("-n {machine} addr add {address}/24 dev {end}"))?;
            ip(&format!("-n {machine} link set {end} up"))?;
            let etc = etc_of(machine);
            fs::create_dir_all(&etc).map_err(|error| error.to_string())?;
            let hosts = format!("127.0.0.1 localhost\n{HUB_ADDRESS} {}\n", host_name());
            fs::write(etc.join("hosts"), hosts).map_err(|error| error.to_string())?;
        }
        Ok(lan)
    }

    /// A line as somebody types it on a machine whose home is `home`.
    fn command(&self, machine: &str, home: &str, line: &str) -> Command {
        let home = self.dir.path().join(home);
        fs::create_dir_all(&home).unwrap();
        let mut words = line.split_whitespace();
        let typed = words.next().unwrap();
        let mut command = Command::new("ip");
        let inherited = std::env::vars_os().map(|(key, _)| key);
        for key in inherited.filter(|key| key.to_string_lossy().starts_with("SYSMON_")) {
            command.env_remove(key);
        }
        command
            .args(["netns", "exec", machine])
            .arg(program(typed))
            .args(words)
            .current_dir(&home)
            .env("HOME", &home)
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("STATE_DIRECTORY")
            .stdin(Stdio::null());
        command
    }

    /// A line that goes on running; where it logs.
    fn run(&mut self, machine: &str, home: &str, line: &str) -> PathBuf {
        let log = self.dir.path().join(format!("{home}.log"));
        let mut command = self.command(machine, home, line);
        let command = command
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        self.running.push(command.spawn().unwrap());
        log
    }

    fn output(&self, machine: &str, home: &str, line: &str) -> Output {
        self.command(machine, home, line).output().unwrap()
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        for machine in [&self.hub, &self.agent] {
            let _ = ip(&format!("netns del {machine}"));
            let _ = fs::remove_dir_all(etc_of(machine));
        }
    }
}

fn logs(log: &Path, text: &str) {
    let read = || fs::read_to_string(log).unwrap_or_default();
    until(&format!("{text:?} is logged"), read, |log| {
        log.contains(text)
    });
}

#[test]
fn two_machines_are_set_up_by_the_lines_of_the_readme_and_a_used_token_opens_nothing() {
    let mut lan = match Lan::new() {
        Ok(lan) => lan,
        Err(reason) => {
            println!("NOT RUN: two machines need root and `ip netns`: {reason}");
            return;
        }
    };
    let (hub, agent) = (lan.hub.clone(), lan.agent.clone());
    let log = lan.run(&hub, "hub", "sysmon-hub");
    logs(&log, "listens on");
    let created = lan.output(&hub, "hub", "sysmon-hub token create");
    let printed = String::from_utf8(created.stdout).unwrap();
    let line = printed
        .lines()
        .find(|line| line.contains("sysmon-agent join"));
    let line = line.unwrap().trim().to_owned();
    assert!(line.contains(&format!("{}:7979", host_name())), "{line}");
    lan.run(&agent, "agent", &line);
    // The hub's owner needs no token.
    let seen = || {
        let output = lan.output(&hub, "hub", "sysmon-tui --hub localhost snapshot --json");
        let snapshot: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        snapshot["hosts"][0]["state"].clone()
    };
    until("it is live", seen, |state| *state == "live");
    logs(&log, &format!("joined from {AGENT_ADDRESS}"));
    // The same line on another machine.
    let again = lan.output(&agent, "other", &line);
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("was used before"), "{stderr}");
    let left = lan.dir.path().join("other/.local/state/sysmon");
    let left = fs::read_dir(left).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is left of a failed attempt");
    logs(&log, &format!("refused {AGENT_ADDRESS}"));
}
