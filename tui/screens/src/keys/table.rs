//! The table of keys.

use crossterm::event::{KeyCode, KeyModifiers};

use super::{Action, Binding, Key, Mode};

macro_rules! modes {
    ([$($mode:ident)+]) => { &[$(Mode::$mode),+] };
    ($group:ident) => { $group };
}

macro_rules! key {
    ((Ctrl $char:literal)) => {
        Key::new(KeyCode::Char($char), KeyModifiers::CONTROL)
    };
    ((CtrlKey $code:ident)) => {
        Key::new(KeyCode::$code, KeyModifiers::CONTROL)
    };
    ((Shift $code:ident)) => {
        Key::new(KeyCode::$code, KeyModifiers::SHIFT)
    };
    ((F $number:literal)) => {
        Key::new(KeyCode::F($number), KeyModifiers::NONE)
    };
    ($char:literal) => {
        Key::new(KeyCode::Char($char), KeyModifiers::NONE)
    };
    ($code:ident) => {
        Key::new(KeyCode::$code, KeyModifiers::NONE)
    };
}

/// A row: `modes: [keys] => action, help, footer`.
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
    (@footer) => { None };
    (@footer $footer:literal) => { Some($footer) };
}

const ANY: &[Mode] =
    modes!([Fleet Host Pane Burst Processes Process Top Checks Changes Events Compare Help]);
const PLACES: &[Mode] =
    modes!([Fleet Host Pane Burst Processes Process Top Checks Changes Events Compare]);
/// Places of which the arrows go through time; in the charts of a pane they move a cursor.
const TIMED: &[Mode] =
    modes!([Fleet Host Burst Processes Process Top Checks Changes Events Compare]);
const LEAVABLE: &[Mode] =
    modes!([Host Pane Burst Processes Process Top Checks Changes Events Compare Help]);
/// Modes with rebound keys; those of prompts are fixed.
pub(super) const CONFIGURED: &[Mode] = modes!([Fleet Host Pane Burst Processes Process Top Checks Changes Events Compare Columns Help]);
const SORTED: &[Mode] = modes!([Fleet Processes Top Pane]);
const PROMPTS: &[Mode] = modes!([Filter Time Palette Export Silence]);
/// Screens of which a host or an alert is open or selected.
const ALERTED: &[Mode] = modes!([Fleet Host Pane Processes Process]);

