//! Sample data, and screens drawn alone, for tests.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use sysmon_wire::message::{Change, FleetUpdate, HostHealth, HostLine, HostState, HostTick};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{ABSENT, HostFacts, Process, ProcessIdentity, UnixMs};

use crate::context::Context;
use crate::keys::{Keymap, Mode};
use crate::layout;
use crate::screen::Screen;
use crate::theme::ThemeName;

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
        gone: Vec::new(),
        now: UnixMs(1000),
        lines: hosts.iter().enumerate().map(line).collect(),
        ticks: hosts.iter().enumerate().map(tick).collect(),
        sparks: Vec::new(),
    }
}

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
        arguments: sysmon_wire::Label::default(),
    }
}

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

pub(crate) fn context(mode: Mode) -> Context {
    let mut context = Context::new(ThemeName::Dark, false, TimeZone::UTC, Keymap::default());
    context.enter(mode);
    context
}

pub(crate) fn drawn(
    screen: &dyn Screen,
    context: &mut Context,
    (width, height): (u16, u16),
) -> String {
    context.size = Size::new(width, height);
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    screen.draw(context, layout::body(context.size), &mut buffer);
    crate::text::plain(&buffer)
}
