//! Collection of processes from a generated process directory, and from this machine.

use super::*;
use std::fs;
use std::process::{Command, Stdio};

struct Host {
    dir: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        // In memory if possible: creating thousands of directories on disk is slow.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let dir = dir.unwrap();
        Self { dir }
    }

    fn set(&self, pid: u32, ticks: u64, pages: u64) {
        self.set_name(pid, "worker", ticks, pages);
    }

    fn set_name(&self, pid: u32, name: &str, ticks: u64, pages: u64) {
        let path = self.dir.path().join(pid.to_string());
        fs::create_dir_all(&path).unwrap();
        let stat = format!(
            "{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 2 0 {pid} 0 {pages} 0\n"
        );
        fs::write(path.join("stat"), stat).unwrap();
        let status = format!("Name:\t{name}\nTgid:\t{pid}\nUid:\t4242\t4242\t4242\t4242\n");
        fs::write(path.join("status"), status).unwrap();
        fs::write(path.join("cgroup"), "0::/user.slice\n").unwrap();
    }

    fn set_storage(&self, pid: u32, read: u64, written: u64) {
        let text = format!("read_bytes: {read}\nwrite_bytes: {written}\n");
        fs::write(self.dir.path().join(format!("{pid}/io")), text).unwrap();
    }

    fn set_arguments(&self, pid: u32, line: &str) {
        fs::write(self.dir.path().join(format!("{pid}/cmdline")), line).unwrap();
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.dir.path().join(pid.to_string())).unwrap();
    }

    fn collector(&self) -> Processes {
        let mut processes = Processes::new(
            self.dir.path(),
            "/etc/passwd".into(),
            UnixMs(1_000_000),
            Arguments::Redacted,
        );
        // An ordinary file stays readable after removal while it is open; those of the kernel do not.
        processes.open_files_max = 0;
        processes
    }
}

fn pids(processes: &Processes) -> Vec<u32> {
    processes
        .all()
        .iter()
        .map(|process| process.identity.pid)
        .collect()
}

#[test]
fn processes_start_and_exit_and_pids_are_reused() {
    let host = Host::new();
    host.set(7, 100, 10);
    host.set(9, 100, 10);
    let mut processes = host.collector();
    processes.refresh(UnixMs(0), false);
    assert_eq!(pids(&processes), [7, 9]);
    host.end(7);
    host.set(8, 50, 10);
    processes.refresh(UnixMs(3000), false);
    assert_eq!(pids(&processes), [8, 9]);
    let new = &processes.all()[0];
    assert_eq!(
        new.cpu_permille, 166,
        "all of it was used since the last reading"
    );
    assert_eq!(new.identity.start, UnixMs(1_000_080));
    assert_eq!(processes.count(), 2);
    // A reused pid has another start time.
    let path = host.dir.path().join("9/stat");
    let other = fs::read_to_string(&path)
        .unwrap()
        .replace(" 0 9 0 ", " 0 777 0 ");
    fs::write(path, other).unwrap();
    processes.refresh(UnixMs(6000), false);
    assert_eq!(processes.all()[1].identity.start, UnixMs(1_007_770));
}

#[test]
fn processes_are_ranked_by_processor_memory_and_storage() {
    let host = Host::new();
    for pid in 1..=40 {
        host.set(pid, 0, 1);
    }
    let mut processes = host.collector();
    processes.refresh(UnixMs(0), false);
    host.set(11, 50, 1);
    host.set(12, 0, 5000);
    host.set(13, 1, 1);
    host.set_storage(13, 0, 0);
    processes.refresh(UnixMs(1000), false);
    host.set_storage(13, 4096, 8192);
    host.set(11, 100, 1);
    processes.refresh(UnixMs(2000), false);
    let ranked: Vec<_> = processes
        .ranked()
        .map(|r| (r.identity().pid, r.values()))
        .collect();
    let of = |pid: u32| ranked.iter().find(|(p, _)| *p == pid).unwrap().1;
    assert_eq!(of(11)[0], 500);
    assert_eq!(of(12)[1], 5000 * rustix::param::page_size() as u64);
    assert_eq!(of(13)[2..4], [4096, 8192]);
    assert_eq!(of(11)[4], 2);
    assert!(ranked.len() <= RANKED_PROCESSES);
    let first = processes.ranked().next().unwrap();
    let identity = first.identity();
    assert_eq!(
        (identity.user.as_str(), identity.cgroup.as_str()),
        ("4242", "/user.slice")
    );
    assert_eq!(first.id(), Some(identity.id()));
}

#[test]
fn idle_processes_are_read_more_often_while_every_process_is_requested() {
    let host = Host::new();
    host.set(5, 0, 1);
    let mut processes = host.collector();
    for second in 0..30 {
        processes.refresh(UnixMs(second * 1000), false);
    }
    host.set(5, 10, 1);
    let is_noticed = (30..34).any(|second| {
        processes.refresh(UnixMs(second * 1000), true);
        processes.all()[0].cpu_permille > 0
    });
    assert!(is_noticed);
}