/// Every binding, in the order of the help. The first match applies.
pub const BINDINGS: &[Binding] = bindings! {
    [Fleet]: [Enter 'l'] => Open, "open the selected host, or collapse the group", "open";
    [Host]: [Enter 'z'] => Zoom, "maximize the focused pane", "zoom";
    [Host Pane]: ['p'] => Processes, "processes of the host", "processes";
    [Fleet]: ['p'] => Top, "the busiest processes of all hosts";
    [Top]: [Enter 'l'] => Open, "open the process on its host", "open";
    [Fleet Host]: ['C'] => Checks, "services and heartbeats of all hosts";
    [Checks]: [Enter 'l'] => Open, "open the host that checks it", "open";
    [Processes]: [Enter 'l'] => Open, "process details", "details";
    [Host Pane]: [Tab] => NextPane, "focus the next pane";
    [Host Pane]: [(Shift Tab)] => PreviousPane, "focus the previous pane";
    [Pane]: ['z' Enter] => Back, "restore the pane";
    [Fleet Host Pane Burst]: ['b'] => Burst, "ten samples per second for a minute";
    [Changes]: [Enter 'l'] => Open, "open the host at the start of the change", "open";
    [Events]: [Enter 'l'] => Open, "open the host at the time of the event", "open";
    [Events]: ['A'] => Acknowledge, "acknowledge the alert, or withdraw that", "acknowledge";
    [Events]: ['S'] => Silence, "silence the alert, or end the silence", "silence";
    ALERTED: ['A'] => Acknowledge, "acknowledge the host's worst alert, or withdraw that";
    ALERTED: ['S'] => Silence, "silence the host, its alerts or the group for a time";
    [Fleet Processes Top Checks]: ['/'] => Filter, "filter: words, #tag, is:offline, or, /regex/", "filter";
    [Fleet]: [Esc] => ClearFilter, "clear the filter, then the marks";
    [Fleet]: [' '] => Mark, "mark the host for comparison";
    [Fleet]: ['P'] => Pin, "keep the host at the top (↥), or no longer";
    [Compare]: [Enter 'l'] => Open, "open the selected host";
    [Compare]: ['m'] => Metric, "compare the next metric", "metric";
    [Compare]: ['v'] => Overlay, "one chart for all, or one each", "overlay";
    [Compare]: ['c'] => Compare, "with itself a day, a week or an hour ago", "its past";
    [Fleet Host]: ['c'] => Compare, "compare marked or filtered hosts, or one with its past";
    [Fleet]: ['#'] => Group, "group by tag with totals, or ungroup";
    [Fleet]: ['z'] => FoldAll, "collapse or expand all groups";
    [Fleet]: ['|'] => Columns, "choose the columns";
    [Columns]: [' ' Enter] => Toggle, "show or hide the column", "show or hide";
    [Columns]: [Up 'k'] => Up, "previous column";
    [Columns]: [Down 'j'] => Down, "next column";
    [Columns]: [Esc '|' (Ctrl 'c')] => Back, "done", "done";
    SORTED: ['s'] => Sort, "sort by the next column", "sort";
    SORTED: ['r'] => Reverse, "reverse order";
    [Processes]: ['v'] => Arrange, "tree, by program, by container or unit";
    LEAVABLE: [Esc Backspace 'h'] => Back, "go back", "back";
    [Fleet Host Pane Processes Process Top Checks]: ['a'] => Events, "alerts and events";
    PLACES: ['['] => PreviousEvent, "previous event";
    PLACES: [']'] => NextEvent, "next event";
    ALERTED: ['n'] => NextProblem, "next host with a firing alert";
    ALERTED: ['N'] => PreviousProblem, "previous host with a firing alert";
    PLACES: ['-'] => ZoomOut, "more time in the charts";
    PLACES: ['+' '='] => ZoomIn, "less time in the charts";
    [Fleet Host Pane]: ['w'] => Changes, "what changed in the last minute", "what changed";
    // Without footer: those of these screens are full.
    [Processes Process Top]: ['w'] => Changes, "what changed in the last minute";
    ANY: [Up 'k'] => Up, "up";
    ANY: [Down 'j'] => Down, "down";
    ANY: [PageUp (Ctrl 'b')] => PageUp, "up a screen";
    ANY: [PageDown (Ctrl 'f')] => PageDown, "down a screen";
    ANY: [Home 'g'] => First, "to the top";
    ANY: [(Shift End) 'G'] => Last, "to the bottom";
    [Pane]: [Left] => CursorLeft, "cursor a cell earlier; in tables: time", "cursor";
    [Pane]: [Right] => CursorRight, "cursor a cell later; in tables: time";
    TIMED: [Left] => Earlier, "one step back in time", "past";
    TIMED: [Right] => Later, "one step forward";
    PLACES: [(Shift Left)] => MuchEarlier, "ten steps back in time";
    PLACES: [(Shift Right)] => MuchLater, "ten steps forward";
    PLACES: [(CtrlKey Left)] => MinuteEarlier, "a minute back in time";
    PLACES: [(CtrlKey Right)] => MinuteLater, "a minute forward";
    PLACES: ['t'] => GoToTime, "go to a time: 14:03, -2h, yesterday 9:00";
    PLACES: [End] => Live, "back to live", "live";
    PLACES: ['f' (Ctrl ' ')] => Freeze, "freeze this moment, or resume";
    PLACES: [':'] => Palette, "run a command, open a host, set a theme", "all";
    PLACES: ['y'] => Copy, "copy the selected row; again: the value it is sorted by";
    PLACES: ['Y'] => CopyLink, "copy the command that shows this, for a colleague";
    PLACES: ['e'] => Export, "export the screen: .svg, .txt, .json, .csv";
    PLACES: ['T'] => Theme, "next theme";
    ANY: [(Ctrl 'l')] => Redraw, "redraw";
    ANY: [(Ctrl 'z')] => Suspend, "suspend; `fg` resumes";
    ANY: ['?' (F 1)] => Help, "show or hide this help", "help";
    ANY: ['q' (Ctrl 'c')] => Quit, "quit";
    [Silence]: [Tab Down] => Down, "the next scope: alert, host or tag", "scope";
    [Silence]: [(Shift Tab) Up] => Up, "the previous scope";
    [Palette]: [Down Tab (Ctrl 'n')] => Down, "next command", "next";
    [Palette]: [Up (Shift Tab) (Ctrl 'p')] => Up, "previous command";
    PROMPTS: [Enter] => Accept, "accept", "OK";
    PROMPTS: [Esc (Ctrl 'c')] => Back, "cancel", "cancel";
};
