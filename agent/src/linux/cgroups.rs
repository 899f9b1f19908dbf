//! Resource usage of containers, from control groups version 2 (Documentation/admin-guide/cgroup-v2.rst).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use sysmon_clock::Clock;
use sysmon_wire::metrics::{
    CONTAINER_CPU_THROTTLED, CONTAINER_CPU_TIME, CONTAINER_DISK_IO, CONTAINER_EXIT_CODE,
    CONTAINER_MEMORY_USAGE, CONTAINER_OOM_KILLS, CONTAINER_PIDS, CONTAINER_RESTARTS,
    CONTAINER_RUNNING, CONTAINER_UNHEALTHY,
};
use sysmon_wire::{Label, LimitState};

use super::container_engine::{CONTAINERS_MAX, Engine, Listed};
use super::containers::container_name;
use super::listing::ListLimit;
use super::parse::{lines, number, words};
use super::{Context, KernelFile, ReadBuffer, Roots};
use crate::board::{Board, Slot};
use crate::present::PresentSeries;

/// Folders visited per scan, and their depth: `/kubepods.slice/…burstable…/…pod…/cri-….scope`.
const FOLDERS_MAX: usize = 4096;
const DEPTH_MAX: usize = 6;

#[derive(Debug)]
pub(super) struct Cgroups {
    root: Option<PathBuf>,
    containers: HashMap<PathBuf, Container>,
    limit: ListLimit,
    engine: Engine,
    /// What the engine says of its containers.
    states: PresentSeries,
    listed: u64,
}

#[derive(Debug)]
struct Container {
    id: String,
    label: Label,
    cpu: KernelFile,
    memory: KernelFile,
    memory_parts: KernelFile,
    io: KernelFile,
    pids: KernelFile,
    events: KernelFile,
    slots: [Slot; 7],
}

impl Cgroups {
    pub(super) fn new(roots: &Roots, clock: &Clock, board: &mut Board) -> Self {
        let unified = ["fs/cgroup", "fs/cgroup/unified"].map(|dir| roots.sys.join(dir));
        let root = unified
            .into_iter()
            .find(|dir| dir.join("cgroup.controllers").exists());
        let mut cgroups = Self {
            root,
            containers: HashMap::new(),
            limit: ListLimit::new("containers", CONTAINERS_MAX),
            engine: Engine::new(roots, clock.clone()),
            states: PresentSeries::default(),
            listed: 0,
        };
        cgroups.scan(board);
        cgroups
    }

    pub(super) fn scan(&mut self, board: &mut Board) {
        let Some(root) = &self.root else { return };
        let mut found = Vec::new();
        find(root, root, DEPTH_MAX, &mut FOLDERS_MAX.clone(), &mut found);
        self.limit.set_present(found.len());
        // Those that are shown stay, so that a crowd of new ones does not replace them.
        found.sort_by_key(|(path, _)| !self.containers.contains_key(path));
        found.truncate(CONTAINERS_MAX);
        self.containers.retain(|path, container| {
            let is_present = found.iter().any(|(present, _)| present == path);
            if !is_present {
                container.release(board);
            } else {
                container.reopen();
            }
            is_present
        });
        for (path, id) in found {
            let name = self.engine.name(&id);
            let label = Label::new(name.as_deref().unwrap_or(&id));
            match self.containers.get_mut(&path) {
                Some(container) if container.label == label => {}
                Some(container) => {
                    // Its name became known: from now on its series have it.
                    container.release(board);
                    container.slots = slots(&label, board);
                    container.label = label;
                }
                None => {
                    let container = Container::open(&path, id, label, board);
                    self.containers.insert(path, container);
                }
            }
        }
        self.engine.request();
        if let Some(listed) = self.engine.listed(&mut self.listed) {
            for one in listed {
                show(&mut self.states, &one, board);
            }
            self.states.release_others(board);
        }
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
    }

