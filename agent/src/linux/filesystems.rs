//! Filesystems: `/proc/self/mounts` (fstab(5)) and statvfs(3), on a thread of their own.
//!
//! `statvfs` can block forever on a network mount whose server is unreachable, so the sampler never calls it: a
//! worker thread does, and one that blocks for too long is abandoned and replaced.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sysmon_clock::Clock;
use sysmon_wire::metrics::{
    FS_INODES_LIMIT, FS_INODES_USAGE, FS_LIMIT, FS_READ_ONLY, FS_UNREACHABLE, FS_USAGE,
    FS_UTILIZATION, Metric,
};
use sysmon_wire::{Label, LimitState};

use super::listing::ListLimit;
use super::memory::set_share;
use super::mounts::{Mount, mounts};
use super::space::{Space, distinct, space};
use super::{Context, Roots};
use crate::board::{Board, Slot};

/// Time between two readings; sizes change slowly.
const INTERVAL: Duration = Duration::from_secs(10);

/// Time without a response after which a filesystem counts as unreachable.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Blocked workers at a time; past this, mounts that may block are reported as unreachable without being tried.
const BLOCKED_MAX: usize = 4;

/// Filesystems with series of their own.
const FILESYSTEMS_MAX: usize = 128;

#[derive(Debug, Default)]
struct Shared {
    /// The mount that the worker is querying, and since when.
    current: Option<(Mount, Instant)>,
    /// The last complete reading; no space for a mount that is unreachable.
    spaces: Vec<(Mount, Option<Space>)>,
    readings: u64,
    /// Set when the worker has been replaced.
    abandoned: bool,
    blocked: Arc<Mutex<BlockedWorkers>>,
}

type BlockedWorkers = HashMap<Label, usize>;

#[derive(Debug)]
struct Slots {
    limit: Slot,
    used: Slot,
    free: Slot,
    reserved: Slot,
    utilization: Slot,
    inodes_limit: Slot,
    inodes_used: Slot,
    inodes_free: Slot,
    read_only: Slot,
    unreachable: Slot,
}

#[derive(Debug)]
pub(super) struct Filesystems {
    clock: Clock,
    sources: Sources,
    worker: Arc<Mutex<Shared>>,
    blocked: Arc<Mutex<BlockedWorkers>>,
    readings_collected: u64,
    /// By device and mount point.
    slots: HashMap<(Label, Label), Slots>,
    limit: ListLimit,
    worst: Slot,
}

/// Where mounts are listed and found, and the types that are collected besides those that store data.
#[derive(Clone, Debug)]
struct Sources {
    roots: Roots,
    types: Vec<String>,
}

impl Sources {
    /// The host's mounts. An agent in a container sees those of the host's first process; where it may not read them, it has
    /// those of its own that are below the host's root.
    fn mounts(&self) -> Vec<Mount> {
        let Roots { proc, rootfs, .. } = &self.roots;
        let read = |file: &str| std::fs::read(proc.join(file));
        if self.roots.are_usual() {
            return mounts(&read("self/mounts").unwrap_or_default(), &self.types);
        }
        let Ok(text) = read("1/mounts") else {
            let own = read("self/mounts").unwrap_or_default();
            let all = mounts(&own, &self.types);
            return all
                .into_iter()
                .filter_map(|m| m.seen_below(rootfs))
                .collect();
        };
        let all = mounts(&text, &self.types);
        all.into_iter()
            .map(|mount| mount.found_below(rootfs))
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Filesystems {
    pub(super) fn new(roots: &Roots, types: Vec<String>, clock: &Clock, board: &mut Board) -> Self {
        let sources = Sources {
            roots: roots.clone(),
            types,
        };
        let blocked = Arc::default();
        Self {
            worker: start_worker(sources.clone(), clock.clone(), &blocked),
            clock: clock.clone(),
            sources,
            blocked,
            readings_collected: 0,
            slots: HashMap::new(),
            limit: ListLimit::new("filesystems", FILESYSTEMS_MAX),
            worst: board.slot(FS_UTILIZATION.series(&[])),
        }
    }

    pub(super) fn collect(&mut self, context: &mut Context<'_>) {
        let worker = Arc::clone(&self.worker);
        let mut shared = lock(&worker);
        let now = self.clock.instant();
        let stuck = shared
            .current
            .as_ref()
            .filter(|(_, since)| now - *since > RESPONSE_TIMEOUT);
        if let Some((mount, _)) = stuck.cloned() {
            shared.abandoned = true;
            drop(shared);
            self.replace_worker(&mount, context.board);
            return;
        }
        if shared.readings == self.readings_collected {
            return;
        }
        self.readings_collected = shared.readings;
        let spaces = shared.spaces.clone();
        drop(shared);
        self.show(&spaces, context.board);
    }

    fn replace_worker(&mut self, mount: &Mount, board: &mut Board) {
        *lock(&self.blocked).entry(mount.point.clone()).or_default() += 1;
        tracing::warn!(mount = %mount.point, "filesystem does not respond");
        if let Some(slots) = slots(&mut self.slots, mount, board) {
            board.set(slots.unreachable, 1);
        }
        self.readings_collected = 0;
        self.worker = start_worker(self.sources.clone(), self.clock.clone(), &self.blocked);
    }

    fn show(&mut self, spaces: &[(Mount, Option<Space>)], board: &mut Board) {
        let present: HashSet<_> = spaces.iter().map(|(mount, _)| identity(mount)).collect();
        self.slots.retain(|of, slots| {
            let is_present = present.contains(of);
            if !is_present {
                slots.all().for_each(|slot| board.release(slot));
            }
            is_present
        });
        self.limit.set_present(present.len());
        let mut worst = None;
        for (mount, space) in spaces {
            let slots = slots(&mut self.slots, mount, board);
            if let Some(slots) = slots {
                board.set(slots.unreachable, i64::from(space.is_none()));
            }
            let Some(space) = space else { continue };
            if let Some(slots) = slots {
                show_space(slots, space, board);
            }
            if !space.read_only {
                worst = worst.max(Some(space.utilization()));
            }
        }
        board.set_or_clear(self.worst, worst);
    }

    pub(super) fn limit(&self) -> LimitState {
        self.limit.state()
    }
}

fn identity(mount: &Mount) -> (Label, Label) {
    (mount.device.clone(), mount.point.clone())
}

fn slots<'a>(
    all: &'a mut HashMap<(Label, Label), Slots>,
    mount: &Mount,
    board: &mut Board,
) -> Option<&'a Slots> {
    let has_room = all.len() < FILESYSTEMS_MAX;
    match all.entry(identity(mount)) {
        Entry::Occupied(entry) => Some(entry.into_mut()),
        Entry::Vacant(entry) if has_room => Some(entry.insert(Slots::new(mount, board))),
        Entry::Vacant(_) => None,
    }
}

