//! The fleet as subscribers get it: a first picture, then what changes. Pure.

use sysmon_client::Skew;
use sysmon_wire::limits::HOSTS_PER_FRAME_MAX;
use sysmon_wire::message::{FleetUpdate, HostLine, HostTick, Spark};
use sysmon_wire::{Label, UnixMs};

use super::sparks::{self, SparkRequest};
use crate::VERSION;
use crate::fleet::{Fleet, FleetView, HostId, HostView};
use crate::host::Host;

/// The whole fleet as it is at `now`, or was at `at`, in frames of some hosts each.
///
/// An empty fleet makes one frame too.
pub fn fleet_picture(
    fleet: &FleetView<'_>,
    at: Option<UnixMs>,
    now: UnixMs,
    request: &SparkRequest,
) -> Vec<FleetUpdate> {
    let hosts: Vec<_> = fleet.machines().collect();
    let moment = at.unwrap_or(now);
    let picture = |part: &[(HostId, HostView<'_>)]| {
        let mut update = empty(moment);
        for (id, host) in part {
            update.lines.push(line_at(*id, host, moment));
            let (tick, history) = match at {
                None => (tick(*id, host), sparks::history(*id, *host, None, request)),
                Some(at) => sparks::past(*id, *host, at, request),
            };
            update.ticks.push(tick);
            update.sparks.extend(history);
        }
        update
    };
    if hosts.is_empty() {
        return vec![empty(moment)];
    }
    hosts.chunks(HOSTS_PER_FRAME_MAX).map(picture).collect()
}

pub fn empty(now: UnixMs) -> FleetUpdate {
    FleetUpdate {
        now,
        lines: Vec::new(),
        ticks: Vec::new(),
        gone: Vec::new(),
        sparks: Vec::new(),
    }
}

/// What changed after `generation`; empty if nothing did.
pub fn fleet_changes(fleet: &Fleet, generation: u64, now: UnixMs) -> Vec<FleetUpdate> {
    let machines = fleet.machines();
    let changed: Vec<_> = machines
        .filter(|(_, host)| host.changed > generation)
        .collect();
    let update = |part: &[(HostId, &Host)]| FleetUpdate {
        lines: part
            .iter()
            .filter(|(_, host)| host.line_changed > generation)
            .map(|(id, host)| line(*id, host))
            .collect(),
        ticks: part.iter().map(|(id, host)| tick(*id, host)).collect(),
        ..empty(now)
    };
    let gone: Vec<u32> = fleet.gone_since(generation).map(|id| id.0).collect();
    let mut updates: Vec<_> = changed.chunks(HOSTS_PER_FRAME_MAX).map(update).collect();
    for gone in gone.chunks(HOSTS_PER_FRAME_MAX) {
        updates.push(FleetUpdate {
            gone: gone.to_vec(),
            ..empty(now)
        });
    }
    updates
}

/// History of the hosts that got rows of the past after `generation`; empty if none did.
pub fn history_changes(
    fleet: &Fleet,
    generation: u64,
    now: UnixMs,
    request: &SparkRequest,
) -> Vec<FleetUpdate> {
    let changed = hosts_with_new_past(fleet, generation);
    let update = |part: &[HostId]| FleetUpdate {
        sparks: histories(&fleet.view(), part, None, request),
        ..empty(now)
    };
    changed.chunks(HOSTS_PER_FRAME_MAX).map(update).collect()
}

pub fn hosts_with_new_past(fleet: &Fleet, generation: u64) -> Vec<HostId> {
    let machines = fleet.machines();
    let changed = machines.filter(|(_, host)| host.past_changed > generation);
    changed.map(|(id, _)| id).collect()
}

pub fn histories(
    view: &FleetView<'_>,
    hosts: &[HostId],
    end: Option<UnixMs>,
    request: &SparkRequest,
) -> Vec<Spark> {
    let known = hosts.iter().filter_map(|id| Some((*id, view.host(*id)?)));
    known
        .flat_map(|(id, host)| sparks::history(id, host, end, request))
        .collect()
}

pub(super) fn line(id: HostId, host: &Host) -> HostLine {
    HostLine {
        index: id.0,
        name: host.name.clone(),
        facts: host.facts.clone(),
        health: host.health(),
        notes: host
            .notes
            .iter()
            .cloned()
            .chain(host.limits.notes())
            .chain(Skew::note(&host.facts, VERSION).map(|note| Label::new(&note)))
            .collect(),
        alerts: host.alerts.clone(),
    }
}

/// Without the alerts that began after a moment.
fn line_at(id: HostId, host: &Host, moment: UnixMs) -> HostLine {
    let mut line = line(id, host);
    line.alerts.retain(|alert| alert.since <= moment);
    line
}

fn tick(id: HostId, host: &Host) -> HostTick {
    let (time, values) = host.present();
    HostTick {
        index: id.0,
        state: host.state,
        time,
        values: values.to_vec(),
    }
}

/// Splits an update that is too long for one message; none if it is about one host only.
pub fn halves(update: FleetUpdate) -> Option<[FleetUpdate; 2]> {
    let lines = update.lines.iter().map(|line| line.index);
    let ticks = update.ticks.iter().map(|tick| tick.index);
    let sparks = update.sparks.iter().map(|spark| spark.index);
    let mut all: Vec<u32> = lines.chain(ticks).chain(sparks).collect();
    all.sort_unstable();
    all.dedup();
    let middle = *all.get(all.len() / 2).filter(|_| all.len() > 1)?;
    let lines = update.lines.into_iter();
    let (lines, more_lines) = lines.partition(|line| line.index < middle);
    let ticks = update.ticks.into_iter();
    let (ticks, more_ticks) = ticks.partition(|tick| tick.index < middle);
    let sparks = update.sparks.into_iter();
    let (sparks, more_sparks) = sparks.partition(|spark| spark.index < middle);
    let half = |lines, ticks, sparks| FleetUpdate {
        lines,
        ticks,
        sparks,
        ..empty(update.now)
    };
    Some([
        half(lines, ticks, sparks),
        half(more_lines, more_ticks, more_sparks),
    ])
}