    /// Why containers have no names, while that is so.
    pub(super) fn note(&self) -> Option<String> {
        let is_unnamed = |c: &Container| c.label == *c.id;
        let is_noted = self.containers.values().any(is_unnamed);
        is_noted.then(|| self.engine.problem()).flatten()
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        for container in self.containers.values_mut() {
            container.collect(context);
        }
    }
}

fn show(states: &mut PresentSeries, listed: &Listed, board: &mut Board) {
    let of = [("container.name", listed.name.as_str())];
    let running = i64::from(listed.is_running);
    states.set(board, CONTAINER_RUNNING.series(&of), running);
    let further = [
        (CONTAINER_UNHEALTHY, listed.is_unhealthy.map(i64::from)),
        (CONTAINER_EXIT_CODE, listed.exit_code),
        (CONTAINER_RESTARTS, listed.restarts),
    ];
    for (metric, value) in further {
        if let Some(value) = value {
            states.set(board, metric.series(&of), value);
        }
    }
}

/// The folders of containers below `dir`, outermost first.
fn find(
    root: &Path,
    dir: &Path,
    depth: usize,
    left: &mut usize,
    found: &mut Vec<(PathBuf, String)>,
) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = entry.path();
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let text = format!("/{}", relative.to_string_lossy());
        match container_name(text.as_bytes()) {
            Some(id) => found.push((path, String::from_utf8_lossy(id).into_owned())),
            None if depth > 0 => find(root, &path, depth - 1, left, found),
            None => {}
        }
    }
}

fn slots(label: &Label, board: &mut Board) -> [Slot; 7] {
    let name = ("container.name", label.as_str());
    let io = |direction| CONTAINER_DISK_IO.series(&[name, ("disk.io.direction", direction)]);
    [
        board.slot(CONTAINER_CPU_TIME.series(&[name])),
        board.slot(CONTAINER_CPU_THROTTLED.series(&[name])),
        board.slot(CONTAINER_MEMORY_USAGE.series(&[name])),
        board.slot(io("read")),
        board.slot(io("write")),
        board.slot(CONTAINER_PIDS.series(&[name])),
        board.slot(CONTAINER_OOM_KILLS.series(&[name])),
    ]
}

impl Container {
    fn open(path: &Path, id: String, label: Label, board: &mut Board) -> Self {
        let file = |name: &str| KernelFile::open_one_of_many(path.join(name));
        Self {
            id,
            slots: slots(&label, board),
            label,
            cpu: file("cpu.stat"),
            memory: file("memory.current"),
            memory_parts: file("memory.stat"),
            io: file("io.stat"),
            pids: file("pids.current"),
            events: file("memory.events"),
        }
    }

    fn collect(&mut self, context: &mut Context<'_>) {
        let [cpu, throttled, memory, read, written, pids, kills] = self.slots;
        if let Some(text) = self.cpu.read(context.buffer) {
            put(context.board, cpu, field(text, b"usage_usec"));
            put(context.board, throttled, field(text, b"throttled_usec"));
        }
        if let Some(text) = self.io.read(context.buffer) {
            let [read_bytes, written_bytes] = io_bytes(text);
            context.board.set_u64(read, read_bytes);
            context.board.set_u64(written, written_bytes);
        }
        if let Some(text) = self.events.read(context.buffer) {
            put(context.board, kills, field(text, b"oom_kill"));
        }
        let parts = self.memory_parts.read(context.buffer);
        let cache = parts.and_then(|text| field(text, b"inactive_file"));
        let number = |file: &mut KernelFile, buffer: &mut ReadBuffer| {
            let value = file.read_i64(buffer)?;
            u64::try_from(value).ok()
        };
        // As `docker stats` counts it: cache that the kernel reclaims first is not memory that the container needs.
        let usage = number(&mut self.memory, context.buffer);
        let usage = usage.map(|bytes| bytes.saturating_sub(cache.unwrap_or(0)));
        put(context.board, memory, usage);
        let count = number(&mut self.pids, context.buffer);
        put(context.board, pids, count);
    }

