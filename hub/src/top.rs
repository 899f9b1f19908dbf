//! The busiest processes of all hosts as one list. Pure.

use std::cmp::Ordering;

use sysmon_wire::UnixMs;
use sysmon_wire::message::{HostProcess, Reply, TopBy};

use crate::fleet::{FleetView, HostId};
use crate::view::PAST_REACH_MS;

pub fn top(
    fleet: &FleetView<'_>,
    only: Option<HostId>,
    moment: UnixMs,
    by: TopBy,
    limit: usize,
) -> Reply {
    top_of_each(fleet, only, moment, by, (limit, usize::MAX))
}

/// The same with at most `each` processes of each host.
pub fn top_of_each(
    fleet: &FleetView<'_>,
    only: Option<HostId>,
    moment: UnixMs,
    by: TopBy,
    (limit, each): (usize, usize),
) -> Reply {
    let (mut hosts, mut time, mut found) = (0, None, Vec::new());
    // What the processes that are not known use at most.
    let mut floor: Option<u64> = None;
    let order = |a: &HostProcess, b: &HostProcess| compare(a, b, by);
    let asked = fleet.machines();
    for (_, host) in asked.filter(|(id, _)| only.is_none_or(|only| only == *id)) {
        let Some((at, ranked)) = host.processes_at(moment, PAST_REACH_MS) else {
            continue;
        };
        hosts += 1;
        time = time.max(Some(at));
        let depth = ranked.depth(by);
        let named = ranked.processes.into_iter().map(|process| HostProcess {
            host: host.name.clone(),
            process,
        });
        let start = found.len();
        found.extend(named);
        // What an agent sent because of another measure may use less of this one than a process that it did not send.
        if let (Some(depth), Some(own)) = (depth, found.get_mut(start..))
            && depth <= own.len()
        {
            own.sort_unstable_by(order);
            let last = depth.checked_sub(1).and_then(|last| own.get(last));
            let last = last.map_or(u64::MAX, |last| by.of(&last.process));
            floor = floor.max(Some(last));
            found.truncate(start + depth);
        }
        if let Some(own) = found.get_mut(start..)
            && each < own.len()
        {
            own.sort_unstable_by(order);
            found.truncate(start + each);
        }
        // Dropped early what cannot be among them, so that a large fleet needs little memory.
        if limit > 0 && found.len() > 4 * limit {
            found.select_nth_unstable_by(limit - 1, order);
            found.truncate(limit);
        }
    }
    found.sort_unstable_by(order);
    found.truncate(limit);
    let complete_to = floor.map(|floor| {
        let above = |row: &&HostProcess| by.of(&row.process) >= floor;
        found.iter().take_while(above).count() as u32
    });
    Reply::Top {
        time: time.unwrap_or(moment),
        hosts,
        complete_to: complete_to.filter(|complete| (*complete as usize) < limit),
        processes: found,
    }
}

