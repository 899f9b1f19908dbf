//! The table of keys.

use crossterm::event::{KeyCode, KeyModifiers};

use super::{Action, Binding, Key, Mode};

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
    Mode::Pane,
    Mode::Burst,
    Mode::Processes,
    Mode::Process,
    Mode::Top,
    Mode::Changes,
    Mode::Events,
    Mode::Compare,
    Mode::Help,
];
const PLACES: &[Mode] = &[
    Mode::Fleet,
    Mode::Host,
    Mode::Pane,
    Mode::Burst,
    Mode::Processes,
    Mode::Process,
    Mode::Top,
    Mode::Changes,
    Mode::Events,
    Mode::Compare,
];
const FLEET: &[Mode] = &[Mode::Fleet];
const COLUMNS: &[Mode] = &[Mode::Columns];
const LISTS: &[Mode] = &[Mode::Fleet, Mode::Processes, Mode::Top];
const SORTED: &[Mode] = &[Mode::Fleet, Mode::Processes, Mode::Top, Mode::Pane];
const PROMPTS: &[Mode] = &[Mode::Filter, Mode::Time, Mode::Palette, Mode::Export];
const PALETTE: &[Mode] = &[Mode::Palette];

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
        "open the selected host, or fold the group",
        Some("open"),
    ),
    bind(
        &[Mode::Host],
        &[key(KeyCode::Enter), char('z')],
        Action::Zoom,
        "the pane fills the screen",
        Some("zoom"),
    ),
    bind(
        &[Mode::Host, Mode::Pane],
        &[char('p')],
        Action::Processes,
        "processes of the host",
        Some("processes"),
    ),
    bind(
        FLEET,
        &[char('p')],
        Action::Top,
        "the busiest processes of all hosts",
        None,
    ),
    bind(
        &[Mode::Top],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "the process among those of its host",
        Some("go there"),
    ),
    bind(
        &[Mode::Processes],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "details of the process",
        Some("details"),
    ),
    bind(
        &[Mode::Host, Mode::Pane],
        &[key(KeyCode::Tab)],
        Action::NextPane,
        "to the next pane",
        None,
    ),
    bind(
        &[Mode::Host, Mode::Pane],
        &[shift(KeyCode::Tab)],
        Action::PreviousPane,
        "to the pane before",
        None,
    ),
    bind(
        &[Mode::Pane],
        &[char('z'), key(KeyCode::Enter)],
        Action::Back,
        "the pane in its place again",
        None,
    ),
    bind(
        &[Mode::Host, Mode::Pane, Mode::Burst],
        &[char('b')],
        Action::Burst,
        "ten samples a second for a minute",
        None,
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
        &[Mode::Events],
        &[char('A')],
        Action::Acknowledge,
        "you take care of the alert, or no more",
        Some("acknowledge"),
    ),
    bind(
        LISTS,
        &[char('/')],
        Action::Filter,
        "filter: words, #tag, is:offline, or a regex",
        Some("filter"),
    ),
    bind(
        FLEET,
        &[key(KeyCode::Esc)],
        Action::ClearFilter,
        "show all again; then mark none",
        None,
    ),
    bind(
        FLEET,
        &[char(' ')],
        Action::Mark,
        "mark the host, to be compared",
        None,
    ),
    bind(
        &[Mode::Compare],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "open the selected host",
        Some("open"),
    ),
    bind(
        &[Mode::Compare],
        &[char('m')],
        Action::Metric,
        "compare the next metric",
        Some("metric"),
    ),
    bind(
        &[Mode::Compare],
        &[char('v')],
        Action::Overlay,
        "all in one chart, or each in its own",
        Some("overlay"),
    ),
    bind(
        &[Mode::Compare],
        &[char('c')],
        Action::Compare,
        "with itself a day, a week or an hour before",
        Some("its past"),
    ),
    bind(
        &[Mode::Fleet, Mode::Host],
        &[char('c')],
        Action::Compare,
        "compare marked hosts, or one with its past",
        None,
    ),
    bind(
        FLEET,
        &[char('#')],
        Action::Group,
        "by tag, with totals, or in one list",
        None,
    ),
    bind(
        FLEET,
        &[char('z')],
        Action::FoldAll,
        "fold all groups, or unfold them",
        None,
    ),
    bind(
        FLEET,
        &[char('|')],
        Action::Columns,
        "choose the columns",
        None,
    ),
    bind(
        COLUMNS,
        &[char(' '), key(KeyCode::Enter)],
        Action::Toggle,
        "show the column, or hide it",
        Some("show or hide"),
    ),
    bind(
        COLUMNS,
        &[key(KeyCode::Up), char('k')],
        Action::Up,
        "the column before",
        None,
    ),
    bind(
        COLUMNS,
        &[key(KeyCode::Down), char('j')],
        Action::Down,
        "the next column",
        None,
    ),
    bind(
        COLUMNS,
        &[key(KeyCode::Esc), char('|'), ctrl('c')],
        Action::Back,
        "done",
        Some("done"),
    ),
    bind(
        SORTED,
        &[char('s')],
        Action::Sort,
        "sort by the next column",
        Some("sort"),
    ),
    bind(
        SORTED,
        &[char('r')],
        Action::Reverse,
        "turn the order around",
        None,
    ),
    bind(
        &[Mode::Processes],
        &[char('v')],
        Action::Arrange,
        "as a tree, by program, by container or unit",
        None,
    ),
    bind(
        &[
            Mode::Host,
            Mode::Pane,
            Mode::Burst,
            Mode::Processes,
            Mode::Process,
            Mode::Top,
            Mode::Changes,
            Mode::Events,
            Mode::Compare,
            Mode::Help,
        ],
        &[key(KeyCode::Esc), key(KeyCode::Backspace), char('h')],
        Action::Back,
        "go back",
        Some("back"),
    ),
    bind(
        &[
            Mode::Fleet,
            Mode::Host,
            Mode::Pane,
            Mode::Processes,
            Mode::Process,
            Mode::Top,
        ],
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
        &[char('-')],
        Action::ZoomOut,
        "more time in the strip",
        None,
    ),
    bind(
        PLACES,
        &[char('+'), char('=')],
        Action::ZoomIn,
        "less time in the strip",
        None,
    ),
    bind(
        &[Mode::Fleet, Mode::Host, Mode::Pane],
        &[char('w')],
        Action::Changes,
        "what changed against the ten minutes before",
        Some("what changed"),
    ),
    // The same; their footers are full.
    bind(
        &[Mode::Processes, Mode::Process, Mode::Top],
        &[char('w')],
        Action::Changes,
        "what changed against the ten minutes before",
        None,
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
        &[char('f'), ctrl(' ')],
        Action::Freeze,
        "stop at this moment, or go on",
        None,
    ),
    bind(
        PLACES,
        &[char(':')],
        Action::Palette,
        "every command, host, metric and theme by name",
        None,
    ),
    bind(
        PLACES,
        &[char('y')],
        Action::Copy,
        "copy the selected row, or the host's values",
        None,
    ),
    bind(
        PLACES,
        &[char('e')],
        Action::Export,
        "save what is shown: .svg, .txt, .json, .csv",
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
        PALETTE,
        &[key(KeyCode::Down), key(KeyCode::Tab), ctrl('n')],
        Action::Down,
        "the next command",
        Some("next"),
    ),
    bind(
        PALETTE,
        &[key(KeyCode::Up), shift(KeyCode::Tab), ctrl('p')],
        Action::Up,
        "the command before",
        None,
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
