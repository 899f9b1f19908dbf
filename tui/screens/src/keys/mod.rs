//! Every key: one table `(mode, key) → action` that also makes the help, the footer and the palette.

mod map;
mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub use map::{Bound, Keymap};
pub use table::BINDINGS;

/// What the screen is doing, and so what keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The table of hosts.
    Fleet,
    /// One host.
    Host,
    /// A pane of one host that fills the screen.
    Pane,
    /// One host at ten samples a second.
    Burst,
    /// The processes of one host.
    Processes,
    /// One process.
    Process,
    /// The busiest processes of all hosts.
    Top,
    /// What is different from before, of one host or of all.
    Changes,
    /// What happened, to one host or to all.
    Events,
    /// One metric of several hosts.
    Compare,
    /// The columns of the table of hosts, to choose from.
    Columns,
    /// The help.
    Help,
    /// Typing a filter.
    Filter,
    /// Typing a time.
    Time,
    /// Typing a command.
    Palette,
    /// Typing the name of a file.
    Export,
}

impl Mode {
    /// What the screen is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fleet => "fleet",
            Self::Host => "host",
            Self::Pane => "pane",
            Self::Burst => "burst",
            Self::Processes => "processes",
            Self::Process => "process",
            Self::Top => "top of all hosts",
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

    /// Whether one types here.
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
    /// End the program.
    Quit,
    /// Show what the keys do.
    Help,
    /// Show the host's processes.
    Processes,
    /// Show the busiest processes of all hosts.
    Top,
    /// The next pane has the focus.
    NextPane,
    /// The pane before has the focus.
    PreviousPane,
    /// The pane that has the focus fills the screen.
    Zoom,
    /// Ask for ten samples a second.
    Burst,
    /// Show what is different from before.
    Changes,
    /// Show what happened.
    Events,
    /// Take care of the selected alert, or no longer.
    Acknowledge,
    /// Mark the selected host, or no longer.
    Mark,
    /// Compare hosts, or one with its past.
    Compare,
    /// Compare the next metric.
    Metric,
    /// All lines in one chart, or each in its own.
    Overlay,
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
    /// File hosts under their tags, or list them all.
    Group,
    /// Fold all groups, or unfold them.
    FoldAll,
    /// Choose columns.
    Columns,
    /// Show the chosen column, or hide it.
    Toggle,
    /// Arrange processes in the next way.
    Arrange,
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
    /// Copy the selected row.
    Copy,
    /// Type the name of a file to save what is shown in.
    Export,
    /// Type a command.
    Palette,
    /// Take what was typed.
    Accept,
}

impl Action {
    /// What it is called in the palette and the configuration.
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

impl Binding {
    /// Whether it only counts where one types.
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

    /// The key as people read it.
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