/// The busier one first; ties are always broken the same way.
fn compare(a: &HostProcess, b: &HostProcess, by: TopBy) -> Ordering {
    let (p, q) = (&a.process, &b.process);
    by.of(q)
        .cmp(&by.of(p))
        .then_with(|| q.cpu_permille.cmp(&p.cpu_permille))
        .then_with(|| a.host.as_str().cmp(b.host.as_str()))
        .then_with(|| p.identity.pid.cmp(&q.identity.pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Core;
    use crate::core::tests::core;
    use sysmon_wire::message::RunId;
    use sysmon_wire::metrics::{PROCESS_CPU, PROCESS_IDENTITY, PROCESS_MEMORY, PROCESS_RANKED};
    use sysmon_wire::{ProcessIdentity, Row};

    fn identity(pid: u32) -> ProcessIdentity {
        ProcessIdentity {
            pid,
            start: UnixMs(1),
            user: "u".into(),
            command: "c".into(),
            cgroup: "".into(),
        }
    }

    /// Hosts with two processes in every second from 1 to `until`: one uses processors, the other memory.
    fn filled(hosts: &[(&str, i64)]) -> Core {
        let mut core = core();
        for (number, (name, until)) in hosts.iter().enumerate() {
            let id = core.host_id(&(*name).into()).unwrap();
            let mut keys = Vec::new();
            for rank in ["0", "1"] {
                let rank = [("sysmon.rank", rank)];
                keys.push(PROCESS_IDENTITY.series(&rank));
                keys.push(PROCESS_CPU.series(&rank));
                keys.push(PROCESS_MEMORY.series(&rank));
            }
            core.fleet.series(id, keys);
            let number = number as i64 + 1;
            let (busy, large) = (identity(1), identity(2));
            core.fleet
                .name_processes(id, vec![busy.clone(), large.clone()], UnixMs(0));
            for second in 1..=*until {
                let values = vec![busy.id(), number * 100, 5, large.id(), 1, number * 1000];
                let row = Row {
                    seq: second as u64,
                    time: UnixMs(second * 1000),
                    values,
                };
                core.apply(id, RunId(1), &row, row.time).unwrap();
            }
        }
        core
    }

    fn told(reply: Reply) -> (i64, u32, Vec<(String, u32)>) {
        let Reply::Top {
            time,
            hosts,
            processes,
            ..
        } = reply
        else {
            panic!("{reply:?}")
        };
        let name = |p: &HostProcess| (p.host.to_string(), p.process.identity.pid);
        (time.0, hosts, processes.iter().map(name).collect())
    }

    fn of(names: &[(&str, u32)]) -> Vec<(String, u32)> {
        names.iter().map(|(n, p)| ((*n).to_owned(), *p)).collect()
    }

    #[test]
    fn the_busiest_processes_of_all_hosts_come_first() {
        let core = filled(&[("a", 20), ("b", 20), ("c", 20)]);
        let top = |by, limit| told(top(&core.fleet.view(), None, UnixMs(20_500), by, limit));
        assert_eq!(top(TopBy::Cpu, 2), (20_000, 3, of(&[("c", 1), ("b", 1)])));
        assert_eq!(top(TopBy::Memory, 2).2, of(&[("c", 2), ("b", 2)]));
        assert_eq!(top(TopBy::Cpu, 99).2.len(), 6);
        assert_eq!(top(TopBy::Cpu, 0).2, []);
        let each = top_of_each(&core.fleet.view(), None, UnixMs(20_500), TopBy::Cpu, (9, 1));
        assert_eq!(told(each).2, of(&[("c", 1), ("b", 1), ("a", 1)]));
        let one = core.fleet.find("a");
        let of_one = super::top(&core.fleet.view(), one, UnixMs(20_500), TopBy::Cpu, 9);
        assert_eq!(told(of_one).2, of(&[("a", 1), ("a", 2)]));
    }

    /// A host with processes that use so much memory, of which the agent sent so many because of it.
    fn ranked(core: &mut Core, name: &str, memory: &[i64], depth: i64) {
        let id = core.host_id(&name.into()).unwrap();
        let (mut keys, mut values, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for (at, bytes) in memory.iter().enumerate() {
            let number = at.to_string();
            let rank = [("sysmon.rank", number.as_str())];
            let process = identity(at as u32);
            keys.extend([PROCESS_IDENTITY.series(&rank), PROCESS_MEMORY.series(&rank)]);
            values.extend([process.id(), *bytes]);
            named.push(process);
        }
        keys.push(PROCESS_RANKED.series(&[("sysmon.process.measure", "memory")]));
        values.push(depth);
        core.fleet.series(id, keys);
        core.fleet.name_processes(id, named, UnixMs(0));
        let row = Row {
            seq: 1,
            time: UnixMs(1000),
            values,
        };
        core.apply(id, RunId(1), &row, row.time).unwrap();
    }

    #[test]
    fn a_list_says_how_deep_it_is_and_has_no_process_below_one_that_was_not_sent() {
        let mut core = core();
        // The fourth was sent because of another measure: others may use up to 50.
        ranked(&mut core, "a", &[90, 70, 50, 1], 3);
        ranked(&mut core, "b", &[60, 40, 20, 10], 900);
        let list = |only: Option<&str>, limit| {
            let view = core.fleet.view();
            let only = only.map(|name| core.fleet.find(name).unwrap());
            let reply = super::top(&view, only, UnixMs(1500), TopBy::Memory, limit);
            let Reply::Top {
                processes,
                complete_to,
                ..
            } = reply
            else {
                panic!("{reply:?}")
            };
            let memory = processes.iter().map(|row| row.process.memory_bytes);
            (memory.collect::<Vec<_>>(), complete_to)
        };
        assert_eq!(list(Some("a"), 12), (vec![90, 70, 50], Some(3)));
        assert_eq!(list(Some("b"), 12), (vec![60, 40, 20, 10], None));
        assert_eq!(list(None, 12), (vec![90, 70, 60, 50, 40, 20, 10], Some(4)));
        assert_eq!(list(None, 4), (vec![90, 70, 60, 50], None));
    }

    #[test]
    fn silent_hosts_are_left_out_and_the_past_has_those_that_reported() {
        let core = filled(&[("a", 40), ("b", 5)]);
        let at = |ms| told(top(&core.fleet.view(), None, UnixMs(ms), TopBy::Cpu, 1));
        assert_eq!(at(40_000), (40_000, 1, of(&[("a", 1)])));
        assert_eq!(at(4_700), (4_000, 2, of(&[("b", 1)])));
        assert_eq!(at(900), (900, 0, vec![]));
    }

    #[test]
    fn none_of_the_busiest_is_lost_among_many_hosts() {
        let names: Vec<String> = (0..60).map(|n| format!("h{n:02}")).collect();
        let hosts: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 2)).collect();
        let found = told(top(
            &filled(&hosts).fleet.view(),
            None,
            UnixMs(2_000),
            TopBy::Cpu,
            3,
        ));
        assert_eq!(found.2, of(&[("h59", 1), ("h58", 1), ("h57", 1)]));
    }
}
