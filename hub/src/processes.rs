//! A host's processes: identities that rows refer to, and the table while it is demanded. Pure.

use std::collections::HashMap;

use sysmon_wire::limits::{
    ARGUMENTS_PER_FRAME_MAX, FRAME_BYTES_MAX, PROCESSES_PER_TABLE_MAX, RANKED_PROCESSES,
};
use sysmon_wire::message::{Reply, TopBy};
use sysmon_wire::metrics::{
    PROCESS_CPU, PROCESS_DISK_RATE, PROCESS_IDENTITY, PROCESS_MEMORY, PROCESS_RANKED,
    PROCESS_THREADS,
};
use sysmon_wire::{ABSENT, Label, Process, ProcessArguments, ProcessIdentity, SeriesKey, UnixMs};

/// Identities of one host. A host whose busiest processes change every second names some 40,000 in a day, at about
/// 150 bytes each; the oldest are evicted.
pub const IDENTITIES_MAX: usize = 40_000;

/// Bytes of the table, so that it fits a frame to a subscriber too: names may grow when they are cleaned.
const TABLE_BYTES_MAX: usize = FRAME_BYTES_MAX / 4 * 3;

/// Arguments of one host that are in memory; they are never stored, and the oldest are evicted.
const ARGUMENTS_MAX: usize = 2 * PROCESSES_PER_TABLE_MAX;

/// Series of one rank: identity, processors, memory, read, written, threads.
const FIELDS: usize = 6;

#[derive(Debug, Default)]
pub struct HostProcesses {
    identities: HashMap<i64, (ProcessIdentity, UnixMs)>,
    ranks: Ranks,
    pub table: Option<(UnixMs, Vec<Process>)>,
    /// By identity, each with its place in the order of arrival.
    arguments: HashMap<i64, (Label, u64)>,
    arrived: u64,
}

fn bytes_of(process: &Process) -> usize {
    const NUMBERS: usize = 80;
    let identity = &process.identity;
    let texts = [&identity.user, &identity.command, &identity.cgroup];
    NUMBERS + texts.iter().map(|text| text.as_str().len()).sum::<usize>()
}

#[derive(Debug, Default)]
struct Ranks {
    fields: [[Option<u32>; FIELDS]; RANKED_PROCESSES],
    /// By measure, in the order of [`MEASURES`].
    depths: [Option<u32>; MEASURES.len()],
}

/// Values of the attribute `sysmon.process.measure`.
const MEASURES: [&str; 3] = ["cpu", "memory", "disk"];

/// The processes of a row.
#[derive(Clone, Debug, Default)]
pub struct RankedProcesses {
    pub processes: Vec<Process>,
    depths: [Option<u64>; MEASURES.len()],
}

impl RankedProcesses {
    /// Number of top processes that are complete; `None` if the agent does not report it.
    pub fn depth(&self, by: TopBy) -> Option<usize> {
        let [cpu, memory, disk] = self.depths;
        let depth = match by {
            TopBy::Cpu => cpu,
            TopBy::Memory => memory,
            TopBy::Disk => disk,
        };
        depth.and_then(|depth| usize::try_from(depth).ok())
    }
}

impl HostProcesses {
    pub fn note_series(&mut self, index: u32, key: &SeriesKey) {
        if key.metric.name == PROCESS_RANKED.name {
            let measure = key.attribute("sysmon.process.measure");
            let measure = MEASURES
                .iter()
                .position(|known| measure.is_some_and(|m| m == *known));
            if let Some(depth) = measure.and_then(|at| self.ranks.depths.get_mut(at)) {
                *depth = Some(index);
            }
            return;
        }
        let rank = key.attribute("sysmon.rank");
        let rank = rank.and_then(|rank| rank.as_str().parse::<usize>().ok());
        let direction = key.attribute("disk.io.direction").map(Label::as_str);
        let name = key.metric.name.as_str();
        let field = match (name, direction) {
            (name, _) if name == PROCESS_IDENTITY.name => 0,
            (name, _) if name == PROCESS_CPU.name => 1,
            (name, _) if name == PROCESS_MEMORY.name => 2,
            (name, Some("read")) if name == PROCESS_DISK_RATE.name => 3,
            (name, Some("write")) if name == PROCESS_DISK_RATE.name => 4,
            (name, _) if name == PROCESS_THREADS.name => 5,
            _ => return,
        };
        let place = rank.and_then(|rank| self.ranks.fields.get_mut(rank)?.get_mut(field));
        if let Some(place) = place {
            *place = Some(index);
        }
    }

    /// A series no longer has rows.
    pub fn forget_series(&mut self, index: u32) {
        let fields = self.ranks.fields.iter_mut().flatten();
        let places = fields.chain(&mut self.ranks.depths);
        for place in places.filter(|place| **place == Some(index)) {
            *place = None;
        }
    }

