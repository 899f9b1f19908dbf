//! Every key: one table `(mode, key) → action` that also makes the help and the footer.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the screen is doing, and so what keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The table of hosts.
    Fleet,
    /// One host.
    Host,
    /// The processes of one host.
    Processes,
    /// What is different from before, of one host or of all.
    Changes,
    /// What happened, to one host or to all.
    Events,
    /// The help.
    Help,
    /// Typing a filter.
    Filter,
    /// Typing a time.
    Time,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// End the program.
    Quit,
    /// Show what the keys do.
    Help,
    /// Show the host's processes.
    Processes,
    /// Show what is different from before.
    Changes,
    /// Show what happened.
    Events,
    /// Go to the event before.
    PreviousEvent,
    /// Go to the next event.
    NextEvent,
    /// The strip of time shows more.
    ZoomOut,
    /// The strip of time shows less.
    ZoomIn,
    /// Go back to where one came from.
    Back,
    /// Open the selected host.
    Open,
    /// Up one row.
    Up,
    /// Down one row.
    Down,
    /// Up one screen.
    PageUp,
    /// Down one screen.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Type a filter.
    Filter,
    /// Forget the filter.
    ClearFilter,
    /// Sort by the next column.
    Sort,
    /// Turn the order around.
    Reverse,
    /// Stop at this moment, or go on.
    Freeze,
    /// One step into the past.
    Earlier,
    /// One step towards now.
    Later,
    /// Ten steps into the past.
    MuchEarlier,
    /// Ten steps towards now.
    MuchLater,
    /// Type a time to go to.
    GoToTime,
    /// Back to now.
    Live,
    /// The next theme.
    Theme,
    /// Draw everything anew.
    Redraw,
    /// Leave the terminal to the shell until called back.
    Suspend,
    /// Take what was typed.
    Accept,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it counts.
    pub modes: &'static [Mode],
    /// The keys.
    pub keys: &'static [Key],
    /// What they do.
    pub action: Action,
    /// What the help says.
    pub help: &'static str,
    /// What the footer says, for the few keys that stand there.
    pub footer: Option<&'static str>,
}

/// A key of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

const fn key(code: KeyCode) -> Key {
    Key {
        code,
        modifiers: KeyModifiers::NONE,
    }
}

