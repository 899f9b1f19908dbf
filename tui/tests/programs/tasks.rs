//! What an operator does most, with so many keys at most; a typed text counts as one.

use crate::place::{Place, program, until};
use crate::terminal::Session;

/// A session, and how many keys were pressed since the count began.
struct Keys {
    session: Session,
    count: usize,
}

impl Keys {
    fn begin(&mut self) {
        self.count = 0;
    }

    fn press(&mut self, key: &str) {
        self.session.press(key);
        self.count += 1;
    }

    /// A text that is typed, and counts as one key.
    fn type_text(&mut self, text: &str) {
        self.press(text);
    }

    fn shows(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        self.session.is(what, wanted);
    }

    fn took_at_most(&self, keys: usize, task: &str) {
        assert!(self.count <= keys, "{task} took {} keys", self.count);
    }

    /// Back to the live fleet, however deep the session is.
    fn home(&mut self) {
        for _ in 0..5 {
            self.session.press("\x1b");
            // Terminals tell an escape from the sequences that begin with it by time, and so does the program.
            std::thread::sleep(std::time::Duration::from_millis(60));
        }
        self.session.press("\x1b[F");
        self.shows("the live fleet", |text| {
            header(text).contains("live") && text.contains("open")
        });
        self.begin();
    }
}

fn header(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

const RULES: &str = "[\"loaded: load1 > -1 critical on a\", \"up: system.uptime > 0 on a\"]";

#[test]
fn worst_host_most_memory_comparison_past_and_copy_need_few_keys() {
    let session = Session::start(160, 44, &["--demo", "6"], &[]);
    let mut keys = Keys { session, count: 0 };
    keys.shows("all hosts", |text| {
        text.contains("db-1") && text.contains("web-1") && header(text).contains("live")
    });
    // The host with the most memory.
    keys.press("s");
    keys.press("s");
    keys.shows("the order", |text| text.contains("sorted by memory"));
    keys.took_at_most(2, "most memory in the fleet");
    // A value in the clipboard.
    keys.begin();
    keys.press("y");
    keys.press("y");
    keys.shows("the value", |text| text.contains("copied mem of "));
    keys.took_at_most(2, "copy a value");
    // What used a host's processor three minutes ago.
    keys.home();
    keys.press("t");
    keys.type_text("-3m");
    keys.press("\r");
    keys.shows(
        "the past, with the processes of the selected host",
        |text| text.contains("PAST") && text.contains("PROCESS"),
    );
    keys.took_at_most(3, "what used the processor three minutes ago");
    // Back to the present.
    keys.begin();
    keys.press("\x1b[F");
    keys.shows("the present", |text| !text.contains("PAST"));
    keys.took_at_most(1, "back to live");
    // The hosts of a pattern beside each other.
    keys.begin();
    keys.press(":");
    keys.type_text("compare db-*,web-*");
    keys.press("\r");
    keys.shows("the comparison", |text| {
        header(text).contains("compare") && text.contains("db-1") && !text.contains("cache-1")
    });
    keys.took_at_most(3, "compare hosts of a pattern");
    // When a filesystem began to fill: the fullest of each host over a longer time.
    keys.home();
    keys.press(":");
    keys.type_text("compare fs.worst");
    keys.press("\r");
    keys.shows("the filesystems", |text| text.contains("COMPARE fs.worst"));
    keys.press("-");
    keys.shows("an hour of them, and what they rose from and to", |text| {
        let is_drawn = text.contains(['⣀', '⣤', '⣶', '⣿']);
        text.contains("in 1 h") && text.contains(" max ") && is_drawn
    });
    keys.took_at_most(4, "when a filesystem began to fill");
    keys.session.press("q");
    assert_eq!(keys.session.ended(), 0);
}

#[test]
fn the_worst_host_is_first_and_acknowledging_and_silencing_it_need_few_keys() {
    let place = Place::new();
    let _hub = place.hub_with(&[("SYSMON_HUB__ALERTS", RULES)]);
    let _b = place.agent("b");
    let _a = place.agent("a");
    place.issue("operator", "jane");
    let fires = |status: &String| status.contains("critical  a  loaded");
    until("the rule fires", || place.status(), fires);
    let (address, state) = (place.address(), place.dir("jane").display().to_string());
    let session = Session::start(140, 40, &["--hub", &address, "--state", &state], &[]);
    let mut keys = Keys { session, count: 0 };
    // No key: the worst host is at the top, with its rule.
    keys.shows("the worst host", |text| {
        text.contains("loaded") && header(text).contains("1 critical")
    });
    keys.took_at_most(0, "the worst host and why");
    keys.press("A");
    let taken = |status: &String| status.contains("[acknowledged by jane]");
    until("it is acknowledged", || place.status(), taken);
    keys.took_at_most(2, "acknowledge");
    keys.shows("who did it", |text| {
        text.contains("acknowledged; A withdraws it")
    });
    keys.press("A");
    until(
        "it is withdrawn",
        || place.status(),
        |status| !taken(status),
    );
    keys.begin();
    keys.press("S");
    keys.shows("what will be silenced", |text| {
        text.contains("silence a for")
    });
    keys.press("2");
    keys.press("\r");
    keys.took_at_most(3, "silence for two hours");
    keys.shows("until when", |text| text.contains("a silenced until"));
    let silences = || place.output("sysmon-hub", &["--state", "hub", "alerts", "silences"]);
    let listed = silences();
    let line = listed
        .lines()
        .find(|line| line.starts_with("1 "))
        .unwrap_or_default();
    assert!(line.contains("jane") && line.contains(" h "), "{listed}");
    let silenced = |status: &String| status.contains("[silenced: jane]");
    until("it is silenced", || place.status(), silenced);
    let audit = place.output("sysmon-hub", &["--state", "hub", "audit"]);
    assert!(
        audit.contains("silenced") && audit.contains("jane"),
        "{audit}"
    );
    // The list of silences, and the end of one.
    keys.session.press(":silences\r");
    keys.shows("the silence", |text| text.contains("by jane"));
    keys.session.press("S");
    until("it has ended", silences, |text| !text.contains("jane"));
    keys.session.press("q");
    assert_eq!(keys.session.ended(), 0);
}

#[test]
fn a_screen_reader_gets_lines_and_no_escape_and_its_commands_take_effect() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let place = Place::new();
    let _hub = place.hub_with(&[("SYSMON_HUB__ALERTS", RULES)]);
    let _a = place.agent("a");
    place.issue("operator", "jane");
    let fires = |status: &String| status.contains("critical  a  loaded");
    until("the rule fires", || place.status(), fires);
    let said = place.dir("said");
    let mut child = Command::new(program("sysmon-tui"))
        .args(["--linear", "--hub", &place.address(), "--state"])
        .arg(place.dir("jane"))
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&said).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut keys = child.stdin.take().unwrap();
    let read = || std::fs::read_to_string(&said).unwrap_or_default();
    until("the fleet", read, |said| said.contains("1 host: 1 live"));
    keys.write_all(b"alerts\nack a\n").unwrap();
    until("the list", read, |said| {
        said.contains("critical: loaded on a")
    });
    let taken = |said: &String| said.contains("loaded on a acknowledged by jane");
    until("that it is acknowledged", read, taken);
    keys.write_all(b"quit\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!read().contains('\x1b'), "{}", read());
}