    /// Forgets the processes that no row after `horizon` names.
    pub fn forget_before(&mut self, horizon: UnixMs) {
        self.identities.retain(|_, (_, seen)| *seen >= horizon);
    }

    pub fn name(&mut self, processes: Vec<ProcessIdentity>, now: UnixMs) {
        for process in processes {
            if self.identities.len() >= IDENTITIES_MAX {
                self.evict_older_half();
            }
            self.identities.insert(process.id(), (process, now));
        }
    }

    /// Half of them at once, so that this happens rarely.
    fn evict_older_half(&mut self) {
        let mut times: Vec<i64> = self.identities.values().map(|(_, time)| time.0).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        let mut left = middle;
        self.identities.retain(|_, (_, time)| {
            let keep = time.0 > median || (time.0 == median && left > 0);
            left = left.saturating_sub(usize::from(keep));
            keep
        });
    }

    /// What processes were called with, as their agent shows it.
    pub fn set_arguments(&mut self, arguments: Vec<ProcessArguments>) {
        for one in arguments.into_iter().take(ARGUMENTS_PER_FRAME_MAX) {
            if self.arguments.len() >= ARGUMENTS_MAX {
                let oldest = self.arrived.saturating_sub(ARGUMENTS_MAX as u64 / 2);
                self.arguments.retain(|_, (_, arrived)| *arrived > oldest);
            }
            self.arrived += 1;
            self.arguments.insert(one.id, (one.arguments, self.arrived));
        }
        if let Some((_, table)) = &mut self.table {
            fill(&self.arguments, table);
        }
    }

    pub fn set_table(&mut self, time: UnixMs, mut processes: Vec<Process>) {
        let mut bytes = 0;
        let fit = processes.iter().take(PROCESSES_PER_TABLE_MAX);
        let fit = fit.take_while(|process| {
            bytes += bytes_of(process);
            bytes <= TABLE_BYTES_MAX
        });
        let fit = fit.count();
        processes.truncate(fit);
        fill(&self.arguments, &mut processes);
        self.table = Some((time, processes));
    }

    fn arguments_of(&self, id: i64) -> Label {
        let known = self.arguments.get(&id);
        known.map_or_else(Label::default, |(arguments, _)| arguments.clone())
    }

    /// The series of all ranks, for reading them from the ring; `u32::MAX`, which no ring has, where one is missing.
    pub fn series(&self) -> Vec<u32> {
        let all = self.ranks.fields.iter().flatten().chain(&self.ranks.depths);
        all.map(|index| index.unwrap_or(u32::MAX)).collect()
    }

    pub fn of_values(&self, values: &[i64]) -> RankedProcesses {
        let (values, depths) = values.split_at(values.len().min(RANKED_PROCESSES * FIELDS));
        let process = |place: &[i64]| {
            let [id, numbers @ ..] = place else {
                return None;
            };
            let (identity, _) = self.identities.get(id).filter(|_| *id != ABSENT)?;
            let number = |at: usize| {
                let value = numbers.get(at).copied().filter(|value| *value != ABSENT);
                u64::try_from(value.unwrap_or(0)).unwrap_or(0)
            };
            Some(Process {
                identity: identity.clone(),
                parent: 0,
                state: b'?',
                threads: u32::try_from(number(4)).unwrap_or(u32::MAX),
                cpu_permille: u32::try_from(number(0)).unwrap_or(u32::MAX),
                memory_bytes: number(1),
                read_bytes_per_s: number(2),
                write_bytes_per_s: number(3),
                arguments: self.arguments_of(*id),
            })
        };
        let depth = |at: usize| {
            let depth = depths.get(at).copied().filter(|depth| *depth != ABSENT);
            depth.and_then(|depth| u64::try_from(depth).ok())
        };
        RankedProcesses {
            processes: values.chunks(FIELDS).filter_map(process).collect(),
            depths: std::array::from_fn(depth),
        }
    }
}

fn fill(arguments: &HashMap<i64, (Label, u64)>, processes: &mut [Process]) {
    for process in processes {
        if let Some((known, _)) = arguments.get(&process.identity.id()) {
            process.arguments = known.clone();
        }
    }
}

/// The arguments that a subscriber has got on one stream.
#[derive(Debug, Default)]
pub struct SentArguments(HashMap<i64, Label>);