const fn char(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn ctrl(c: char) -> Key {
    Key {
        code: KeyCode::Char(c),
        modifiers: KeyModifiers::CONTROL,
    }
}

const fn shift(code: KeyCode) -> Key {
    Key {
        code,
        modifiers: KeyModifiers::SHIFT,
    }
}

const ANY: &[Mode] = &[
    Mode::Fleet,
    Mode::Host,
    Mode::Processes,
    Mode::Changes,
    Mode::Events,
    Mode::Help,
];
const PLACES: &[Mode] = &[
    Mode::Fleet,
    Mode::Host,
    Mode::Processes,
    Mode::Changes,
    Mode::Events,
];
const FLEET: &[Mode] = &[Mode::Fleet];
const LISTS: &[Mode] = &[Mode::Fleet, Mode::Processes];
const PROMPTS: &[Mode] = &[Mode::Filter, Mode::Time];

const fn bind(
    modes: &'static [Mode],
    keys: &'static [Key],
    action: Action,
    help: &'static str,
    footer: Option<&'static str>,
) -> Binding {
    Binding {
        modes,
        keys,
        action,
        help,
        footer,
    }
}

/// Every binding, in the order of the help. The first that fits counts.
pub const BINDINGS: &[Binding] = &[
    bind(
        FLEET,
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "open the selected host",
        Some("open"),
    ),
    bind(
        &[Mode::Host],
        &[char('p'), key(KeyCode::Enter)],
        Action::Processes,
        "processes of the host",
        Some("processes"),
    ),
    bind(
        LISTS,
        &[char('/')],
        Action::Filter,
        "show only what has these letters",
        Some("filter"),
    ),
    bind(
        FLEET,
        &[key(KeyCode::Esc)],
        Action::ClearFilter,
        "show all again",
        None,
    ),
    bind(
        LISTS,
        &[char('s')],
        Action::Sort,
        "sort by the next column",
        Some("sort"),
    ),
    bind(
        LISTS,
        &[char('r')],
        Action::Reverse,
        "turn the order around",
        None,
    ),
    bind(
        &[
            Mode::Host,
            Mode::Processes,
            Mode::Changes,
            Mode::Events,
            Mode::Help,
        ],
        &[key(KeyCode::Esc), key(KeyCode::Backspace), char('h')],
        Action::Back,
        "go back",
        Some("back"),
    ),
    bind(
        &[Mode::Changes],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "go to the host when the change began",
        Some("go there"),
    ),
    bind(
        &[Mode::Events],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "go to the host when it happened",
        Some("go there"),
    ),
    bind(
        &[Mode::Fleet, Mode::Host, Mode::Processes],
        &[char('a')],
        Action::Events,
        "alerts and events: what happened",
        None,
    ),
    bind(
        PLACES,
        &[char('[')],
        Action::PreviousEvent,
        "to the event before",
        None,
    ),
    bind(
        PLACES,
        &[char(']')],
        Action::NextEvent,
        "to the next event",
        None,
    ),
    bind(
        PLACES,
        &[char('+'), char('=')],
        Action::ZoomOut,
        "more time in the strip",
        None,
    ),
    bind(
        PLACES,
        &[char('-')],
        Action::ZoomIn,
        "less time in the strip",
        None,
    ),
    bind(
        &[Mode::Fleet, Mode::Host, Mode::Processes],
        &[char('w')],
        Action::Changes,
        "what changed: this minute against the ten before it",
        Some("what changed"),
    ),
    bind(ANY, &[key(KeyCode::Up), char('k')], Action::Up, "up", None),
    bind(
        ANY,
        &[key(KeyCode::Down), char('j')],
        Action::Down,
        "down",
        None,
    ),
    bind(
        ANY,
        &[key(KeyCode::PageUp), ctrl('b')],
        Action::PageUp,
        "up a screen",
        None,
    ),
    bind(
        ANY,
        &[key(KeyCode::PageDown), ctrl('f')],
        Action::PageDown,
        "down a screen",
        None,
    ),
    bind(
        ANY,
        &[key(KeyCode::Home), char('g')],
        Action::First,
        "to the top",
        None,
    ),
    bind(
        ANY,
        &[shift(KeyCode::End), char('G')],
        Action::Last,
        "to the bottom",
        None,
    ),
    bind(
        PLACES,
        &[key(KeyCode::Left)],
        Action::Earlier,
        "one step into the past",
        Some("past"),
    ),
    bind(
        PLACES,
        &[key(KeyCode::Right)],
        Action::Later,
        "one step towards now",
        None,
    ),
    bind(
        PLACES,
        &[shift(KeyCode::Left)],
        Action::MuchEarlier,
        "ten steps into the past",
        None,
    ),
    bind(
        PLACES,
        &[shift(KeyCode::Right)],
        Action::MuchLater,
        "ten steps towards now",
        None,
    ),
    bind(
        PLACES,
        &[char('t')],
        Action::GoToTime,
        "go to a time: 14:03, -2h, yesterday 9:00",
        None,
    ),
    bind(
        PLACES,
        &[key(KeyCode::End)],
        Action::Live,
        "back to now",
        None,
    ),
    bind(
        PLACES,
        &[char(' '), char('f')],
        Action::Freeze,
        "stop at this moment, or go on",
        None,
    ),
    bind(PLACES, &[char('T')], Action::Theme, "next theme", None),
    bind(
        ANY,
        &[ctrl('l')],
        Action::Redraw,
        "draw everything anew",
        None,
    ),
    bind(
        ANY,
        &[ctrl('z')],
        Action::Suspend,
        "leave to the shell; `fg` comes back",
        None,
    ),
    bind(
        ANY,
        &[char('?'), key(KeyCode::F(1))],
        Action::Help,
        "this help",
        Some("help"),
    ),
    bind(
        ANY,
        &[char('q'), ctrl('c')],
        Action::Quit,
        "quit",
        Some("quit"),
    ),
    bind(
        PROMPTS,
        &[key(KeyCode::Enter)],
        Action::Accept,
        "take what was typed",
        Some("take"),
    ),
    bind(
        PROMPTS,
        &[key(KeyCode::Esc), ctrl('c')],
        Action::Back,
        "leave it as it was",
        Some("leave"),
    ),
];

/// What a key does in a mode.
pub fn action(mode: Mode, event: KeyEvent) -> Option<Action> {
    let pressed = Key::of(event);
    let here = BINDINGS
        .iter()
        .filter(|binding| binding.modes.contains(&mode));
    here.into_iter()
        .find(|binding| binding.keys.contains(&pressed))
        .map(|binding| binding.action)
}

impl Key {
    fn of(event: KeyEvent) -> Self {
        // Shift is in the letter already.
        let ignored = match event.code {
            KeyCode::Char(_) => KeyModifiers::SHIFT,
            _ => KeyModifiers::NONE,
        };
        let counted = KeyModifiers::CONTROL | KeyModifiers::SHIFT | KeyModifiers::ALT;
        Self {
            code: event.code,
            modifiers: event.modifiers & counted & !ignored,
        }
    }

    /// The event of pressing it.
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// The key as people read it.
    pub fn name(self, ascii: bool) -> String {
        let pick = |unicode: &str, plain: &str| (if ascii { plain } else { unicode }).to_owned();
        let name = match self.code {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Enter => pick("⏎", "Enter"),
            KeyCode::Esc => "Esc".to_owned(),
            KeyCode::Backspace => pick("⌫", "Backspace"),
            KeyCode::Up => pick("↑", "Up"),
            KeyCode::Down => pick("↓", "Down"),
            KeyCode::Left => pick("←", "Left"),
            KeyCode::Right => pick("→", "Right"),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::Home => "Home".to_owned(),
            KeyCode::End => "End".to_owned(),
            KeyCode::F(n) => format!("F{n}"),
            other => format!("{other:?}"),
        };
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            format!("^{}", name.to_uppercase())
        } else if self.modifiers.contains(KeyModifiers::SHIFT) {
            pick("⇧", "Shift-") + &name
        } else {
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Mode; 8] = [
        Mode::Fleet,
        Mode::Host,
        Mode::Processes,
        Mode::Changes,
        Mode::Events,
        Mode::Help,
        Mode::Filter,
        Mode::Time,
    ];

    #[test]
    fn no_key_means_two_things_in_one_mode() {
        for mode in ALL {
            let here: Vec<_> = BINDINGS
                .iter()
                .filter(|b| b.modes.contains(&mode))
                .collect();
            for (at, binding) in here.iter().enumerate() {
                for key in binding.keys {
                    let again = here[..at].iter().find(|other| other.keys.contains(key));
                    assert!(again.is_none(), "{} in {mode:?}", key.name(true));
                }
            }
        }
    }

    #[test]
    fn every_mode_can_be_left_and_has_a_footer_of_at_most_seven() {
        for mode in ALL {
            let here = || BINDINGS.iter().filter(|b| b.modes.contains(&mode));
            assert!(
                here().any(|b| matches!(b.action, Action::Back | Action::Quit)),
                "{mode:?}"
            );
            let footers = here().filter(|b| b.footer.is_some()).count();
            assert!((2..=7).contains(&footers), "{mode:?}: {footers}");
        }
    }

    #[test]
    fn keys_are_found() {
        let press = |code, modifiers| action(Mode::Fleet, KeyEvent::new(code, modifiers));
        assert_eq!(
            press(KeyCode::Char('G'), KeyModifiers::SHIFT),
            Some(Action::Last)
        );
        assert_eq!(
            press(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Action::Quit)
        );
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(
            press(KeyCode::Left, KeyModifiers::SHIFT),
            Some(Action::MuchEarlier)
        );
    }
}
