//! Processes as a tree, or grouped by program or container.

use std::collections::{HashMap, HashSet};

use sysmon_wire::{Label, Process};

named! {
    #[derive(Default)]
    pub enum Arrangement: name {
        #[default]
        List = "one by one",
        Tree = "as a tree",
        Programs = "by program",
        Containers = "by container or unit",
    }
}

impl Arrangement {
    pub fn next(self) -> Self {
        match self {
            Self::List => Self::Tree,
            Self::Tree => Self::Programs,
            Self::Programs => Self::Containers,
            Self::Containers => Self::List,
        }
    }
}

/// The container that a process runs in, or else its unit.
pub(super) fn container(process: &Process) -> &str {
    let group = process.identity.cgroup.as_str();
    let last = group.rsplit('/').next().unwrap_or(group);
    if last.is_empty() {
        "no container"
    } else {
        last
    }
}

/// Places of processes, each below its parent, with their depth. Children of one parent are in the order of
/// `order`; a process whose parent is not listed is a root.
pub(super) fn tree(rows: &[Process], order: &[usize]) -> Vec<(usize, u16)> {
    let pid = |at: usize| rows.get(at).map(|process| process.identity.pid);
    let there: HashSet<u32> = order.iter().filter_map(|&at| pid(at)).collect();
    let mut children: HashMap<u32, Vec<usize>> = HashMap::new();
    let mut waiting = Vec::new();
    for &at in order {
        let Some(process) = rows.get(at) else {
            continue;
        };
        let parent = process.parent;
        if there.contains(&parent) && parent != process.identity.pid {
            children.entry(parent).or_default().push(at);
        } else {
            waiting.push((at, 0));
        }
    }
    let (mut placed, mut out) = (HashSet::new(), Vec::with_capacity(order.len()));
    // What names each other as parent is in no tree: it comes at the end, so that nothing is left out.
    waiting.reverse();
    let mut rest = order.iter();
    loop {
        let Some((at, depth)) = waiting.pop() else {
            match rest.find(|at| !placed.contains(*at)) {
                Some(&at) => waiting.push((at, 0)),
                None => return out,
            }
            continue;
        };
        if !placed.insert(at) {
            continue;
        }
        out.push((at, depth));
        let below = pid(at).and_then(|pid| children.get(&pid));
        let below = below.into_iter().flatten().rev();
        waiting.extend(below.map(|&child| (child, depth + 1)));
    }
}

/// One process for all of the same `name`: what they use together, and how many there are.
pub(super) fn grouped(rows: &[Process], name: impl Fn(&Process) -> String) -> Vec<Process> {
    let mut groups: HashMap<String, (Process, u32)> = HashMap::new();
    for process in rows {
        let group = groups.entry(name(process));
        let (sum, count) = group.or_insert_with(|| {
            let nothing = Process {
                identity: process.identity.clone(),
                cpu_permille: 0,
                memory_bytes: 0,
                read_bytes_per_s: 0,
                write_bytes_per_s: 0,
                arguments: sysmon_wire::Label::default(),
                threads: 0,
                ..*process
            };
            (nothing, 0)
        });
        *count += 1;
        if process.identity.pid < sum.identity.pid {
            sum.identity = process.identity.clone();
        }
        sum.threads = sum.threads.saturating_add(process.threads);
        sum.cpu_permille = sum.cpu_permille.saturating_add(process.cpu_permille);
        sum.memory_bytes = sum.memory_bytes.saturating_add(process.memory_bytes);
        sum.read_bytes_per_s = sum
            .read_bytes_per_s
            .saturating_add(process.read_bytes_per_s);
        sum.write_bytes_per_s = sum
            .write_bytes_per_s
            .saturating_add(process.write_bytes_per_s);
    }
    let named = |(name, (mut process, count)): (String, (Process, u32))| {
        process.identity.command = match count {
            1 => Label::new(&name),
            _ => Label::new(&format!("{name} ({count})")),
        };
        if count > 1 {
            process.arguments = Label::default();
        }
        process
    };
    groups.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::process::program;
    use crate::testing::process;
    use proptest::prelude::*;

    fn child(pid: u32, parent: u32) -> Process {
        Process {
            parent,
            ..process(pid, "x", 10, 100)
        }
    }

    #[test]
    fn children_stand_below_their_parents_in_the_order_given() {
        let rows = [
            child(1, 0),
            child(9, 1),
            child(5, 1),
            child(6, 5),
            child(7, 4),
        ];
        let order = [4, 2, 1, 3, 0];
        let told: Vec<_> = tree(&rows, &order)
            .into_iter()
            .map(|(at, depth)| (rows[at].identity.pid, depth))
            .collect();
        assert_eq!(told, [(7, 0), (1, 0), (5, 1), (6, 2), (9, 1)]);
    }

    #[test]
    fn a_group_uses_what_its_members_use() {
        let rows = [
            process(30, "/usr/bin/postgres", 200, 1000),
            process(20, "/usr/lib/postgres", 300, 500),
            process(5, "/usr/bin/cc1", 10, 10),
        ];
        let mut found = grouped(&rows, |process| program(process).to_owned());
        found.sort_by_key(|process| process.identity.pid);
        let told: Vec<_> = found
            .iter()
            .map(|p| {
                (
                    p.identity.command.as_str(),
                    p.identity.pid,
                    p.cpu_permille,
                    p.memory_bytes,
                )
            })
            .collect();
        assert_eq!(told, [("cc1", 5, 10, 10), ("postgres (2)", 20, 500, 1500)]);
    }

    proptest! {
        #[test]
        fn no_process_is_left_out_whatever_parents_are_told(
            parents in proptest::collection::vec(0u32..12, 1..12),
        ) {
            let rows: Vec<_> = (1..).zip(&parents).map(|(pid, parent)| child(pid, *parent)).collect();
            let order: Vec<usize> = (0..rows.len()).collect();
            let mut placed: Vec<_> = tree(&rows, &order).into_iter().map(|(at, _)| at).collect();
            placed.sort_unstable();
            prop_assert_eq!(placed, order);
        }
    }
}
