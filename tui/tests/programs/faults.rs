//! Full and read-only disks, and duplicate names: reported, without losing rows.

use std::process::Command;

use serde_json::Value;

use crate::place::{Place, until};

fn host<'a>(snapshot: &'a Value, name: &str) -> Option<&'a Value> {
    let hosts = snapshot["hosts"].as_array().unwrap();
    hosts.iter().find(|host| host["name"] == name)
}

fn number(snapshot: &Value, name: &str, field: &str) -> u64 {
    host(snapshot, name)
        .and_then(|host| host[field].as_u64())
        .unwrap_or(0)
}

/// A small file system, unmounted on drop.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(at: std::path::PathBuf, size: &str) -> Self {
        std::fs::create_dir_all(&at).unwrap();
        let disk = Self(at);
        disk.mount(&format!("size={size},mode=0700"));
        disk
    }

    fn mount(&self, options: &str) {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&self.0)
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{mounted:?}; run as root");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
#[ignore = "needs root"]
fn rows_stay_at_the_agent_while_the_disk_of_the_hub_is_full() {
    let place = Place::new();
    let disk = SmallDisk::new(place.dir("hub"), "4m");
    let hub = place.hub();
    place.issue("operator", "me");
    let agent = place.agent("a");
    until(
        "rows come in",
        || number(&place.snapshot("me"), "a", "rows"),
        |rows| *rows > 2,
    );
    // Fills the remaining space.
    let filler = disk.0.join("filler");
    let _ = std::fs::write(&filler, vec![1u8; 8 << 20]);
    hub.has_logged("rows are not acknowledged meanwhile");
    // New rows are still shown.
    let before = number(&place.snapshot("me"), "a", "rows");
    until(
        "rows are shown",
        || number(&place.snapshot("me"), "a", "rows"),
        |rows| *rows > before + 2,
    );
    let backup = ["--state", "hub", "backup", "hub/copy", "--unencrypted"];
    let (code, stderr) = place.fails("sysmon-hub", &backup);
    assert_eq!(code, 1, "{stderr}");
    assert!(!disk.0.join("copy").exists());
    std::fs::remove_file(&filler).unwrap();
    hub.has_logged("the history is written again");
    let rows = || number(&place.snapshot("me"), "a", "rows");
    let before = rows();
    let seen = until("more rows come in", rows, |rows| *rows > before + 1);
    // Rows shown before a kill are there after it.
    let address = place.address();
    drop(hub);
    let _hub = place.hub_at(&address);
    until(
        "the rows are there",
        || {
            let snapshot = place.snapshot("me");
            let get = |field| number(&snapshot, "a", field);
            (get("rows"), get("missing_rows"))
        },
        |(rows, missing)| *rows > seen && *missing == 0,
    );
    drop(agent);
}

#[test]
#[ignore = "needs root"]
fn a_hub_with_a_read_only_state_directory_does_not_start() {
    let place = Place::new();
    drop(place.hub());
    let disk = SmallDisk::new(place.dir("locked"), "1m");
    disk.mount("remount,ro");
    let args = ["--state", "locked", "--listen", "127.0.0.1:0"];
    let (code, stderr) = place.fails("sysmon-hub", &args);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("locked") && stderr.to_lowercase().contains("read-only"),
        "{stderr}"
    );
}

#[test]
fn a_copy_of_an_agent_is_refused_and_a_killed_agent_returns_at_once() {
    let place = Place::new();
    let _hub = place.hub();
    let address = place.address();
    place.issue("operator", "me");
    place.issue("agent", "a");
    // The second has a copy of the identity, like a cloned machine.
    std::fs::create_dir(place.dir("copy")).unwrap();
    for file in std::fs::read_dir(place.dir("a")).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), place.dir("copy").join(file.file_name())).unwrap();
        }
    }
    let first = place.agent("a");
    let seen = || {
        let snapshot = place.snapshot("me");
        let get = |field| number(&snapshot, "a", field);
        let lost = (get("missing_rows"), get("duplicate_rows"));
        (get("rows"), lost)
    };
    until("rows come in", seen, |(rows, _)| *rows > 4);
    let args = ["--name", "a", "--state", "copy", "--hub", &address];
    let copy = place.run("sysmon-agent", "copy.log", &args);
    copy.has_logged("has a copy of its identity");
    let noted = || place.snapshot("me").to_string();
    until("the snapshot says so", noted, |snapshot| {
        snapshot.contains("has a copy of this host's identity and is refused")
    });
    assert_eq!(copy.terminate(), Some(0));
    let (before, _) = seen();
    until("the agent still pushes", seen, |(rows, lost)| {
        *rows > before + 2 && *lost == (0, 0)
    });
    // Killed: the hub does not learn that its connection has ended.
    drop(first);
    let _again = place.agent("a");
    let (before, _) = seen();
    let (_, lost) = until("its rows come in", seen, |(rows, _)| *rows >= before + 6);
    assert_eq!(lost, (0, 0), "missing and duplicate rows");
}

#[test]
fn rows_that_became_durable_before_a_kill_are_not_sent_again() {
    let place = Place::new();
    let hub = place.hub();
    let address = place.address();
    place.issue("operator", "me");
    place.issue("agent", "a");
    drop(hub);
    let agent = place.agent("a");
    let files = || {
        let files = std::fs::read_dir(place.dir("a/spool"));
        let files = files.into_iter().flatten().flatten();
        files.map(|file| file.path()).collect::<Vec<_>>()
    };
    let bytes = || {
        let bytes = |path: &std::path::PathBuf| path.metadata().map_or(0, |file| file.len());
        files().iter().map(bytes).sum::<u64>()
    };
    let first = until("a row is on disk", bytes, |bytes| *bytes > 0);
    until("more rows are on disk", bytes, |bytes| *bytes > first + 500);
    let read = |path: std::path::PathBuf| Some((std::fs::read(&path).ok()?, path));
    let spooled: Vec<_> = files().into_iter().filter_map(read).collect();
    let _hub = place.hub_at(&address);
    let seen = |field| number(&place.snapshot("me"), "a", field);
    let gone = || files().len();
    until("they are acknowledged", gone, |count| *count == 0);
    let before = seen("rows");
    // Killed before its files were removed.
    drop(agent);
    for (bytes, path) in spooled {
        std::fs::write(path, bytes).unwrap();
    }
    let _again = place.agent("a");
    until("they are acknowledged again", gone, |count| *count == 0);
    until(
        "new rows come in",
        || seen("rows"),
        |rows| *rows > before + 2,
    );
    assert_eq!((seen("missing_rows"), seen("duplicate_rows")), (0, 0));
}
