//! A host's processes: identities that rows refer to, and the table while it is demanded. Pure.

use std::collections::HashMap;

use sysmon_wire::limits::{FRAME_BYTES_MAX, PROCESSES_PER_TABLE_MAX, RANKED_PROCESSES};
use sysmon_wire::message::TopBy;
use sysmon_wire::metrics::{
    PROCESS_CPU, PROCESS_DISK_RATE, PROCESS_IDENTITY, PROCESS_MEMORY, PROCESS_RANKED,
    PROCESS_THREADS,
};
use sysmon_wire::{ABSENT, Label, Process, ProcessIdentity, SeriesKey, UnixMs};

/// Identities of one host. A host whose busiest processes change every second names some 40,000 in a day, at about
/// 150 bytes each; the oldest are evicted.
pub const IDENTITIES_MAX: usize = 40_000;

/// Bytes of the table, so that it fits a frame to a subscriber too: names may grow when they are cleaned.
const TABLE_BYTES_MAX: usize = FRAME_BYTES_MAX / 4 * 3;

/// Series of one rank: identity, processors, memory, read, written, threads.
const FIELDS: usize = 6;

#[derive(Debug, Default)]
pub struct HostProcesses {
    identities: HashMap<i64, (ProcessIdentity, UnixMs)>,
    ranks: Ranks,
    pub table: Option<(UnixMs, Vec<Process>)>,
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

    pub fn set_table(&mut self, time: UnixMs, mut processes: Vec<Process>) {
        let mut bytes = 0;
        let fit = processes.iter().take(PROCESSES_PER_TABLE_MAX);
        let fit = fit.take_while(|process| {
            bytes += bytes_of(process);
            bytes <= TABLE_BYTES_MAX
        });
        let fit = fit.count();
        processes.truncate(fit);
        self.table = Some((time, processes));
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
