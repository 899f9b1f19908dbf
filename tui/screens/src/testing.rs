//! A small fleet for tests.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_config::{Column, Order};
use sysmon_wire::message::{Change, FleetUpdate, HostHealth, HostLine, HostState, HostTick};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{ABSENT, HostFacts, Process, ProcessIdentity, UnixMs};

use crate::keys::Keymap;
use crate::state::{Feed, Options, State};
use crate::theme::ThemeName;
use crate::update::{Effect, Message, update};

/// Hosts with a name and a CPU utilization in permille, at one second.
pub(crate) fn fleet_update(hosts: &[(&str, i64)]) -> FleetUpdate {
    let line = |(index, (name, _)): (usize, &(&str, i64))| HostLine {
        index: index as u32,
        name: (*name).into(),
        facts: HostFacts::unknown(),
        health: HostHealth::default(),
        notes: Vec::new(),
        alerts: Vec::new(),
    };
    let tick = |(index, (_, cpu)): (usize, &(&str, i64))| {
        let mut values = vec![ABSENT; SUMMARY];
        values[0] = *cpu;
        HostTick {
            index: index as u32,
            state: HostState::Live,
            time: UnixMs(1000),
            values,
        }
    };
    FleetUpdate {
        now: UnixMs(1000),
        lines: hosts.iter().enumerate().map(line).collect(),
        ticks: hosts.iter().enumerate().map(tick).collect(),
        sparks: Vec::new(),
    }
}

/// The screen as text.
pub(crate) fn screen(state: &State, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    crate::view::draw(state, area, &mut buffer);
    crate::text::plain(&buffer)
}

/// An empty screen.
pub(crate) fn state() -> State {
    State::new(Options {
        theme: ThemeName::Dark,
        ascii: false,
        zone: TimeZone::UTC,
        keys: Keymap::default(),
        sort: Order::default(),
        columns: Column::all(),
    })
}

/// A process with a command, thousandths of a processor and bytes of memory.
pub(crate) fn process(pid: u32, command: &str, cpu_permille: u32, memory_bytes: u64) -> Process {
    Process {
        identity: ProcessIdentity {
            pid,
            start: UnixMs(1),
            user: "root".into(),
            command: command.into(),
            cgroup: "".into(),
        },
        parent: 1,
        state: b'S',
        threads: 1,
        cpu_permille,
        memory_bytes,
        read_bytes_per_s: 0,
        write_bytes_per_s: 0,
    }
}

/// A series of a host that is different from before.
pub(crate) fn change(host: &str, metric: &str, before: f64, after: f64) -> Change {
    Change {
        host: host.into(),
        metric: metric.into(),
        attributes: Vec::new(),
        process: None,
        unit: "1".into(),
        before,
        after,
        began: UnixMs(0),
        score: 0.5,
    }
}

/// Presses keys one after the other; what the last one did.
pub(crate) fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            '\u{8}' => KeyCode::Backspace,
            '<' => KeyCode::Left,
            '>' => KeyCode::Right,
            c => KeyCode::Char(c),
        };
        let (code, modifiers) = match code {
            KeyCode::Char('\u{15}') => (KeyCode::Char('u'), KeyModifiers::CONTROL),
            code => (code, KeyModifiers::NONE),
        };
        effects = update(state, Message::Key(KeyEvent::new(code, modifiers)));
    }
    effects
}

/// Three hosts, at second 1000.
pub(crate) fn fleet() -> State {
    let mut state = state();
    update(&mut state, Message::Tick(UnixMs(1_000_000)));
    let update_ = fleet_update(&[("a", 100), ("b", 200), ("c", 300)]);
    update(&mut state, Message::Feed(Feed::Fleet(update_)));
    state
}
