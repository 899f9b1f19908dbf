//! Processes of a host.

use serde::{Deserialize, Serialize};

use crate::{Label, UnixMs, fnv1a};

/// What stays the same about a process while it runs one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id.
    pub pid: u32,
    /// When it started. `pid` and `start` together identify it.
    pub start: UnixMs,
    /// Its owner's name, or number where there is no name.
    pub user: Label,
    /// Program path or name, without arguments.
    pub command: Label,
    /// Control group path, or container name where it is known.
    pub cgroup: Label,
}

impl ProcessIdentity {
    /// A number that stands for this identity in rows: the same on every run of an agent. FNV-1a over
    /// all of it, of which 62 bits are kept, so that it is a value like any other.
    pub fn id(&self) -> i64 {
        let numbers = self
            .pid
            .to_le_bytes()
            .into_iter()
            .chain(self.start.0.to_le_bytes());
        let texts = [&self.user, &self.command, &self.cgroup]
            .into_iter()
            .flat_map(|label| label.as_str().bytes().chain([0xff]));
        (fnv1a(numbers.chain(texts)) >> 2) as i64
    }
}

/// A process as it was at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Constant while the process runs one program.
    pub identity: ProcessIdentity,
    /// Process id of its parent; 0 where that is not known.
    pub parent: u32,
    /// State letter as in `/proc/PID/stat`: `R`, `S`, `D`, `Z`, `T`, `I`; `?` where that is not known.
    pub state: u8,
    /// Threads.
    pub threads: u32,
    /// Processor time over the last interval, in thousandths of one processor.
    pub cpu_permille: u32,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Bytes read from storage a second; 0 where that may not be seen.
    pub read_bytes_per_s: u64,
    /// Bytes written to storage a second; 0 where that may not be seen.
    pub write_bytes_per_s: u64,
    /// Its arguments as far as the agent shows them. They travel as [`ProcessArguments`], once for each process, and are
    /// part of no other message.
    #[serde(skip)]
    pub arguments: Label,
}

/// What a process was called with, without secrets unless the agent is configured otherwise; to operators only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessArguments {
    /// [`ProcessIdentity::id`].
    pub id: i64,
    /// In one line, without the program's name.
    pub arguments: Label,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_identities_have_equal_ids_and_different_ones_differ() {
        let identity = |pid, command: &str| ProcessIdentity {
            pid,
            start: UnixMs(5),
            user: "root".into(),
            command: command.into(),
            cgroup: "".into(),
        };
        assert_eq!(identity(1, "a").id(), identity(1, "a").id());
        assert_ne!(identity(1, "a").id(), identity(2, "a").id());
        assert_ne!(identity(1, "a").id(), identity(1, "b").id());
        assert!(identity(1, "a").id() >= 0);
        // If this fails, older hubs and agents call the same process differently.
        assert_eq!(identity(1, "a").id(), 4_384_825_130_759_533_533);
    }

    #[test]
    fn arguments_are_in_no_message_that_has_processes() {
        let process = Process {
            identity: ProcessIdentity {
                pid: 1,
                start: UnixMs(5),
                user: "root".into(),
                command: "app".into(),
                cgroup: "".into(),
            },
            parent: 0,
            state: b'S',
            threads: 1,
            cpu_permille: 1,
            memory_bytes: 1,
            read_bytes_per_s: 0,
            write_bytes_per_s: 0,
            arguments: "--planted".into(),
        };
        let mut bytes = Vec::new();
        crate::codec::encode(&process, &mut bytes).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"planted"));
        let read: Process = crate::codec::decode(&bytes).unwrap();
        assert_eq!(read.arguments, "");
    }
}