#[test]
fn control_characters_in_names_are_replaced() {
    let host = Host::new();
    host.set_name(3, "a) Z (\x1b[31m", 0, 1);
    let mut processes = host.collector();
    processes.refresh(UnixMs(0), true);
    let process = &processes.all()[0];
    assert_eq!(process.state, b'S');
    assert_eq!(process.identity.command, "a) Z (\u{fffd}[31m");
}

#[test]
fn a_child_process_is_listed_until_it_exits() {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let mut processes = Processes::new(
        Path::new("/proc"),
        "/etc/passwd".into(),
        UnixMs(0),
        Arguments::Redacted,
    );
    processes.refresh(UnixMs(0), false);
    processes.refresh(UnixMs(1000), true);
    let all = processes.all();
    let cat = all
        .iter()
        .find(|process| process.identity.pid == pid)
        .unwrap();
    assert_eq!(cat.parent, std::process::id());
    assert!(cat.identity.command.as_str().starts_with('/') || cat.identity.command == "cat");
    assert!(cat.memory_bytes > 0 && cat.identity.start > UnixMs(0));
    assert!(processes.open_files > 0 && processes.open_files <= processes.open_files_max);
    child.kill().unwrap();
    child.wait().unwrap();
    processes.refresh(UnixMs(2000), true);
    assert!(!pids(&processes).contains(&pid));
    // A new process is found by its pid, without a scan.
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    processes.refresh(UnixMs(3000), false);
    assert!(pids(&processes).contains(&child.id()));
    assert_eq!(
        processes.scanned,
        Some(UnixMs(0)),
        "unless the kernel assigned many pids meanwhile"
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn thirty_thousand_processes_are_added_over_several_refreshes() {
    let host = Host::new();
    for pid in 1..=30_000u32 {
        let path = host.dir.path().join(pid.to_string());
        fs::create_dir(&path).unwrap();
        let name = if pid == 29_999 {
            "a) \u{1b}[2J\n(b"
        } else {
            "idle"
        };
        let stat = format!("{pid} ({name}) S 1 1 1 0 -1 0 0 0 0 0 7 0 0 0 20 0 2 0 {pid} 0 10 0\n");
        fs::write(path.join("stat"), stat).unwrap();
    }
    let mut processes = host.collector();
    let mut rounds = 0i64;
    while processes.count() < 30_000 {
        processes.refresh(UnixMs(rounds * 1000), false);
        rounds += 1;
        assert!(rounds <= 20, "{} after {rounds} rounds", processes.count());
    }
    let all = processes.all();
    assert_eq!(all.len(), PROCESSES_PER_TABLE_MAX);
    assert!(
        all.iter()
            .all(|process| !process.identity.command.as_str().contains('\u{1b}'))
    );
    assert_eq!(
        processes.ranked().count().min(RANKED_PROCESSES),
        processes.ranked().count()
    );
}

#[test]
fn starts_follow_a_step_of_the_wall_clock() {
    let host = Host::new();
    host.set(7, 100, 5);
    let mut processes = host.collector();
    processes.refresh(UnixMs(2_000_000), false);
    let before = processes.ranked().next().unwrap();
    let (start, id) = (before.identity().start, before.id());
    processes.set_boot(UnixMs(1_000_000 + 2_700_000));
    let after = processes.ranked().next().unwrap();
    assert_eq!(after.identity().start, start + 2_700_000);
    assert_eq!(after.id(), Some(after.identity().id()));
    assert_ne!(after.id(), id);
}

#[test]
fn arguments_of_processes_that_are_shown_are_read_once_and_again_when_they_change() {
    let host = Host::new();
    host.set(7, 100, 10);
    host.set_arguments(7, "worker\0--password\0hunter2\0--queue\0default\0");
    let mut processes = host.collector();
    processes.refresh(UnixMs(0), false);
    let taken = |processes: &mut Processes, again| -> Vec<(i64, String)> {
        let arguments = processes.take_arguments(again).into_iter();
        arguments
            .map(|one| (one.id, one.arguments.to_string()))
            .collect()
    };
    let first = taken(&mut processes, false);
    let id = processes.all()[0].identity.id();
    assert_eq!(first, [(id, "--password *** --queue default".to_owned())]);
    processes.refresh(UnixMs(2_000), true);
    assert_eq!(taken(&mut processes, false), [], "once");
    assert_eq!(
        taken(&mut processes, true),
        first,
        "a new connection gets all"
    );
    host.set_arguments(7, "worker: idle");
    processes.refresh(UnixMs(5_000), true);
    assert_eq!(taken(&mut processes, false), [(id, "idle".to_owned())]);
    assert!(
        processes
            .all()
            .iter()
            .all(|process| process.arguments.as_str().is_empty()),
        "they travel once, not with every list"
    );
    let mut none = host.collector();
    none.shown = Arguments::None;
    none.refresh(UnixMs(0), true);
    assert_eq!(taken(&mut none, true), []);
}
