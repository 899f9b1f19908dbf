//! One table `(mode, key) → action`, from which help, footer and palette follow.

mod map;
mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub use map::{Bound, Keymap, KeymapError};
pub use table::BINDINGS;

named! {
    /// A screen, overlay or prompt: what keys mean depends on it.
    #[derive(Hash)]
    pub enum Mode: name {
        Fleet = "fleet",
        Host = "host",
        Pane = "pane",
        Burst = "burst",
        Processes = "processes",
        Process = "process",
        Top = "top processes",
        Checks = "checks",
        Changes = "what changed",
        Events = "events",
        Compare = "comparison",
        Columns = "columns",
        Help = "help",
        Filter = "filter",
        Time = "time",
        Palette = "commands",
        Export = "save",
        Silence = "silence",
    }
}

impl Mode {
    /// Whether it is a screen of its own and not a prompt or overlay.
    pub fn is_place(self) -> bool {
        !self.is_prompt() && !matches!(self, Self::Columns | Self::Help)
    }

    pub fn is_prompt(self) -> bool {
        matches!(
            self,
            Self::Filter | Self::Time | Self::Palette | Self::Export | Self::Silence
        )
    }
}

named! {
    /// What a key does; the name is that of the palette and the configuration.
    #[derive(Hash)]
    pub enum Action: name {
        Quit = "quit",
        Help = "help",
        Processes = "processes",
        Top = "top",
        NextPane = "next-pane",
        PreviousPane = "previous-pane",
        Zoom = "zoom",
        Burst = "burst",
        Checks = "checks",
        Changes = "changes",
        Events = "events",
        Acknowledge = "acknowledge",
        Silence = "silence",
        Silences = "silences",
        Mark = "mark",
        Pin = "pin",
        Compare = "compare",
        Metric = "next-metric",
        Overlay = "overlay",
        PreviousEvent = "previous-event",
        NextEvent = "next-event",
        PreviousProblem = "previous-problem",
        NextProblem = "next-problem",
        ZoomOut = "zoom-out",
        ZoomIn = "zoom-in",
        Back = "back",
        Open = "open",
        Up = "up",
        Down = "down",
        PageUp = "page-up",
        PageDown = "page-down",
        First = "first",
        Last = "last",
        Filter = "filter",
        ClearFilter = "clear-filter",
        Sort = "sort-next",
        Reverse = "reverse",
        Group = "group",
        FoldAll = "fold-all",
        Columns = "columns",
        Toggle = "toggle",
        Arrange = "arrange",
        Freeze = "freeze",
        CursorLeft = "cursor-left",
        CursorRight = "cursor-right",
        Earlier = "earlier",
        Later = "later",
        MuchEarlier = "much-earlier",
        MuchLater = "much-later",
        MinuteEarlier = "minute-earlier",
        MinuteLater = "minute-later",
        GoToTime = "go-to-time",
        Live = "live",
        Theme = "next-theme",
        Redraw = "redraw",
        Suspend = "suspend",
        Copy = "copy",
        CopyLink = "copy-link",
        Export = "export",
        Palette = "commands",
        Accept = "accept",
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub modes: &'static [Mode],
    pub keys: &'static [Key],
    pub action: Action,
    pub help: &'static str,
    pub footer: Option<&'static str>,
}

impl Binding {
    pub fn is_of_prompts(&self) -> bool {
        self.modes.iter().all(|mode| mode.is_prompt())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Key {
    const fn new(code: KeyCode, modifiers: KeyModifiers) -> Self {
        Self { code, modifiers }
    }

    fn of(event: KeyEvent) -> Self {
        // Shift is in the letter already.
        let ignored = match event.code {
            KeyCode::Char(_) => KeyModifiers::SHIFT,
            _ => KeyModifiers::NONE,
        };
        let counted = KeyModifiers::CONTROL | KeyModifiers::SHIFT | KeyModifiers::ALT;
        if event.code == KeyCode::BackTab {
            // Terminals have a code of its own for it.
            return Self::new(KeyCode::Tab, KeyModifiers::SHIFT);
        }
        Self::new(event.code, event.modifiers & counted & !ignored)
    }

    pub fn event(self) -> KeyEvent {
        KeyEvent::new(self.code, self.modifiers)
    }

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

    #[test]
    fn a_key_has_one_meaning_in_a_mode() {
        for &mode in Mode::ALL {
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
    fn every_mode_can_be_left_and_has_keys_in_its_footer() {
        for &mode in Mode::ALL {
            let here = || BINDINGS.iter().filter(|b| b.modes.contains(&mode));
            assert!(
                here().any(|b| matches!(b.action, Action::Back | Action::Quit)),
                "{mode:?}"
            );
            let footers = here().filter(|b| b.footer.is_some()).count();
            assert!((1..=10).contains(&footers), "{mode:?}: {footers}");
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
