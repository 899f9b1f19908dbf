//! `sysmon-tui` in a pseudo-terminal, from start to quit.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::place::{Place, TIMEOUT, program};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

pub(crate) struct Session {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    screen: Arc<Mutex<vt100::Parser>>,
    home: tempfile::TempDir,
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

impl Session {
    pub(crate) fn start(columns: u16, rows: u16, args: &[&str], env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let mut command = CommandBuilder::new(program("sysmon-tui"));
        command.args(args);
        command.env("HOME", home.path());
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        for name in ["LC_ALL", "NO_COLOR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
            command.env_remove(name);
        }
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(
            cells(rows),
            cells(columns),
            0,
        )));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                shown.lock().unwrap().process(&buffer[..n]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self {
            child,
            master: pair.master,
            keys,
            screen,
            home,
        }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn shows(&self, wanted: &str) {
        self.is(wanted, |text| text.contains(wanted));
    }

    pub(crate) fn is(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let start = Instant::now();
        loop {
            let text = self.text();
            if wanted(&text) {
                return;
            }
            assert!(
                start.elapsed() < TIMEOUT,
                "timed out waiting for {what:?} in:\n{text}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn resize(&self, columns: u16, rows: u16) {
        self.master.resize(size(columns, rows)).unwrap();
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(cells(rows), cells(columns));
    }

    /// Waits for the exit, and checks that the terminal was restored.
    pub(crate) fn ended(mut self) -> u32 {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < TIMEOUT, "still running:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        };
        let is_restored = || {
            let parser = self.screen.lock().unwrap();
            let screen = parser.screen();
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        };
        while !is_restored() {
            assert!(start.elapsed() < TIMEOUT, "the terminal was not restored");
            std::thread::sleep(Duration::from_millis(20));
        }
        let files: Vec<_> = walk(self.home.path());
        assert!(files.is_empty(), "left behind: {files:?}");
        status.exit_code()
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn screens_open_and_close_from_start_to_quit() {
    let mut session = Session::start(120, 30, &["--demo", "3"], &[]);
    session.shows("cache-1");
    session.shows("live");
    session.is("four live hosts", |text| text.contains("4 hosts"));
    assert!(session.screen.lock().unwrap().screen().alternate_screen());
    // Simulated hosts have past rows from the start.
    let bars = |line: &str| line.chars().filter(|c| ('▁'..='█').contains(c)).count();
    session.is("sparklines", |text| {
        text.lines()
            .any(|line| line.contains("cache-1") && bars(line) >= 15)
    });
    session.press("/db");
    session.is("only db-1", |text| {
        text.contains("db-1") && !text.contains("web-1")
    });
    session.press("\r\r");
    session.shows("FILESYSTEMS");
    session.shows("FILESYSTEMS");
    session.press("\x1b[D");
    session.shows("PAST");
    session.press("f");
    session.is("now", |text| !text.contains("PAST"));
    session.press("?");
    session.shows("reverse order");
    session.press("?");
    session.is("no help", |text| !text.contains("reverse order"));
    session.press("h");
    session.shows("HOST");
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn changes_are_listed_for_the_fleet_and_for_a_host() {
    let mut session = Session::start(120, 30, &["--demo", "8"], &[]);
    session.is("all are live", |text| text.contains("9 hosts"));
    session.press("w");
    session.shows("against the ten minutes before it");
    session.press("\x1b[D");
    session.is("a past moment", |text| {
        text.contains("PAST") && text.contains("in the minute before")
    });
    session.press("h");
    session.shows("HOSTS");
    session.press("/db-1\r\rw");
    session.is("of one host", |text| {
        text.contains("▸ db-1") && text.contains("in the minute before")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn the_busiest_processes_of_the_fleet_open_live_and_in_the_past() {
    let mut session = Session::start(120, 40, &["--demo", "3"], &[]);
    session.is("hosts", |text| text.contains("4 hosts"));
    session.press("p");
    session.is("a list of all hosts", |text| text.contains(" on 4 hosts"));
    let clock = |text: &str| text.split(" at ").nth(1).map(|rest| rest[..8].to_owned());
    let first = clock(&session.text());
    session.is("the next second", |text| clock(text) != first);
    session.press("/web-.\rs");
    session.shows("filter web-.");
    session.press("\r");
    session.shows("▸ web-1");
    session.shows("  PID  USER");
    session.press("\r");
    session.shows("command  ");
    session.press("f");
    session.is("the same in the past", |text| {
        text.contains("PAST") && text.contains("not recorded")
    });
    session.press("\x1b");
    session.shows("the busiest");
    session.press("\x1b");
    session.is("the list, in the past too", |text| {
        text.contains("BUSIEST") && text.contains("PAST")
    });
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn every_size_is_usable() {
    let mut session = Session::start(80, 24, &["--demo", "5"], &[]);
    session.shows("db-1");
    for (columns, rows) in [(20, 5), (200, 50), (40, 10), (1, 1), (3, 2), (80, 24)] {
        session.resize(columns, rows);
        if rows >= 5 {
            let what = format!("a host at {columns}x{rows}");
            session.is(&what, |text| text.contains("-1"));
        }
        session.press("\r");
        std::thread::sleep(Duration::from_millis(100));
        session.press("?");
        std::thread::sleep(Duration::from_millis(100));
        session.press("?h");
        std::thread::sleep(Duration::from_millis(100));
    }
    session.shows("db-1");
    session.press("\x03");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_terminal_without_utf8_and_color_gets_plain_ascii() {
    let mut session = Session::start(
        100,
        24,
        &["--demo", "5"],
        &[("LANG", "C"), ("NO_COLOR", "1")],
    );
    session.shows("db-1");
    session.press("\r");
    session.shows("FILESYSTEMS");
    let text = session.text();
    assert!(text.is_ascii(), "{text}");
    let is_plain = {
        let parser = session.screen.lock().unwrap();
        let screen = parser.screen();
        let cells = (0..24).flat_map(|row| (0..100).map(move |column| (row, column)));
        cells
            .filter_map(|(row, column)| screen.cell(row, column))
            .all(|cell| cell.fgcolor() == vt100::Color::Default)
    };
    assert!(is_plain, "no color");
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_signal_ends_the_program_and_the_terminal_is_restored() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        let session = Session::start(80, 24, &[], &[]);
        session.shows("live");
        let pid = session.child.process_id().unwrap().to_string();
        assert!(
            std::process::Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(session.ended(), 0);
    }
}

#[test]
fn an_unreachable_hub_is_shown_and_retried() {
    let place = Place::new();
    let hub = place.hub();
    place.issue("operator", "me");
    let address = place.address();
    drop(hub);
    let state = place.dir("me").display().to_string();
    let mut session = Session::start(100, 24, &["--hub", &address, "--state", &state], &[]);
    session.shows(&address);
    session.shows("connecting");
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn a_blocked_terminal_gets_the_newest_frame_only() {
    let mut session = Session::start(200, 50, &["--demo", "12", "--stats"], &[]);
    session.shows("13 hosts");
    let screen = Arc::clone(&session.screen);
    // While this is locked, nothing that the program writes is read.
    let held = screen.lock().unwrap();
    let switches = 200;
    for _ in 0..switches {
        // Opens and closes the help.
        session.press("?");
        std::thread::sleep(Duration::from_millis(10));
        session.press("?");
        std::thread::sleep(Duration::from_millis(10));
    }
    session.press("/db");
    drop(held);
    session.shows("db▏");
    session.press("\r");
    session.press("q");
    session.shows("frames");
    let text = session.text();
    let frames = text.split("frames").nth(1).unwrap().split(',').next();
    let frames: u32 = frames.unwrap().trim().parse().unwrap();
    assert!(frames < switches, "{text}");
    assert_eq!(session.ended(), 0);
}
