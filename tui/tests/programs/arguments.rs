//! Arguments of processes: an operator sees them without secrets, and nothing stores them or sends them elsewhere.

use std::process::{Child, Command, Stdio};

use crate::place::{Place, until};
use crate::terminal::Session;

const PLANTED: &str = "planted-argument-of-this-test";
const SECRET: &str = "hunter2-of-this-test";

/// A process that keeps a processor busy, so that rows name it.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "while :; do :; done",
            "busy",
            PLANTED,
            "--password",
            SECRET,
        ]);
        Self(shell.stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a file below a folder contains the text.
fn contains(folder: &std::path::Path, text: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| match path.is_dir() {
            true => contains(&path, text),
            false => {
                let content = std::fs::read(&path).unwrap_or_default();
                content
                    .windows(text.len())
                    .any(|part| part == text.as_bytes())
            }
        })
}

#[test]
fn arguments_are_shown_without_secrets_and_stored_nowhere() {
    let place = Place::new();
    let file = place.dir("notifications");
    let route = format!("[\"command:cat >> {0}; echo >> {0}\"]", file.display());
    let _hub = place.hub_with(&[
        ("SYSMON_HUB__ALERTS", "[\"loaded: load1 > -1 critical\"]"),
        ("SYSMON_HUB__NOTIFY", &route),
    ]);
    place.issue("operator", "me");
    let _busy = Busy::start();
    let agent = place.agent("a");
    let top = || place.tui("me", &["top", "--by", "cpu"]);
    until("the process is among the busiest", top, |top| {
        top.contains("sh")
    });
    let (address, state) = (place.address(), place.dir("me").display().to_string());
    let mut session = Session::start(160, 30, &["--hub", &address, "--state", &state], &[]);
    session.is("the host", |text| text.contains(" a "));
    session.press("\rp");
    session.is("the processes", |text| text.contains("PROCESSES"));
    session.press("/planted-argument\r");
    session.is("the arguments", |text| {
        text.contains(PLANTED) && text.contains("--password ***")
    });
    session.is("no secret", |text| !text.contains(SECRET));
    session.press("\r");
    session.is("in the details too", |text| {
        text.contains("arguments") && text.contains(PLANTED)
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
    let sent = || std::fs::read_to_string(&file).unwrap_or_default();
    until("the notification", sent, |sent| sent.contains("loaded"));
    let written = || place.status();
    until("the history has a row", written, |status| {
        status.contains(" a ")
    });
    for text in [PLANTED, SECRET] {
        assert!(!sent().contains(text));
        assert!(!place.tui("me", &["snapshot", "--json"]).contains(text));
        assert!(!place.tui("me", &["top", "--json"]).contains(text));
        assert!(!contains(&place.dir("hub"), text), "the hub stores {text}");
        assert!(!contains(&place.dir("a"), text), "the agent stores {text}");
    }
    // By choice an agent shows none.
    drop(agent);
    let none = [("SYSMON_AGENT__ARGUMENTS", "none")];
    let _agent = place.agent_with("a", &address, &none);
    let mut session = Session::start(160, 30, &["--hub", &address, "--state", &state], &[]);
    session.is("the host", |text| text.contains(" a "));
    // Its own arguments are known to everybody.
    session.press("\rp/sysmon-agent$\r");
    session.is("the agent without arguments", |text| {
        text.contains("/sysmon-agent") && !text.contains("--hub")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}
