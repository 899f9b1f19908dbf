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

/// A binding without a place in the footer.
const fn hidden(
    modes: &'static [Mode],
    keys: &'static [Key],
    action: Action,
    help: &'static str,
) -> Binding {
    bind(modes, keys, action, help, None)
}

/// Every binding, in the order of the help. The first match applies.
pub const BINDINGS: &[Binding] = &[
    bind(
        FLEET,
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "open the selected host, or collapse the group",
        Some("open"),
    ),
    bind(
        &[Mode::Host],
        &[key(KeyCode::Enter), char('z')],
        Action::Zoom,
        "maximize the focused pane",
        Some("zoom"),
    ),
    bind(
        &[Mode::Host, Mode::Pane],
        &[char('p')],
        Action::Processes,
        "processes of the host",
        Some("processes"),
    ),
    hidden(
        FLEET,
        &[char('p')],
        Action::Top,
        "the busiest processes of all hosts",
    ),
    bind(
        &[Mode::Top],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "open the process on its host",
        Some("open"),
    ),
    bind(
        &[Mode::Processes],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "process details",
        Some("details"),
    ),
    hidden(
        &[Mode::Host, Mode::Pane],
        &[key(KeyCode::Tab)],
        Action::NextPane,
        "focus the next pane",
    ),
    hidden(
        &[Mode::Host, Mode::Pane],
        &[shift(KeyCode::Tab)],
        Action::PreviousPane,
        "focus the previous pane",
    ),
    hidden(
        &[Mode::Pane],
        &[char('z'), key(KeyCode::Enter)],
        Action::Back,
        "restore the pane",
    ),
    hidden(
        &[Mode::Host, Mode::Pane, Mode::Burst],
        &[char('b')],
        Action::Burst,
        "ten samples per second for a minute",
    ),
    bind(
        &[Mode::Changes],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "open the host at the start of the change",
        Some("open"),
    ),
    bind(
        &[Mode::Events],
        &[key(KeyCode::Enter), char('l')],
        Action::Open,
        "open the host at the time of the event",
        Some("open"),
    ),
    bind(
        &[Mode::Events],
        &[char('A')],
        Action::Acknowledge,
        "acknowledge the alert, or withdraw that",
        Some("acknowledge"),
    ),
    bind(
        LISTS,
        &[char('/')],
        Action::Filter,
        "filter: words, #tag, is:offline, or a regex",
        Some("filter"),
    ),
    hidden(
        FLEET,
        &[key(KeyCode::Esc)],
        Action::ClearFilter,
        "clear the filter, then the marks",
    ),
    hidden(
        FLEET,
        &[char(' ')],
        Action::Mark,
        "mark the host for comparison",
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
        "one chart for all, or one each",
        Some("overlay"),
    ),
    bind(
        &[Mode::Compare],
        &[char('c')],
        Action::Compare,
        "with itself a day, a week or an hour ago",
        Some("its past"),
    ),
    hidden(
        &[Mode::Fleet, Mode::Host],
        &[char('c')],
        Action::Compare,
        "compare marked hosts, or one with its past",
    ),
    hidden(
        FLEET,
        &[char('#')],
        Action::Group,
        "group by tag with totals, or ungroup",
    ),
    hidden(
        FLEET,
        &[char('z')],
        Action::FoldAll,
        "collapse or expand all groups",
    ),
    hidden(FLEET, &[char('|')], Action::Columns, "choose the columns"),
    bind(
        COLUMNS,
        &[char(' '), key(KeyCode::Enter)],
        Action::Toggle,
        "show or hide the column",
        Some("show or hide"),
    ),
    hidden(
        COLUMNS,
        &[key(KeyCode::Up), char('k')],
        Action::Up,
        "previous column",
    ),
    hidden(
        COLUMNS,
        &[key(KeyCode::Down), char('j')],
        Action::Down,
        "next column",
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
    hidden(SORTED, &[char('r')], Action::Reverse, "reverse order"),
    hidden(
        &[Mode::Processes],
        &[char('v')],
        Action::Arrange,
        "tree, by program, by container or unit",
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
    hidden(
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
        "alerts and events",
    ),
    hidden(
        PLACES,
        &[char('[')],
        Action::PreviousEvent,
        "previous event",
    ),
    hidden(PLACES, &[char(']')], Action::NextEvent, "next event"),
    hidden(
        PLACES,
        &[char('-')],
        Action::ZoomOut,
        "more time in the strip",
    ),
    hidden(
        PLACES,
        &[char('+'), char('=')],
        Action::ZoomIn,
        "less time in the strip",
    ),
    bind(
        &[Mode::Fleet, Mode::Host, Mode::Pane],
        &[char('w')],
        Action::Changes,
        "what changed in the last minute",
        Some("what changed"),
    ),
    // Without footer: those of these screens are full.
    hidden(
        &[Mode::Processes, Mode::Process, Mode::Top],
        &[char('w')],
        Action::Changes,
        "what changed in the last minute",
    ),
    hidden(ANY, &[key(KeyCode::Up), char('k')], Action::Up, "up"),
    hidden(ANY, &[key(KeyCode::Down), char('j')], Action::Down, "down"),
    hidden(
        ANY,
        &[key(KeyCode::PageUp), ctrl('b')],
        Action::PageUp,
        "up a screen",
    ),
    hidden(
        ANY,
        &[key(KeyCode::PageDown), ctrl('f')],
        Action::PageDown,
        "down a screen",
    ),
    hidden(
        ANY,
        &[key(KeyCode::Home), char('g')],
        Action::First,
        "to the top",
    ),
    hidden(
        ANY,
        &[shift(KeyCode::End), char('G')],
        Action::Last,
        "to the bottom",
    ),
    bind(
        PLACES,
        &[key(KeyCode::Left)],
        Action::Earlier,
        "one step back in time",
        Some("past"),
    ),
    hidden(
        PLACES,
        &[key(KeyCode::Right)],
        Action::Later,
        "one step forward",
    ),
    hidden(
        PLACES,
        &[shift(KeyCode::Left)],
        Action::MuchEarlier,
        "ten steps back in time",
    ),
    hidden(
        PLACES,
        &[shift(KeyCode::Right)],
        Action::MuchLater,
        "ten steps forward",
    ),
    hidden(
        PLACES,
        &[char('t')],
        Action::GoToTime,
        "go to a time: 14:03, -2h, yesterday 9:00",
    ),
    hidden(PLACES, &[key(KeyCode::End)], Action::Live, "back to live"),
    hidden(
        PLACES,
        &[char('f'), ctrl(' ')],
        Action::Freeze,
        "freeze this moment, or resume",
    ),
    hidden(
        PLACES,
        &[char(':')],
        Action::Palette,
        "run a command, open a host, set a theme",
    ),
    hidden(
        PLACES,
        &[char('y')],
        Action::Copy,
        "copy the selected row, or the host's values",
    ),
    hidden(
        PLACES,
        &[char('e')],
        Action::Export,
        "export the screen: .svg, .txt, .json, .csv",
    ),
    hidden(PLACES, &[char('T')], Action::Theme, "next theme"),
    hidden(ANY, &[ctrl('l')], Action::Redraw, "redraw"),
    hidden(ANY, &[ctrl('z')], Action::Suspend, "suspend; `fg` resumes"),
    bind(
        ANY,
        &[char('?'), key(KeyCode::F(1))],
        Action::Help,
        "show or hide this help",
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
        "next command",
        Some("next"),
    ),
    hidden(
        PALETTE,
        &[key(KeyCode::Up), shift(KeyCode::Tab), ctrl('p')],
        Action::Up,
        "previous command",
    ),
    bind(
        PROMPTS,
        &[key(KeyCode::Enter)],
        Action::Accept,
        "accept",
        Some("OK"),
    ),
    bind(
        PROMPTS,
        &[key(KeyCode::Esc), ctrl('c')],
        Action::Back,
        "cancel",
        Some("cancel"),
    ),
];
