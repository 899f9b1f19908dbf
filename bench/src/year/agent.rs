//! A simulated host of the year: the agent's own board and outbox, and what is plugged into it.

use std::time::Duration;

use sysmon_agent::board::{Board, Slot};
use sysmon_agent::outbox::Outbox;
use sysmon_agent::sample::Sample;
use sysmon_agent::spool::{Backfill, Spool, SpoolLimits};
use sysmon_certs::Identity;
use sysmon_clock::Random;
use sysmon_hub::core::Core;
use sysmon_hub::ingest::RowStream;
use sysmon_wire::message::{Lane, Push, RunId};
use sysmon_wire::metrics::{
    CONTAINER_CPU_THROTTLED, CONTAINER_CPU_TIME, CONTAINER_DISK_IO, CONTAINER_MEMORY_USAGE,
    CONTAINER_OOM_KILLS, CONTAINER_PIDS, CPU_UTILIZATION, FS_LIMIT, FS_USAGE, FS_UTILIZATION,
    LOAD_1M, MEMORY_AVAILABLE, MEMORY_LIMIT, Metric, NET_IO, NET_PACKETS, NET_UP, OOM_KILLS,
    UPTIME,
};
use sysmon_wire::{HostFacts, Kind, Label, ProcessIdentity, SeqSet, UnixMs};

use super::hub::Hub;

type Attributes<'a> = &'a [(&'a str, &'a str)];

const RECEIVE: (&str, &str) = ("network.io.direction", "receive");
const TRANSMIT: (&str, &str) = ("network.io.direction", "transmit");

/// Place of the share of the disk that is used among the values of what is always there.
const DISK: usize = 0;

/// Something that has series for a while: a container, an interface or a filesystem.
#[derive(Debug)]
struct Thing {
    until: UnixMs,
    places: Vec<(Slot, Kind)>,
    process: Option<ProcessIdentity>,
}

#[derive(Debug)]
pub(super) struct Agent {
    pub(super) name: Label,
    pub(super) identity: Identity,
    number: u64,
    board: Board,
    always: Vec<(Slot, Kind)>,
    uptime: Slot,
    boot: UnixMs,
    things: Vec<Thing>,
    outbox: Outbox,
    seq: u64,
    stream: Option<RowStream>,
    unconfirmed: SeqSet,
    /// Share of its disk that is used, in per mille.
    pub(super) disk: i64,
    pub(super) oom_kills: i64,
    kills: Slot,
}

