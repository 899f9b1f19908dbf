//! Every key of the table, pressed in a pseudo-terminal.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use sysmon_screens::keys::{Action, BINDINGS, Mode};

use crate::terminal::Session;

/// The bytes that a terminal sends for a key.
fn bytes(event: KeyEvent) -> String {
    let is_shifted = event.modifiers.contains(KeyModifiers::SHIFT);
    let is_control = event.modifiers.contains(KeyModifiers::CONTROL);
    let arrow = |letter: char| match (is_shifted, is_control) {
        (true, _) => format!("\x1b[1;2{letter}"),
        (_, true) => format!("\x1b[1;5{letter}"),
        _ => format!("\x1b[{letter}"),
    };
    match event.code {
        KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => {
            char::from(c as u8 & 0x1f).to_string()
        }
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "\r".to_owned(),
        KeyCode::Esc => "\x1b".to_owned(),
        KeyCode::Backspace => "\x7f".to_owned(),
        KeyCode::Tab if is_shifted => "\x1b[Z".to_owned(),
        KeyCode::Tab => "\t".to_owned(),
        KeyCode::Up => arrow('A'),
        KeyCode::Down => arrow('B'),
        KeyCode::Right => arrow('C'),
        KeyCode::Left => arrow('D'),
        KeyCode::Home => arrow('H'),
        KeyCode::End => arrow('F'),
        KeyCode::PageUp => "\x1b[5~".to_owned(),
        KeyCode::PageDown => "\x1b[6~".to_owned(),
        KeyCode::F(1) => "\x1bOP".to_owned(),
        other => panic!("what does a terminal send for {other:?}?"),
    }
}

/// The keys that lead from the fleet to a mode, and the text that appears there.
fn way(mode: Mode) -> (&'static str, &'static str) {
    match mode {
        Mode::Fleet => ("", "HOST"),
        Mode::Host => ("\r", "FILESYSTEMS"),
        Mode::Pane => ("\r\tz", "saturated"),
        Mode::Burst => ("\rb", "▸ burst"),
        Mode::Processes => ("\rp", "── at "),
        Mode::Process => ("\rp\r", "PROCESS "),
        Mode::Top => ("p", "▸ processes"),
        Mode::Checks => ("C", "▸ checks"),
        Mode::Changes => ("w", "▸ what changed"),
        Mode::Events => ("a", "▸ alerts and events"),
        Mode::Compare => ("c", "▸ compare"),
        Mode::Columns => ("|", "COLUMNS"),
        Mode::Help => ("?", "reverse order"),
        Mode::Filter => ("/", "filter"),
        Mode::Time => ("t", "time ("),
        Mode::Palette => (":", "────────"),
        Mode::Export => ("e", "sysmon-fleet-"),
        Mode::Silence => ("S", "1, 2 or 8 hours"),
    }
}

/// Text on the screen after an action in a mode; none where it depends on the fleet.
fn seen(action: Action, mode: Mode) -> Option<&'static str> {
    Some(match (action, mode) {
        (Action::Open, Mode::Fleet | Mode::Compare) => "FILESYSTEMS",
        (Action::Open, Mode::Processes) => "command  ",
        (Action::Open, Mode::Top) => " PROCESSES",
        (Action::Top, _) => "▸ processes",
        (Action::Checks, _) => "▸ checks",
        (Action::Help, Mode::Help) => "HOST",
        (Action::Help, _) => "this help",
        (Action::Processes, _) => "▸ processes",
        (Action::Zoom, _) => "▸ processes",
        // Not before they come from the agent.
        (Action::Burst, _) => "one sample every 100 ms",
        (Action::Changes, _) => "▸ what changed",
        (Action::Events, _) => "▸ alerts and events",
        (Action::ZoomOut | Action::ZoomIn, _) => "charts show",
        (Action::Acknowledge, Mode::Events) => "select a firing alert",
        (Action::Acknowledge, _) => "no alert is firing on",
        (Action::Silence, Mode::Fleet) => "1, 2 or 8 hours",
        (Action::NextProblem | Action::PreviousProblem, _) => "no host has a firing alert",
        (Action::CopyLink, _) => "copied sysmon-tui --hub",
        (Action::Pin, _) => "top",
        (Action::Mark, _) => "•",
        (Action::Compare, Mode::Compare) => "1 d before",
        (Action::Compare, _) => "▸ compare",
        (Action::Metric, _) => "comparing mem",
        (Action::Sort, _) => "sorted by",
        (Action::Filter, _) => "filter",
        (Action::GoToTime, _) => "time (",
        (Action::Earlier | Action::MuchEarlier | Action::MinuteEarlier | Action::Freeze, _) => {
            "PAST"
        }
        (Action::Live, _) => "live",
        (Action::Theme, _) => "theme ",
        (Action::Arrange, _) => "processes as a tree",
        (Action::Group, _) => "hosts grouped by their first tag",
        (Action::FoldAll, _) => "hosts are not grouped",
        (Action::Columns, _) => "COLUMNS",
        (Action::Copy, Mode::Fleet) => "copied",
        (Action::Export, _) => "sysmon-",
        (Action::Back, Mode::Host | Mode::Changes | Mode::Events | Mode::Columns | Mode::Help) => {
            "HOST"
        }
        _ => return None,
    })
}

#[test]
fn every_key_of_the_table_performs_its_action() {
    let mut session = Session::start(120, 44, &["--demo", "3"], &[]);
    session.is("hosts", |text| {
        text.contains("4 hosts") && text.contains("live")
    });
    for binding in BINDINGS {
        let Some(&mode) = binding.modes.first() else {
            panic!("{:?} counts nowhere", binding.action);
        };
        for key in binding.keys {
            let name = format!("{:?} by {} in {mode:?}", binding.action, key.name(true));
            if matches!(binding.action, Action::Quit | Action::Suspend) {
                // They end or stop the program, and have their own tests.
                continue;
            }
            let (there, sign) = way(mode);
            for step in there.chars() {
                session.press(&step.to_string());
                if step == 'p' && matches!(mode, Mode::Process | Mode::Processes) {
                    // The list comes from the agent; before, there is nothing to open.
                    session.is("the processes", |text| text.contains("── at "));
                }
            }
            session.is(&format!("{sign} before {name}"), |text| text.contains(sign));
            session.press(&bytes(key.event()));
            if let Some(wanted) = seen(binding.action, mode) {
                session.is(&format!("{wanted} after {name}"), |text| {
                    text.contains(wanted)
                });
            }
            if binding.action == Action::Group {
                session.press(&bytes(key.event()));
            }
            // Back to the live fleet from any screen. The pause separates the escape from what follows: terminals
            // send sequences that start with it, so the program tells them apart by time.
            for _ in 0..4 {
                session.press("\x1b");
                std::thread::sleep(std::time::Duration::from_millis(60));
            }
            session.press("\x1b[F");
            session.is(&format!("the fleet after {name}"), |text| {
                let first = text.lines().next().unwrap_or_default();
                text.contains("TOP PROCESS") && text.contains("open") && first.contains("live")
            });
        }
    }
    session.press("q");
    assert_eq!(session.ended(), 0);
}

#[test]
fn control_c_quits() {
    let mut session = Session::start(80, 24, &[], &[]);
    session.is("this machine", |text| text.contains("live"));
    session.press("\x03");
    assert_eq!(session.ended(), 0);
}
