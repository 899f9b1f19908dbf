//! Attributes of a process that rarely change: owner, command, control group.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use sysmon_config::Arguments;
use sysmon_wire::Label;

use super::arguments::shown;
use super::files::{ProcDir, READ_BYTES_MAX};
use super::stat::Name;
use crate::linux::containers::container_name;
use crate::linux::parse::{lines, number, words};

const PASSWD_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) user: Label,
    pub(super) command: Label,
    pub(super) cgroup: Label,
    /// What is shown of its arguments.
    pub(super) arguments: Label,
}

impl Details {
    /// Details that need no further reading.
    pub(super) fn from_name(name: &Name, user: Label) -> Self {
        Self {
            user,
            command: Label::from_bytes(name.as_bytes()),
            cgroup: Label::default(),
            arguments: Label::default(),
        }
    }

    /// Reads the details of a process. Where reading is refused, the name alone is used.
    pub(super) fn read(
        dir: &ProcDir,
        pid: u32,
        name: &Name,
        users: &mut Users,
        arguments: Arguments,
    ) -> Self {
        let mut buffer = [0; READ_BYTES_MAX];
        let owner = dir.read(pid, "status", &mut buffer).ok().and_then(owner);
        let user = owner.map_or_else(|| Label::new(""), |uid| users.name(uid));
        let cgroup = dir.read(pid, "cgroup", &mut buffer).ok();
        let cgroup = cgroup.map_or(&b""[..], control_group);
        let mut details = Self::from_name(name, user);
        details.cgroup = match container_name(cgroup) {
            Some(container) => Label::from_bytes(container),
            None => Label::from_bytes(cgroup),
        };
        if let Ok(path) = dir.link(pid, "exe") {
            // A program that was upgraded while it runs has this suffix.
            let path = path.strip_suffix(b" (deleted)").unwrap_or(&path);
            if !path.is_empty() {
                details.command = Label::from_bytes(path);
            }
        }
        if arguments != Arguments::None
            && let Ok(line) = dir.read(pid, "cmdline", &mut buffer)
        {
            let is_cut = line.len() == READ_BYTES_MAX;
            let program = details.command.as_str();
            details.arguments = Label::new(&shown(line, program, is_cut, arguments));
        }
        details
    }
}

fn owner(status: &[u8]) -> Option<u32> {
    let line = lines(status).find_map(|line| line.strip_prefix(b"Uid:"))?;
    words(line).nth(1).and_then(number)?.try_into().ok()
}

/// The process that the thread of `/proc/PID/status` belongs to.
pub(super) fn leader(status: &[u8]) -> Option<u32> {
    let line = lines(status).find_map(|line| line.strip_prefix(b"Tgid:"))?;
    words(line).next().and_then(number)?.try_into().ok()
}

/// The path in `/proc/PID/cgroup`: that of version 2, or of systemd where the former is the root.
fn control_group(text: &[u8]) -> &[u8] {
    let path_of = |name: &[u8]| {
        let mut found = lines(text).filter_map(|line| {
            let after = line.get(line.iter().position(|&b| b == b':')? + 1..)?;
            after.strip_prefix(name)
        });
        found.next()
    };
    match path_of(b":") {
        None | Some(b"/") => path_of(b"name=systemd:")
            .or(path_of(b":"))
            .unwrap_or_default(),
        Some(path) => path,
    }
}

/// Bytes read from and written to storage, in `/proc/PID/io` (proc_pid_io(5)).
pub(super) fn storage_bytes(text: &[u8]) -> Option<[u64; 2]> {
    let value = |name: &[u8]| {
        let value = lines(text).find_map(|line| line.strip_prefix(name))?;
        number(value.trim_ascii())
    };
    Some([value(b"read_bytes:")?, value(b"write_bytes:")?])
}

/// Why [`storage_bytes`] are not known of some processes.
pub(super) fn storage_note() -> String {
    let remedy = match rustix::process::geteuid().is_root() {
        true => "give the agent the capability CAP_SYS_PTRACE",
        false => "run the agent as root or with the capability CAP_SYS_PTRACE",
    };
    format!("cannot read the disk traffic of other users' processes: permission denied; {remedy}")
}

#[derive(Debug)]
pub(super) struct Users {
    path: PathBuf,
    changed: Option<SystemTime>,
    names: HashMap<u32, Label>,
}

impl Users {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            changed: None,
            names: HashMap::new(),
        }
    }

    pub(super) fn name(&mut self, uid: u32) -> Label {
        if !self.names.contains_key(&uid) {
            self.reload();
        }
        let name = self.names.get(&uid).cloned();
        name.unwrap_or_else(|| Label::new(&uid.to_string()))
    }

    fn reload(&mut self) {
        let changed = std::fs::metadata(&self.path)
            .and_then(|m| m.modified())
            .ok();
        if changed.is_none() || changed == self.changed {
            return;
        }
        self.changed = changed;
        let text = std::fs::read(&self.path).unwrap_or_default();
        self.names = users(text.get(..PASSWD_BYTES_MAX).unwrap_or(&text));
    }
}

fn users(passwd: &[u8]) -> HashMap<u32, Label> {
    let user = |line: &[u8]| {
        let mut fields = line.split(|&b| b == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1).and_then(number)?.try_into().ok()?;
        Some((uid, Label::from_bytes(name)))
    };
    // Like getpwuid(3), the first of several names of one number.
    let mut names = HashMap::new();
    for (uid, name) in lines(passwd).filter_map(user) {
        names.entry(uid).or_insert(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn owner_and_leader_are_parsed() {
        let status = b"Name:\tsshd\nTgid:\t81\nPid:\t82\nUid:\t0\t1000\t0\t0\n";
        assert_eq!((owner(status), leader(status)), (Some(1000), Some(81)));
        assert_eq!(owner(b"Uid:\tx\n"), None);
    }

    #[test]
    fn the_control_group_is_that_of_version_2_or_of_systemd() {
        assert_eq!(control_group(b"0::/user.slice/a:b\n"), b"/user.slice/a:b");
        let hybrid = b"4:memory:/m\n1:name=systemd:/init.scope\n0::/\n";
        assert_eq!(control_group(hybrid), b"/init.scope");
        assert_eq!(control_group(b"0::/\n"), b"/");
        assert_eq!(control_group(b"garbage"), b"");
    }

    #[test]
    fn storage_bytes_are_those_that_reached_the_disk() {
        let text = b"rchar: 9\nwchar: 8\nsyscr: 1\nread_bytes: 4096\nwrite_bytes: 512\ncancelled_write_bytes: 0\n";
        assert_eq!(storage_bytes(text), Some([4096, 512]));
        assert_eq!(storage_bytes(b"rchar: 9\n"), None);
    }

    #[test]
    fn users_without_a_name_are_shown_by_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        std::fs::write(
            &path,
            "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbad\n",
        )
        .unwrap();
        let mut users = Users::new(path);
        assert_eq!(users.name(0), "root");
        assert_eq!(users.name(1234), "1234");
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (owner(&bytes), leader(&bytes), control_group(&bytes).len());
            let _ = (storage_bytes(&bytes), users(&bytes).len());
        }
    }
}
