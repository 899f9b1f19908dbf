//! Two machines with their own addresses, set up with the commands of the README.
//!
//! They are network namespaces, which need root and `ip`.

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

fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run ip: {error}; install iproute2"));
    assert!(
        output.status.success(),
        "ip {line}: {output:?}; run as root"
    );
}

fn host_name() -> String {
    let output = Command::new("uname").arg("-n").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The directory that `ip netns exec` mounts over /etc.
fn etc_of(machine: &str) -> PathBuf {
    Path::new("/etc/netns").join(machine)
}

impl Lan {
    fn new() -> Self {
        let number = std::process::id();
        let lan = Self {
            dir: tempfile::tempdir().unwrap(),
            hub: format!("sysmon-hub-{number}"),
            agent: format!("sysmon-agent-{number}"),
            running: Vec::new(),
        };
        let (hub, agent) = (&lan.hub, &lan.agent);
        let (cable, plug) = (format!("sh{number}"), format!("sa{number}"));
        ip(&format!("netns add {hub}"));
        ip(&format!("netns add {agent}"));
        ip(&format!(
            "link add {cable} netns {hub} type veth peer name {plug} netns {agent}"
        ));
        for (machine, end, address) in [(hub, &cable, HUB_ADDRESS), (agent, &plug, AGENT_ADDRESS)] {
            ip(&format!("-n {machine} link set lo up"));
            ip(&format!("-n {machine} addr add {address}/24 dev {end}"));
            ip(&format!("-n {machine} link set {end} up"));
            let etc = etc_of(machine);
            fs::create_dir_all(&etc).unwrap();
            let hosts = format!("127.0.0.1 localhost\n{HUB_ADDRESS} {}\n", host_name());
            fs::write(etc.join("hosts"), hosts).unwrap();
        }
        lan
    }

    /// A command line on a machine, with `home` as the home directory.
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

    /// Starts a command line in the background and returns the path of its log.
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
            let _ = Command::new("ip").args(["netns", "del", machine]).output();
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
#[ignore = "needs root and iproute2"]
fn two_machines_are_set_up_by_the_readme_and_a_used_token_is_refused() {
    let mut lan = Lan::new();
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
    // The owner of the hub needs no token.
    let seen = || {
        let output = lan.output(&hub, "hub", "sysmon-tui --hub localhost snapshot --json");
        let snapshot: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        snapshot["hosts"][0]["state"].clone()
    };
    until("it is live", seen, |state| *state == "live");
    logs(&log, &format!("address={AGENT_ADDRESS}"));
    // The same line on another machine.
    let again = lan.output(&agent, "other", &line);
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert_eq!(again.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("already used"), "{stderr}");
    let left = lan.dir.path().join("other/.local/state/sysmon");
    let left = fs::read_dir(left).map_or(0, Iterator::count);
    assert_eq!(left, 0, "a failed attempt leaves no files");
    logs(&log, &format!("from={AGENT_ADDRESS}"));
}
