//! The table of keys.

use crossterm::event::{KeyCode, KeyModifiers};

use super::{Action, Binding, Key, Mode};

const fn key(code: KeyCode, modifiers: KeyModifiers) -> Key {
    Key { code, modifiers }
}

/// `Enter`, `'x'`, `(f 1)`, `(ctrl 'x')` or `(shift Tab)`.
macro_rules! key {
    ((f $number:literal)) => {
        key(KeyCode::F($number), KeyModifiers::NONE)
    };
    ((ctrl $char:literal)) => {
        key(KeyCode::Char($char), KeyModifiers::CONTROL)
    };
    ((shift $code:ident)) => {
        key(KeyCode::$code, KeyModifiers::SHIFT)
    };
    ($code:ident) => {
        key(KeyCode::$code, KeyModifiers::NONE)
    };
    ($char:literal) => {
        key(KeyCode::Char($char), KeyModifiers::NONE)
    };
}

/// A named set of modes, or a list of modes.
macro_rules! modes {
    ([$($mode:ident)+]) => {
        &[$(Mode::$mode),+]
    };
    ($set:ident) => {
        $set
    };
}

/// One row a binding: `modes: [keys] => action, help, footer;` where only the most important keys have a footer.
macro_rules! bindings {
    ($($modes:tt: [$($key:tt)+] => $action:ident, $help:literal $(, $footer:literal)?;)+) => {
        &[$(Binding {
            modes: modes!($modes),
            keys: &[$(key!($key)),+],
            action: Action::$action,
            help: $help,
            footer: bindings!(@footer $($footer)?),
        }),+]
    };
    (@footer) => {
        None
    };
    (@footer $footer:literal) => {
        Some($footer)
    };
}

const ANY: &[Mode] =
    modes!([Fleet Host Pane Burst Processes Process Top Changes Events Compare Help]);
const PLACES: &[Mode] =
    modes!([Fleet Host Pane Burst Processes Process Top Changes Events Compare]);
const BELOW: &[Mode] = modes!([Host Pane Burst Processes Process Top Changes Events Compare Help]);
const FLEET: &[Mode] = modes!([Fleet]);
const COLUMNS: &[Mode] = modes!([Columns]);
const LISTS: &[Mode] = modes!([Fleet Processes Top]);
const SORTED: &[Mode] = modes!([Fleet Processes Top Pane]);
const PROMPTS: &[Mode] = modes!([Filter Time Palette Export]);
const PALETTE: &[Mode] = modes!([Palette]);

/// Every binding, in the order of the help. The first match applies.
pub const BINDINGS: &[Binding] = bindings! {
    FLEET: [Enter 'l'] => Open, "open the selected host, or collapse the group", "open";
    [Host]: [Enter 'z'] => Zoom, "maximize the focused pane", "zoom";
    [Host Pane]: ['p'] => Processes, "processes of the host", "processes";
    FLEET: ['p'] => Top, "the busiest processes of all hosts";
    [Top]: [Enter 'l'] => Open, "open the process on its host", "go to";
    [Processes]: [Enter 'l'] => Open, "process details", "details";
    [Host Pane]: [Tab] => NextPane, "focus the next pane";
    [Host Pane]: [(shift Tab)] => PreviousPane, "focus the previous pane";
    [Pane]: ['z' Enter] => Back, "restore the pane";
    [Host Pane Burst]: ['b'] => Burst, "ten samples per second for a minute";
    [Changes]: [Enter 'l'] => Open, "open the host at the start of the change", "go to";
    [Events]: [Enter 'l'] => Open, "open the host at the time of the event", "go to";
    [Events]: ['A'] => Acknowledge, "acknowledge the alert, or withdraw that", "acknowledge";
    LISTS: ['/'] => Filter, "filter: words, #tag, is:offline, or a regex", "filter";
    FLEET: [Esc] => ClearFilter, "clear the filter, then the marks";
    FLEET: [' '] => Mark, "mark the host for comparison";
    [Compare]: [Enter 'l'] => Open, "open the selected host", "open";
    [Compare]: ['m'] => Metric, "compare the next metric", "metric";
    [Compare]: ['v'] => Overlay, "one chart for all, or one each", "overlay";
    [Compare]: ['c'] => Compare, "with itself a day, a week or an hour ago", "its past";
    [Fleet Host]: ['c'] => Compare, "compare marked hosts, or one with its past";
    FLEET: ['#'] => Group, "group by tag with totals, or ungroup";
    FLEET: ['z'] => FoldAll, "collapse or expand all groups";
    FLEET: ['|'] => Columns, "choose the columns";
    COLUMNS: [' ' Enter] => Toggle, "show or hide the column", "show or hide";
    COLUMNS: [Up 'k'] => Up, "previous column";
    COLUMNS: [Down 'j'] => Down, "next column";
    COLUMNS: [Esc '|' (ctrl 'c')] => Back, "done", "done";
    SORTED: ['s'] => Sort, "sort by the next column", "sort";
    SORTED: ['r'] => Reverse, "reverse order";
    [Processes]: ['v'] => Arrange, "tree, by program, by container or unit";
    BELOW: [Esc Backspace 'h'] => Back, "go back", "back";
    [Fleet Host Pane Processes Process Top]: ['a'] => Events, "alerts and events";
    PLACES: ['['] => PreviousEvent, "previous event";
    PLACES: [']'] => NextEvent, "next event";
    PLACES: ['-'] => ZoomOut, "more time in the strip";
    PLACES: ['+' '='] => ZoomIn, "less time in the strip";
    [Fleet Host Pane]: ['w'] => Changes, "what changed in the last minute", "what changed";
    // Without footer: those of these screens are full.
    [Processes Process Top]: ['w'] => Changes, "what changed in the last minute";
    ANY: [Up 'k'] => Up, "up";
    ANY: [Down 'j'] => Down, "down";
    ANY: [PageUp (ctrl 'b')] => PageUp, "up a screen";
    ANY: [PageDown (ctrl 'f')] => PageDown, "down a screen";
    ANY: [Home 'g'] => First, "to the top";
    ANY: [(shift End) 'G'] => Last, "to the bottom";
    PLACES: [Left] => Earlier, "one step back in time", "past";
    PLACES: [Right] => Later, "one step forward";
    PLACES: [(shift Left)] => MuchEarlier, "ten steps back in time";
    PLACES: [(shift Right)] => MuchLater, "ten steps forward";
    PLACES: ['t'] => GoToTime, "go to a time: 14:03, -2h, yesterday 9:00";
    PLACES: [End] => Live, "back to live";
    PLACES: ['f' (ctrl ' ')] => Freeze, "freeze this moment, or resume";
    PLACES: [':'] => Palette, "run a command, open a host, set a theme";
    PLACES: ['y'] => Copy, "copy the selected row, or the host's values";
    PLACES: ['e'] => Export, "export the screen: .svg, .txt, .json, .csv";
    PLACES: ['T'] => Theme, "next theme";
    ANY: [(ctrl 'l')] => Redraw, "redraw";
    ANY: [(ctrl 'z')] => Suspend, "suspend; `fg` resumes";
    ANY: ['?' (f 1)] => Help, "help", "help";
    ANY: ['q' (ctrl 'c')] => Quit, "quit", "quit";
    PALETTE: [Down Tab (ctrl 'n')] => Down, "next command", "next";
    PALETTE: [Up (shift Tab) (ctrl 'p')] => Up, "previous command";
    PROMPTS: [Enter] => Accept, "accept", "OK";
    PROMPTS: [Esc (ctrl 'c')] => Back, "cancel", "cancel";
};