    fn release(&self, board: &mut Board) {
        self.slots.iter().for_each(|slot| board.release(*slot));
    }

    /// Opens what was missing: the kernel adds files when a controller is enabled.
    fn reopen(&mut self) {
        let files = [
            &mut self.cpu,
            &mut self.memory,
            &mut self.memory_parts,
            &mut self.io,
            &mut self.pids,
            &mut self.events,
        ];
        files.into_iter().for_each(KernelFile::reopen);
    }
}

fn put(board: &mut Board, slot: Slot, value: Option<u64>) {
    match value {
        Some(value) => board.set_u64(slot, value),
        None => board.clear(slot),
    }
}

fn field(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let mut words = words(line);
        (words.next() == Some(key))
            .then(|| words.next().and_then(number))
            .flatten()
    })
}

/// Bytes read and written, summed over devices: `8:0 rbytes=1 wbytes=2 rios=…`.
fn io_bytes(text: &[u8]) -> [u64; 2] {
    let mut sums = [0u64; 2];
    for word in lines(text).flat_map(words) {
        for (sum, key) in sums.iter_mut().zip([&b"rbytes="[..], b"wbytes="]) {
            *sum = sum.saturating_add(word.strip_prefix(key).and_then(number).unwrap_or(0));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::value;
    use sysmon_wire::{ABSENT, UnixMs};

    #[test]
    fn containers_are_found_read_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("fs/cgroup");
        let id = "0123456789abcdef".repeat(4);
        let scope = root.join(format!("system.slice/docker-{id}.scope"));
        fs::create_dir_all(&scope).unwrap();
        fs::create_dir_all(root.join("user.slice/app.slice")).unwrap();
        fs::write(root.join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
        let write = |name: &str, text: &str| fs::write(scope.join(name), text).unwrap();
        write(
            "cpu.stat",
            "usage_usec 500\nuser_usec 300\nnr_throttled 1\nthrottled_usec 20\n",
        );
        write("memory.current", "4096\n");
        write("memory.stat", "anon 96\nfile 4000\ninactive_file 4000\n");
        write(
            "io.stat",
            "8:0 rbytes=10 wbytes=20 rios=1 wios=2\n8:16 rbytes=5 wbytes=0\n",
        );
        write("pids.current", "3\n");
        write("memory.events", "low 0\noom 2\noom_kill 1\n");
        let roots = Roots {
            proc: "/nonexistent".into(),
            sys: dir.path().to_owned(),
            rootfs: "/nonexistent".into(),
        };
        let mut board = Board::new();
        let mut cgroups = Cgroups::new(&roots, &Clock::system(), &mut board);
        cgroups.collect(&mut Context {
            board: &mut board,
            buffer: &mut ReadBuffer::default(),
            now: UnixMs(0),
        });
        let of = |board: &Board, metric: &str, more: &[&str]| {
            value(board, metric, &[&["0123456789ab"], more].concat())
        };
        assert_eq!(of(&board, "container.cpu.time", &[]), 500);
        assert_eq!(of(&board, "container.cpu.throttled.time", &[]), 20);
        assert_eq!(
            of(&board, "container.memory.usage", &[]),
            96,
            "without the cache"
        );
        assert_eq!(of(&board, "container.disk.io", &["read"]), 15);
        assert_eq!(of(&board, "container.disk.io", &["write"]), 20);
        assert_eq!(of(&board, "container.process.count", &[]), 3);
        assert_eq!(of(&board, "container.oom_kills", &[]), 1);
        assert_eq!(board.keys().len(), 7, "slices are not containers");
        fs::remove_dir_all(&scope).unwrap();
        cgroups.scan(&mut board);
        assert_eq!(of(&board, "container.memory.usage", &[]), ABSENT);
    }
}
