//! Shell commands that the agent runs, bounded in time and output, which end with the agent.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities, clear_ambient_capability_set, set_capabilities};
use sysmon_clock::Clock;

/// What a command may take; then it is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) time: Duration,
    pub(crate) bytes: u64,
}

/// Runs the command, its argument, as long as something holds the other end of its standard input: the agent, until it
/// ends in whatever way. Then it ends the process group.
const SHELL: &str = r#"exec 3<&0 </dev/null
(read -r _ <&3; kill -KILL 0) >/dev/null 2>&1 &
exec 3<&-
eval "$0""#;

/// Gives up what a program started by this thread would inherit (capabilities(7)).
pub(super) fn drop_inheritable_capabilities() -> Result<(), Errno> {
    clear_ambient_capability_set()?;
    let mut sets = capabilities(None)?;
    if sets.inheritable.is_empty() {
        return Ok(());
    }
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets)
}

/// Starts a command in a process group of its own, so that its children can be ended with it.
fn start(command: &str) -> std::io::Result<Child> {
    use std::os::unix::process::CommandExt;
    Command::new("/bin/sh")
        .args(["-c", SHELL, command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// What a command prints. It has to end with 0 or one of the `accepted` exit codes.
pub(crate) fn output(
    command: &str,
    bounds: Bounds,
    accepted: &[i32],
    clock: &Clock,
) -> Result<Vec<u8>, String> {
    let mut child = start(command).map_err(|error| format!("cannot start: {error}"))?;
    // Closed when this function returns, or when the agent ends.
    let _alive = child.stdin.take();
    let Some(stdout) = child.stdout.take() else {
        return Err("no output".to_owned());
    };
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let read = stdout.take(bounds.bytes).read_to_end(&mut text);
        read.map(|_| text)
    });
    let start = clock.instant();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if clock.instant() - start < bounds.time => {
                thread::sleep(Duration::from_millis(20));
            }
            _ => {
                kill_group(&mut child);
                let limit_s = bounds.time.as_secs();
                return Err(format!("killed: it ran for more than {limit_s} s"));
            }
        }
    };
    kill_group(&mut child);
    let is_accepted = status.code().is_some_and(|code| accepted.contains(&code));
    if !status.success() && !is_accepted {
        return Err(format!("failed: {status}"));
    }
    match reader.join() {
        Ok(Ok(text)) => Ok(text),
        _ => Err("cannot read its output".to_owned()),
    }
}

fn kill_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use rustix::thread::configure_capability_in_ambient_set;

    fn run(command: &str) -> Result<Vec<u8>, String> {
        let bounds = Bounds {
            time: Duration::from_secs(600),
            bytes: 1 << 20,
        };
        output(command, bounds, &[100], &Clock::system())
    }

    #[test]
    fn failed_commands_are_reported_and_their_children_killed() {
        assert_eq!(run("echo x 1").unwrap(), b"x 1\n");
        assert!(run("exit 3").unwrap_err().contains("failed"));
        // The child in the background would keep the pipe open for longer than a test may run.
        assert!(run("sleep 3600 & echo y 2").is_ok());
    }

    #[test]
    fn a_command_has_no_capabilities_to_inherit() {
        // Another thread, because dropping them is for good.
        let status = thread::spawn(|| {
            // As under a unit with ambient capabilities, if this user has any.
            let mut sets = capabilities(None).unwrap();
            sets.inheritable = sets.permitted;
            set_capabilities(None, sets).unwrap();
            if sets.permitted.contains(CapabilitySet::KILL) {
                configure_capability_in_ambient_set(CapabilitySet::KILL, true).unwrap();
            }
            drop_inheritable_capabilities().unwrap();
            run("grep -E '^Cap(Inh|Amb)' /proc/self/status").unwrap()
        });
        let status = String::from_utf8(status.join().unwrap()).unwrap();
        let sets: Vec<_> = status
            .lines()
            .filter_map(|l| l.split_whitespace().nth(1))
            .collect();
        assert_eq!(sets, ["0000000000000000"; 2], "{status}");
    }

    #[test]
    fn a_command_and_its_children_end_with_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        let pids = dir.path().join("pids");
        let line = format!("sleep 3600 & echo $$ $! > {}; wait", pids.display());
        // Stands for the agent: whatever ends it closes the pipe.
        let mut agent = start(&line).unwrap();
        let of_command = || {
            let text = fs::read_to_string(&pids).unwrap_or_default();
            let pids: Vec<i32> = text
                .split_whitespace()
                .filter_map(|w| w.parse().ok())
                .collect();
            (pids.len() == 2).then_some(pids)
        };
        let until = |is_so: &mut dyn FnMut() -> bool| {
            let mut tries = 0;
            while !is_so() {
                assert!(tries < 5000);
                tries += 1;
                thread::sleep(Duration::from_millis(1));
            }
        };
        until(&mut || of_command().is_some());
        drop(agent.stdin.take());
        let _ = agent.wait();
        let exists = |pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        until(&mut || !of_command().unwrap().iter().any(exists));
    }

    #[test]
    fn accepted_exit_codes_are_no_failure_and_endless_output_is() {
        assert_eq!(run("echo x; exit 100").unwrap(), b"x\n");
        assert!(run("yes").unwrap_err().contains("failed"));
        let bounds = Bounds {
            time: Duration::ZERO,
            bytes: 1,
        };
        let late = output("sleep 3600", bounds, &[], &Clock::system());
        assert!(late.unwrap_err().contains("killed"));
    }
}