impl Slots {
    fn new(mount: &Mount, board: &mut Board) -> Self {
        let mut slot = |metric: Metric, state: Option<&str>| {
            let state = state.map(|state| ("system.filesystem.state", state));
            let here = [
                ("system.device", mount.device.as_str()),
                ("system.filesystem.mountpoint", mount.point.as_str()),
            ];
            board.slot(metric.series(&state.into_iter().chain(here).collect::<Vec<_>>()))
        };
        Self {
            limit: slot(FS_LIMIT, None),
            used: slot(FS_USAGE, Some("used")),
            free: slot(FS_USAGE, Some("free")),
            reserved: slot(FS_USAGE, Some("reserved")),
            utilization: slot(FS_UTILIZATION, None),
            inodes_limit: slot(FS_INODES_LIMIT, None),
            inodes_used: slot(FS_INODES_USAGE, Some("used")),
            inodes_free: slot(FS_INODES_USAGE, Some("free")),
            read_only: slot(FS_READ_ONLY, None),
            unreachable: slot(FS_UNREACHABLE, None),
        }
    }

    fn all(&self) -> impl Iterator<Item = Slot> {
        let space = [
            self.limit,
            self.used,
            self.free,
            self.reserved,
            self.utilization,
        ];
        let inodes = [self.inodes_limit, self.inodes_used, self.inodes_free];
        let flags = [self.read_only, self.unreachable];
        space.into_iter().chain(inodes).chain(flags)
    }
}

fn show_space(slots: &Slots, space: &Space, board: &mut Board) {
    let used = space.used();
    board.set_u64(slots.limit, space.total);
    board.set_u64(slots.used, used);
    board.set_u64(slots.free, space.available);
    board.set_u64(slots.reserved, space.free.saturating_sub(space.available));
    board.set(slots.read_only, i64::from(space.read_only));
    if space.inodes > 0 {
        board.set_u64(slots.inodes_limit, space.inodes);
        board.set_u64(
            slots.inodes_used,
            space.inodes.saturating_sub(space.inodes_free),
        );
        board.set_u64(slots.inodes_free, space.inodes_free);
    }
    let usable = used.saturating_add(space.available);
    set_share(board, slots.utilization, used, usable);
}

fn start_worker(
    sources: Sources,
    clock: Clock,
    blocked: &Arc<Mutex<BlockedWorkers>>,
) -> Arc<Mutex<Shared>> {
    let shared = Arc::new(Mutex::new(Shared {
        blocked: Arc::clone(blocked),
        ..Shared::default()
    }));
    let worker = Arc::clone(&shared);
    let started = std::thread::Builder::new()
        .name("filesystems".to_owned())
        .stack_size(128 * 1024)
        .spawn(move || work(&sources, &clock, &worker));
    if let Err(error) = started {
        tracing::warn!(%error, "cannot start a thread; filesystems are not collected");
    }
    shared
}