impl SentArguments {
    /// Those of a list of processes that were not sent or changed, in as many messages as they need.
    pub fn of<'a>(&mut self, processes: impl Iterator<Item = &'a Process>) -> Vec<Reply> {
        let mut new = Vec::new();
        if self.0.len() > ARGUMENTS_MAX {
            self.0.clear();
        }
        for process in processes {
            let id = process.identity.id();
            let known = self.0.get(&id);
            let is_empty = process.arguments.as_str().is_empty();
            if known == Some(&process.arguments) || (known.is_none() && is_empty) {
                continue;
            }
            let arguments = process.arguments.clone();
            self.0.insert(id, arguments.clone());
            new.push(ProcessArguments { id, arguments });
        }
        let parts = new.chunks(ARGUMENTS_PER_FRAME_MAX);
        parts.map(|part| Reply::Arguments(part.to_vec())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(pid: u32) -> ProcessIdentity {
        ProcessIdentity {
            pid,
            start: UnixMs(1),
            user: "u".into(),
            command: "c".into(),
            cgroup: "".into(),
        }
    }

    #[test]
    fn processes_are_read_from_the_ranks_of_a_row() {
        let mut processes = HostProcesses::default();
        let rank = ("sysmon.rank", "1");
        processes.note_series(7, &PROCESS_IDENTITY.series(&[rank]));
        processes.note_series(8, &PROCESS_CPU.series(&[rank]));
        processes.note_series(
            9,
            &PROCESS_DISK_RATE.series(&[rank, ("disk.io.direction", "write")]),
        );
        processes.note_series(10, &PROCESS_CPU.series(&[("sysmon.rank", "99")]));
        let series = processes.series();
        assert_eq!(series.len(), RANKED_PROCESSES * FIELDS + MEASURES.len());
        assert_eq!(series[6..12], [7, 8, u32::MAX, u32::MAX, 9, u32::MAX]);
        processes.name(vec![identity(5)], UnixMs(1));
        let mut values = vec![ABSENT; series.len()];
        values[6..12].copy_from_slice(&[identity(5).id(), 250, ABSENT, ABSENT, 4096, ABSENT]);
        values[0] = 12345;
        processes.note_series(
            11,
            &PROCESS_RANKED.series(&[("sysmon.process.measure", "memory")]),
        );
        values[RANKED_PROCESSES * FIELDS + 1] = 9;
        let found = processes.of_values(&values);
        assert_eq!(processes.series()[RANKED_PROCESSES * FIELDS + 1], 11);
        assert_eq!(
            (found.depth(TopBy::Memory), found.depth(TopBy::Cpu)),
            (Some(9), None)
        );
        let of = found.processes;
        assert_eq!(of.len(), 1, "an unknown identity is left out");
        assert_eq!(
            (
                of[0].identity.pid,
                of[0].cpu_permille,
                of[0].write_bytes_per_s
            ),
            (5, 250, 4096)
        );
    }

    fn process(pid: u32) -> Process {
        Process {
            identity: identity(pid),
            parent: 1,
            state: b'S',
            threads: 1,
            cpu_permille: 1,
            memory_bytes: 1,
            read_bytes_per_s: 0,
            write_bytes_per_s: 0,
            arguments: Label::default(),
        }
    }

    fn called(pid: u32, arguments: &str) -> ProcessArguments {
        ProcessArguments {
            id: identity(pid).id(),
            arguments: arguments.into(),
        }
    }

    #[test]
    fn a_subscriber_gets_arguments_once_and_again_when_they_change() {
        let mut processes = HostProcesses::default();
        processes.set_arguments(vec![called(5, "--port 80")]);
        processes.set_table(UnixMs(1), vec![process(5), process(6)]);
        let mut sent = SentArguments::default();
        let mut new = |processes: &HostProcesses| {
            let (_, table) = processes.table.as_ref().unwrap();
            sent.of(table.iter())
        };
        assert_eq!(
            new(&processes),
            [Reply::Arguments(vec![called(5, "--port 80")])]
        );
        assert_eq!(new(&processes), []);
        processes.set_arguments(vec![called(5, "--port 81"), called(6, "x")]);
        let both = vec![called(5, "--port 81"), called(6, "x")];
        assert_eq!(new(&processes), [Reply::Arguments(both)]);
    }

    #[test]
    fn arguments_are_bounded_and_the_newest_stay() {
        let mut processes = HostProcesses::default();
        let all: Vec<_> = (0..3 * ARGUMENTS_MAX as u32)
            .map(|pid| called(pid, "x"))
            .collect();
        for part in all.chunks(ARGUMENTS_PER_FRAME_MAX) {
            processes.set_arguments(part.to_vec());
        }
        assert!(processes.arguments.len() <= ARGUMENTS_MAX);
        let newest = called(3 * ARGUMENTS_MAX as u32 - 1, "x");
        assert_eq!(processes.arguments_of(newest.id), "x");
        assert_eq!(processes.arguments_of(called(0, "x").id), "");
    }

    #[test]
    fn identities_are_bounded_and_the_oldest_are_evicted() {
        let mut processes = HostProcesses::default();
        for pid in 0..IDENTITIES_MAX as u32 + 10 {
            processes.name(vec![identity(pid)], UnixMs(i64::from(pid)));
        }
        assert!(processes.identities.len() <= IDENTITIES_MAX);
        assert!(
            processes
                .identities
                .contains_key(&identity(IDENTITIES_MAX as u32 + 9).id())
        );
        assert!(!processes.identities.contains_key(&identity(0).id()));
    }
}
