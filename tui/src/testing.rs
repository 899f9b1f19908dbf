//! A small fleet for tests.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use sysmon_wire::message::{FleetUpdate, HostHealth, HostLine, HostState, HostTick};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{ABSENT, HostFacts, UnixMs};

use crate::state::{Options, State};
use crate::theme::ThemeName;

/// Hosts with a name and a CPU utilization in permille, at one second.
pub(crate) fn fleet_update(hosts: &[(&str, i64)]) -> FleetUpdate {
    let line = |(index, (name, _)): (usize, &(&str, i64))| HostLine {
        index: index as u32,
        name: (*name).into(),
        facts: HostFacts::unknown(),
        health: HostHealth::default(),
        notes: Vec::new(),
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
    })
}