fn work(sources: &Sources, clock: &Clock, shared: &Mutex<Shared>) {
    loop {
        let Some(spaces) = read_all(sources, clock, shared) else {
            return;
        };
        {
            let mut shared = lock(shared);
            shared.spaces = spaces;
            shared.readings += 1;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// One reading of every filesystem; none if this worker has been replaced meanwhile.
fn read_all(
    sources: &Sources,
    clock: &Clock,
    shared: &Mutex<Shared>,
) -> Option<Vec<(Mount, Option<Space>)>> {
    let mut spaces = Vec::new();
    // Further mounts of one device, such as bind mounts, are the same space.
    let (mut devices, mut seen) = (HashSet::new(), HashSet::new());
    for mount in sources.mounts() {
        if mount.is_named_by_device() && devices.contains(&mount.device) {
            continue;
        }
        let blocked = Arc::clone(&lock(shared).blocked);
        let is_blocked = lock(&blocked).contains_key(&mount.point);
        let are_many = lock(&blocked).values().sum::<usize>() > BLOCKED_MAX;
        if is_blocked || (are_many && mount.is_remote) {
            spaces.push((mount, None));
            continue;
        }
        lock(shared).current = Some((mount.clone(), clock.instant()));
        let found = space(&mount);
        let mut shared = lock(shared);
        shared.current = None;
        if shared.abandoned {
            // It responded after all: the replacement may query it again.
            let mut blocked = lock(&blocked);
            let workers = blocked.get(&mount.point).copied().unwrap_or(0);
            match workers {
                0 | 1 => blocked.remove(&mount.point),
                _ => blocked.insert(mount.point, workers - 1),
            };
            return None;
        }
        if let Some((space, number)) = found
            && seen.insert((mount.device.clone(), number))
        {
            devices.insert(mount.device.clone());
            spaces.push((mount, Some(space)));
        }
    }
    Some(distinct(spaces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};
    use sysmon_wire::ABSENT;

    fn mount(point: &str) -> Mount {
        let text = format!("/dev/x {point} nfs rw 0 0\n");
        mounts(text.as_bytes(), &[]).remove(0)
    }

    const HALF: Space = Space {
        total: 1000,
        free: 550,
        available: 450,
        inodes: 10,
        inodes_free: 4,
        read_only: false,
    };

    #[test]
    fn the_utilization_of_the_host_is_that_of_the_fullest_writable_filesystem() {
        let mut board = Board::new();
        let mut all =
            Filesystems::new(&collector_roots(), Vec::new(), &Clock::system(), &mut board);
        let full = Space {
            free: 0,
            available: 0,
            read_only: true,
            ..HALF
        };
        all.show(
            &[
                (mount("/"), Some(HALF)),
                (mount("/cd"), Some(full)),
                (mount("/nfs"), None),
            ],
            &mut board,
        );
        assert_eq!(value(&board, "system.filesystem.utilization", &[]), 500);
        assert_eq!(
            value(&board, "system.filesystem.utilization", &["/dev/x", "/cd"]),
            1000
        );
        assert_eq!(
            value(
                &board,
                "system.filesystem.usage",
                &["/dev/x", "/", "reserved"]
            ),
            100
        );
        assert_eq!(
            value(
                &board,
                "system.filesystem.inodes.usage",
                &["/dev/x", "/", "used"]
            ),
            6
        );
        assert_eq!(
            value(&board, "system.filesystem.unreachable", &["/dev/x", "/nfs"]),
            1
        );
        all.show(&[(mount("/"), Some(HALF))], &mut board);
        assert_eq!(
            value(&board, "system.filesystem.utilization", &["/dev/x", "/cd"]),
            ABSENT
        );
    }

    #[test]
    fn another_disk_at_the_same_mount_point_has_series_of_its_own() {
        let mut board = Board::new();
        let mut all =
            Filesystems::new(&collector_roots(), Vec::new(), &Clock::system(), &mut board);
        for number in 0..2 * FILESYSTEMS_MAX as u64 {
            let (device, total) = (format!("/dev/sd{number}"), 1000 + number);
            let text = format!("{device} /mnt/backup ext4 rw 0 0\n");
            let mount = mounts(text.as_bytes(), &[]).remove(0);
            all.show(&[(mount, Some(Space { total, ..HALF }))], &mut board);
            let limit = "system.filesystem.limit";
            let of = |device: &str| value(&board, limit, &[device, "/mnt/backup"]);
            assert_eq!(of(&device), total as i64);
            assert_eq!(of(&format!("/dev/sd{}", number.wrapping_sub(1))), ABSENT);
        }
    }
}
