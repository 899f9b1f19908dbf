//! One table `(mode, key) → action`, from which help, footer and palette follow.

mod map;
mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub use map::{Bound, Keymap, KeymapError};
pub use table::BINDINGS;

/// A screen, overlay or prompt: what keys mean depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Fleet,
    Host,
    /// A maximized pane of a host.
    Pane,
    Burst,
    Processes,
    Process,
    /// The busiest processes of all hosts.
    Top,
    Changes,
    Events,
    Compare,
    /// The list of columns over the table of hosts.
    Columns,
    Help,
    Filter,
    Time,
    Palette,
    Export,
}

impl Mode {
    /// Its name in the help.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Host => "host",
            Self::Pane => "pane",
            Self::Burst => "burst",
            Self::Processes => "processes",
            Self::Process => "process",
            Self::Top => "top processes",
            Self::Changes => "what changed",
            Self::Events => "events",
            Self::Compare => "comparison",
            Self::Columns => "columns",
            Self::Help => "help",
            Self::Filter => "filter",
            Self::Time => "time",
            Self::Palette => "commands",
            Self::Export => "save",
        }
    }

    /// Whether it is a screen of its own and not a prompt or overlay.
    pub fn is_place(self) -> bool {
        !self.is_prompt() && !matches!(self, Self::Columns | Self::Help)
    }

    /// Whether it accepts typed text.
    pub fn is_prompt(self) -> bool {
        matches!(
            self,
            Self::Filter | Self::Time | Self::Palette | Self::Export
        )
    }
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Quit,
    Help,
    Processes,
    Top,
    NextPane,
    PreviousPane,
    Zoom,
    Burst,
    Changes,
    Events,
    Acknowledge,
    Mark,
    Compare,
    Metric,
    Overlay,
    PreviousEvent,
    NextEvent,
    ZoomOut,
    ZoomIn,
    Back,
    Open,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Filter,
    ClearFilter,
    Sort,
    Reverse,
    Group,
    FoldAll,
    Columns,
    Toggle,
    Arrange,
    Freeze,
    Earlier,
    Later,
    MuchEarlier,
    MuchLater,
    GoToTime,
    Live,
    Theme,
    Redraw,
    Suspend,
    Copy,
    Export,
    Palette,
    Accept,
}

impl Action {
    /// Its name in the palette and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Help => "help",
            Self::Processes => "processes",
            Self::Top => "top",
            Self::NextPane => "next-pane",
            Self::PreviousPane => "previous-pane",
            Self::Zoom => "zoom",
            Self::Burst => "burst",
            Self::Changes => "changes",
            Self::Events => "events",
            Self::Acknowledge => "acknowledge",
            Self::Mark => "mark",
            Self::Compare => "compare",
            Self::Metric => "next-metric",
            Self::Overlay => "overlay",
            Self::PreviousEvent => "previous-event",
            Self::NextEvent => "next-event",
            Self::ZoomOut => "zoom-out",
            Self::ZoomIn => "zoom-in",
            Self::Back => "back",
            Self::Open => "open",
            Self::Up => "up",
            Self::Down => "down",
            Self::PageUp => "page-up",
            Self::PageDown => "page-down",
            Self::First => "first",
            Self::Last => "last",
            Self::Filter => "filter",
            Self::ClearFilter => "clear-filter",
            Self::Sort => "sort-next",
            Self::Reverse => "reverse",
            Self::Group => "group",
            Self::FoldAll => "fold-all",
            Self::Columns => "columns",
            Self::Toggle => "toggle",
            Self::Arrange => "arrange",
            Self::Freeze => "freeze",
            Self::Earlier => "earlier",
            Self::Later => "later",
            Self::MuchEarlier => "much-earlier",
            Self::MuchLater => "much-later",
            Self::GoToTime => "go-to-time",
            Self::Live => "live",
            Self::Theme => "next-theme",
            Self::Redraw => "redraw",
            Self::Suspend => "suspend",
            Self::Copy => "copy",
            Self::Export => "export",
            Self::Palette => "commands",
            Self::Accept => "accept",
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it applies.
    pub modes: &'static [Mode],
    pub keys: &'static [Key],
    pub action: Action,
    /// What the help says.
    pub help: &'static str,
    /// What the footer says, for the most important keys.
    pub footer: Option<&'static str>,
}

impl Binding {
    /// Whether it applies to prompts only.
    pub fn is_of_prompts(&self) -> bool {
        self.modes.iter().all(|mode| mode.is_prompt())
    }
}

/// A key of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Key {
    fn of(event: KeyEvent) -> Self {
        // Shift is in the letter already.
        let ignored = match event.code {
            KeyCode::Char(_) => KeyModifiers::SHIFT,
            _ => KeyModifiers::NONE,
        };
        let counted = KeyModifiers::CONTROL | KeyModifiers::SHIFT | KeyModifiers::ALT;
        if event.code == KeyCode::BackTab {
            // Terminals have a code of its own for it.
            return Self {
                code: KeyCode::Tab,
                modifiers: KeyModifiers::SHIFT,
            };
        }
        Self {
            code: event.code,
            modifiers: event.modifiers & counted & !ignored,
        }
    }

    /// The event of pressing it.
    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

    /// The key for display.
    pub fn name(self, ascii: bool) -> String {
        let pick = |unicode: &str, plain: &str| (if ascii { plain } else { unicode }).to_owned();
        let name = match self.code {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Enter => pick("⏎", "Enter"),
            KeyCode::Esc => "Esc".to_owned(),
            KeyCode::Backspace => pick("⌫", "Backspace"),
            KeyCode::Tab => "Tab".to_owned(),
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
        } else if self.modifiers.contains(KeyModifiers::ALT) {
            format!("Alt-{name}")
        } else {
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Mode; 15] = [
        Mode::Fleet,
        Mode::Host,
        Mode::Pane,
        Mode::Burst,
        Mode::Processes,
        Mode::Process,
        Mode::Top,
        Mode::Changes,
        Mode::Events,
        Mode::Columns,
        Mode::Help,
        Mode::Filter,
        Mode::Time,
        Mode::Palette,
        Mode::Export,
    ];

    #[test]
    fn a_key_has_one_meaning_in_a_mode() {
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
    fn every_mode_can_be_left_and_has_at_most_seven_footer_keys() {
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
        let press =
            |code, modifiers| Keymap::default().action(Mode::Fleet, KeyEvent::new(code, modifiers));
        assert_eq!(
            press(KeyCode::Char('G'), KeyModifiers::SHIFT),
            Some(Action::Last)
        );
        assert_eq!(
            press(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Action::Quit)
        );
        assert_eq!(
            press(KeyCode::Char('c'), KeyModifiers::NONE),
            Some(Action::Compare)
        );
        assert_eq!(
            press(KeyCode::Left, KeyModifiers::SHIFT),
            Some(Action::MuchEarlier)
        );
    }
}
