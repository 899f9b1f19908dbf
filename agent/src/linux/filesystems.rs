//! Filesystems: `/proc/self/mounts` (fstab(5)) and statvfs(3), on a thread of their own.
//!
//! `statvfs` can block forever on a network mount whose server is unreachable, so the sampler never calls it: a
//! worker thread does, and one that blocks for too long is abandoned and replaced.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sysmon_clock::Clock;
use sysmon_wire::Label;
use sysmon_wire::metrics::{
    FS_INODES_LIMIT, FS_INODES_USAGE, FS_LIMIT, FS_READ_ONLY, FS_UNREACHABLE, FS_USAGE,
    FS_UTILIZATION, Metric,
};

use super::memory::set_share;
use super::mounts::{Mount, mounts};
use super::{Context, Roots};
use crate::board::{Board, Slot};

/// Time between two readings; sizes change slowly.
const INTERVAL: Duration = Duration::from_secs(10);

/// Time without a response after which a filesystem counts as unreachable.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Blocked workers at a time; past this, mounts are reported as unreachable without being tried.
const BLOCKED_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Space {
    total: u64,
    free: u64,
    available: u64,
    inodes: u64,
    inodes_free: u64,
    read_only: bool,
}

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
    mounts_file: PathBuf,
    worker: Arc<Mutex<Shared>>,
    blocked: Arc<Mutex<BlockedWorkers>>,
    readings_collected: u64,
    slots: HashMap<Label, Slots>,
    mounted: Vec<Label>,
    worst: Slot,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Filesystems {
    pub(super) fn new(roots: &Roots, clock: &Clock, board: &mut Board) -> Self {
        let mounts_file = roots.proc.join("self/mounts");
        let blocked = Arc::default();
        Self {
            worker: start_worker(mounts_file.clone(), clock.clone(), &blocked),
            clock: clock.clone(),
            mounts_file,
            blocked,
            readings_collected: 0,
            slots: HashMap::new(),
            mounted: Vec::new(),
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
        let slots = slots(&mut self.slots, mount, board);
        board.set(slots.unreachable, 1);
        self.readings_collected = 0;
        self.worker = start_worker(self.mounts_file.clone(), self.clock.clone(), &self.blocked);
    }

    fn show(&mut self, spaces: &[(Mount, Option<Space>)], board: &mut Board) {
        let mut worst = None;
        for (mount, space) in spaces {
            let slots = slots(&mut self.slots, mount, board);
            board.set(slots.unreachable, i64::from(space.is_none()));
            let Some(space) = space else { continue };
            let utilization = show_space(slots, space, board);
            if !space.read_only {
                worst = worst.max(Some(utilization));
            }
        }
        board.set_or_clear(self.worst, worst);
        let points = spaces.iter().map(|(mount, _)| mount.point.clone());
        let mounted: Vec<Label> = points.collect();
        let unmounted = self.mounted.iter().filter(|point| !mounted.contains(point));
        for slots in unmounted.filter_map(|point| self.slots.get(point)) {
            slots.clear(board);
        }
        self.mounted = mounted;
    }
}

fn slots<'a>(all: &'a mut HashMap<Label, Slots>, mount: &Mount, board: &mut Board) -> &'a Slots {
    all.entry(mount.point.clone())
        .or_insert_with(|| Slots::new(mount, board))
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

    fn clear(&self, board: &mut Board) {
        let space = [
            self.limit,
            self.used,
            self.free,
            self.reserved,
            self.utilization,
        ];
        let inodes = [self.inodes_limit, self.inodes_used, self.inodes_free];
        let flags = [self.read_only, self.unreachable];
        let all = space.into_iter().chain(inodes).chain(flags);
        all.for_each(|slot| board.clear(slot));
    }
}

/// Sets the values of one filesystem and returns its utilization as `df` shows it, in permille of the space
/// available to unprivileged users.
fn show_space(slots: &Slots, space: &Space, board: &mut Board) -> i64 {
    let used = space.total.saturating_sub(space.free);
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
    if usable == 0 {
        0
    } else {
        (u128::from(used) * 1000 / u128::from(usable)) as i64
    }
}

fn start_worker(
    mounts_file: PathBuf,
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
        .spawn(move || work(&mounts_file, &clock, &worker));
    if let Err(error) = started {
        tracing::warn!(%error, "cannot start a thread; filesystems are not collected");
    }
    shared
}

fn work(mounts_file: &Path, clock: &Clock, shared: &Mutex<Shared>) {
    loop {
        let mut spaces = Vec::new();
        let text = std::fs::read(mounts_file).unwrap_or_default();
        for mount in mounts(&text) {
            let blocked = Arc::clone(&lock(shared).blocked);
            let is_blocked = lock(&blocked)
                .get(&mount.point)
                .is_some_and(|workers| *workers > 0);
            if is_blocked || lock(&blocked).values().sum::<usize>() > BLOCKED_MAX {
                spaces.push((mount, None));
                continue;
            }
            lock(shared).current = Some((mount.clone(), clock.instant()));
            let space = space(&mount);
            let mut shared = lock(shared);
            shared.current = None;
            if shared.abandoned {
                // It responded after all: the replacement may query it again.
                if let Some(workers) = lock(&blocked).get_mut(&mount.point) {
                    *workers = workers.saturating_sub(1);
                }
                return;
            }
            if let Some(space) = space {
                spaces.push((mount, Some(space)));
            }
        }
        {
            let mut shared = lock(shared);
            shared.spaces = spaces;
            shared.readings += 1;
        }
        std::thread::sleep(INTERVAL);
    }
}

/// None for a filesystem without blocks, or that may not be accessed.
fn space(mount: &Mount) -> Option<Space> {
    let stat = rustix::fs::statvfs(mount.path.as_slice()).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    (stat.f_blocks > 0).then(|| Space {
        total: bytes(stat.f_blocks),
        free: bytes(stat.f_bfree),
        available: bytes(stat.f_bavail),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
        read_only: stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::{collector_roots, value};
    use sysmon_wire::ABSENT;

    fn mount(point: &str) -> Mount {
        Mount {
            device: "/dev/x".into(),
            point: point.into(),
            path: point.as_bytes().to_vec(),
        }
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
        let mut all = Filesystems::new(&collector_roots(), &Clock::system(), &mut board);
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
    fn the_root_filesystem_of_this_machine_has_space() {
        let root = space(&mount("/")).unwrap();
        assert!(root.total > 0 && root.free <= root.total && root.available <= root.free);
    }
}
