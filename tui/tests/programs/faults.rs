//! What goes wrong with disks and names ends in words, and loses nothing.

use std::process::Command;
use std::time::Duration;

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

/// A small disk in a place, until it is dropped; none without the rights to mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn new(at: std::path::PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let disk = Self(at);
        disk.mount(&format!("size={size},mode=0700"))
            .then_some(disk)
    }

    fn mount(&self, options: &str) -> bool {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&self.0)
            .output();
        mounted.is_ok_and(|output| output.status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn rows_wait_at_the_agent_while_the_hub_s_disk_is_full() {
    let place = Place::new();
    let Some(disk) = SmallDisk::new(place.dir("hub"), "4m") else {
        eprintln!("not tried: no disk can be mounted here");
        return;
    };
    let hub = place.hub();
    place.issue("operator", "me");
    let agent = place.agent("a");
    until(
        "rows come in",
        || number(&place.snapshot("me"), "a", "rows"),
        |rows| *rows > 2,
    );
    // Whatever room is left goes to somebody else.
    let hog = disk.0.join("hog");
    let _ = std::fs::write(&hog, vec![1u8; 8 << 20]);
    hub.has_logged("rows are not acknowledged meanwhile");
    // It goes on showing what comes in.
    let before = number(&place.snapshot("me"), "a", "rows");
    until(
        "rows are shown",
        || number(&place.snapshot("me"), "a", "rows"),
        |rows| *rows > before + 2,
    );
    let (code, _) = place.fails("sysmon-hub", &["--state", "hub", "backup", "hub/copy.db"]);
    assert_eq!(code, 1);
    std::fs::remove_file(&hog).unwrap();
    hub.has_logged("the history is written again");
    let seen = number(&place.snapshot("me"), "a", "rows");
    std::thread::sleep(Duration::from_secs(2));
    // What was shown before is there after a kill.
    let address = place.address();
    drop(hub);
    let _hub = place.hub_at(&address);
    let (rows, missing, _) = until(
        "the rows are there",
        || {
            let snapshot = place.snapshot("me");
            let get = |field| number(&snapshot, "a", field);
            (get("rows"), get("missing_rows"), get("duplicate_rows"))
        },
        |(rows, missing, _)| *rows > seen && *missing == 0,
    );
    assert!(rows > seen && missing == 0);
    drop(agent);
}

#[test]
fn a_hub_that_may_not_write_says_so_and_does_not_start() {
    let place = Place::new();
    drop(place.hub());
    let Some(disk) = SmallDisk::new(place.dir("locked"), "1m") else {
        eprintln!("not tried: no disk can be mounted here");
        return;
    };
    assert!(disk.mount("remount,ro"));
    let args = ["--state", "locked", "--listen", "127.0.0.1:0"];
    let (code, complaint) = place.fails("sysmon-hub", &args);
    assert_eq!(code, 1);
    assert!(
        complaint.contains("locked") && complaint.to_lowercase().contains("read-only"),
        "{complaint}"
    );
}

#[test]
fn two_agents_with_one_name_are_both_heard_and_one_that_starts_again_at_once_too() {
    let place = Place::new();
    let _hub = place.hub();
    let address = place.address();
    place.issue("operator", "me");
    place.issue("agent", "a");
    // The second has a copy of the first one's identity, as a cloned machine would.
    std::fs::create_dir(place.dir("copy")).unwrap();
    for file in std::fs::read_dir(place.dir("a")).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), place.dir("copy").join(file.file_name())).unwrap();
        }
    }
    let first = place.agent("a");
    let args = ["--name", "a", "--state", "copy", "--hub", &address];
    let _second = place.run("sysmon-agent", "copy.log", &args);
    let seen = || {
        let snapshot = place.snapshot("me");
        let get = |field| number(&snapshot, "a", field);
        (get("rows"), get("missing_rows"), get("duplicate_rows"))
    };
    let (before, ..) = until("rows come in", seen, |(rows, ..)| *rows > 4);
    std::thread::sleep(Duration::from_secs(4));
    let (after, missing, doubled) = seen();
    assert!(after - before >= 6, "two rows a second: {before}, {after}");
    assert_eq!((missing, doubled), (0, 0));
    drop(first);
    let _again = place.agent("a");
    let (before, ..) = seen();
    until("its rows come in", seen, |(rows, missing, doubled)| {
        *rows >= before + 6 && *missing == 0 && *doubled == 0
    });
}