impl Agent {
    pub(super) fn new(number: u64, identity: Identity, random: &Random, now: UnixMs) -> Self {
        let mut board = Board::new();
        let mut always = Vec::new();
        let mut add = |metric: &Metric, attributes: Attributes<'_>| {
            always.push((board.slot(metric.series(attributes)), metric.kind));
        };
        let root = ("system.filesystem.mountpoint", "/");
        add(&FS_UTILIZATION, &[root]);
        for metric in [&CPU_UTILIZATION, &LOAD_1M, &MEMORY_AVAILABLE, &MEMORY_LIMIT] {
            add(metric, &[]);
        }
        for core in ["0", "1", "2", "3"] {
            add(&CPU_UTILIZATION, &[("cpu.logical_number", core)]);
        }
        for direction in [RECEIVE, TRANSMIT] {
            add(&NET_IO, &[direction]);
            add(
                &NET_PACKETS,
                &[direction, ("network.interface.name", "eth0")],
            );
        }
        let limits = SpoolLimits {
            memory_bytes: 1 << 20,
            disk_bytes: 0,
            age: Duration::from_hours(24),
        };
        let spool = Spool::new(RunId(random.u64()), limits, Vec::new());
        let facts = HostFacts {
            boot: now,
            ..HostFacts::unknown()
        };
        Self {
            name: Label::new(identity.peer().name.as_str()),
            number,
            uptime: board.slot(UPTIME.series(&[])),
            kills: board.slot(OOM_KILLS.series(&[])),
            board,
            always,
            boot: now,
            things: Vec::new(),
            outbox: Outbox::new(spool, facts),
            seq: 0,
            stream: None,
            unconfirmed: SeqSet::new(),
            disk: 400,
            oom_kills: 0,
            identity,
        }
    }

    /// The same host after its machine was started again.
    pub(super) fn rebooted(&self, random: &Random, now: UnixMs) -> Self {
        let mut agent = Self::new(self.number, self.identity.clone(), random, now);
        agent.disk = self.disk;
        agent
    }

    fn plug(&mut self, until: UnixMs, series: &[(&Metric, Attributes<'_>)]) -> &mut Thing {
        let place = |(metric, attributes): &(&Metric, Attributes<'_>)| {
            (self.board.slot(metric.series(attributes)), metric.kind)
        };
        let places = series.iter().map(place).collect();
        self.things.push(Thing {
            until,
            places,
            process: None,
        });
        let last = self.things.len() - 1;
        &mut self.things[last]
    }

    pub(super) fn start_container(&mut self, number: u64, now: UnixMs, until: UnixMs) {
        let name = format!("job-{number}");
        let of = ("container.name", name.as_str());
        let thing = self.plug(
            until,
            &[
                (&CONTAINER_CPU_TIME, &[of]),
                (&CONTAINER_CPU_THROTTLED, &[of]),
                (&CONTAINER_MEMORY_USAGE, &[of]),
                (&CONTAINER_DISK_IO, &[("disk.io.direction", "read"), of]),
                (&CONTAINER_DISK_IO, &[("disk.io.direction", "write"), of]),
                (&CONTAINER_PIDS, &[of]),
                (&CONTAINER_OOM_KILLS, &[of]),
            ],
        );
        thing.process = Some(ProcessIdentity {
            pid: 1_000 + (number % 30_000) as u32,
            start: now,
            user: Label::new("job"),
            command: Label::new("/usr/bin/job"),
            cgroup: Label::new(&name),
        });
    }

    pub(super) fn plug_in_interface(&mut self, number: u64, until: UnixMs) {
        let name = format!("veth{number}");
        let of = ("network.interface.name", name.as_str());
        self.plug(
            until,
            &[
                (&NET_IO, &[of, RECEIVE]),
                (&NET_IO, &[of, TRANSMIT]),
                (&NET_PACKETS, &[of, RECEIVE]),
                (&NET_PACKETS, &[of, TRANSMIT]),
                (&NET_UP, &[of]),
            ],
        );
    }

    pub(super) fn mount(&mut self, number: u64, until: UnixMs) {
        let path = format!("/media/stick-{number}");
        let of = ("system.filesystem.mountpoint", path.as_str());
        self.plug(
            until,
            &[
                (&FS_LIMIT, &[of]),
                (&FS_USAGE, &[of, ("system.filesystem.state", "used")]),
                (&FS_USAGE, &[of, ("system.filesystem.state", "free")]),
                (&FS_UTILIZATION, &[of]),
            ],
        );
    }

    /// Takes a sample, as every agent does once in its interval.
    pub(super) fn sample(&mut self, now: UnixMs) {
        let board = &mut self.board;
        self.things.retain(|thing| {
            let stays = thing.until > now;
            if !stays {
                thing
                    .places
                    .iter()
                    .for_each(|(slot, _)| board.release(*slot));
            }
            stays
        });
        board.tidy();
        let minute = now.0 / 60_000;
        let things = self.things.iter().flat_map(|thing| &thing.places);
        for ((slot, kind), at) in self.always.iter().chain(things).zip(0i64..) {
            let noise = (minute.wrapping_mul(7_919) + at * 104_729 + self.number as i64) % 97;
            let value = match kind {
                Kind::Counter => minute % 1_000_000 * (1_000 + at) + noise,
                Kind::Gauge => 200 + noise % (3 + at % 60),
            };
            board.set(*slot, value);
        }
        if let Some((slot, _)) = self.always.get(DISK) {
            board.set(*slot, self.disk);
        }
        board.set(self.uptime, (now - self.boot) / 1_000);
        board.set(self.kills, self.oom_kills);
        let processes: Vec<ProcessIdentity> = self
            .things
            .iter()
            .filter_map(|thing| thing.process.clone())
            .collect();
        self.seq += 1;
        let sample = Sample {
            table: board.table(),
            series: board.keys(),
            values: board.values(),
            processes: &processes,
        };
        self.outbox.push(self.seq, now, &sample);
    }

    /// Connects, and sends the rows that it has not got.
    pub(super) fn connect(&mut self, hub: &mut Hub, run_now: UnixMs) -> anyhow::Result<()> {
        let id = hub.core.host_id(&self.name)?;
        hub.core.fleet.set_facts(id, self.outbox.facts().clone());
        self.outbox.connected();
        let mut lanes = [RowStream::new(id), RowStream::new(id)];
        let run = self.run();
        for (stream, lane) in lanes.iter_mut().zip([Lane::Live, Lane::Backfill]) {
            stream.ingest(Push::Begin { run, lane }, &mut hub.core, run_now)?;
        }
        let [live, mut backfill] = lanes;
        while let Some(Backfill::Frames(frames)) = self.outbox.next_backfill() {
            self.take(&mut backfill, frames, &mut hub.core, run_now)?;
        }
        self.stream = Some(live);
        Ok(())
    }

    fn run(&self) -> RunId {
        self.outbox.run()
    }

    pub(super) fn disconnect(&mut self) {
        self.outbox.disconnected();
        self.stream = None;
        self.unconfirmed = SeqSet::new();
    }

    pub(super) fn is_connected(&self) -> bool {
        self.stream.is_some()
    }

    /// Sends the newest row.
    pub(super) fn send(&mut self, hub: &mut Hub, now: UnixMs) -> anyhow::Result<()> {
        let frames = self.outbox.take_live();
        if let Some(mut stream) = self.stream.take() {
            self.take(&mut stream, frames, &mut hub.core, now)?;
            self.stream = Some(stream);
        }
        Ok(())
    }

    fn take(
        &mut self,
        stream: &mut RowStream,
        frames: Vec<Push>,
        core: &mut Core,
        now: UnixMs,
    ) -> anyhow::Result<()> {
        for frame in frames {
            let ingested = stream.ingest(frame, core, now)?;
            let rows = ingested.rows.filter(|(run, _)| *run == self.run());
            for (low, high) in rows.iter().flat_map(|(_, rows)| rows.ranges()) {
                self.unconfirmed.insert_range(*low, *high);
            }
        }
        Ok(())
    }

    /// Everything that the hub has received is on its disk.
    pub(super) fn confirm(&mut self) {
        let run = self.run();
        let rows = self.unconfirmed.take();
        if !rows.is_empty() {
            self.outbox.acknowledge(run, rows.ranges());
        }
    }

    /// How often its own limit of series left something out.
    pub(super) fn limits_reached(&self) -> u64 {
        self.board.limit().reached_total + self.outbox.dropped_rows()
    }
}
