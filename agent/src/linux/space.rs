//! The space of a filesystem, and which mounts share it: statvfs(3), stat(2).

use std::collections::BTreeMap;

use rustix::fs::{FileType, StatVfsMountFlags};

use super::mounts::Mount;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) total: u64,
    pub(super) free: u64,
    pub(super) available: u64,
    pub(super) inodes: u64,
    pub(super) inodes_free: u64,
    pub(super) read_only: bool,
}

impl Space {
    pub(super) fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }

    /// As `df` shows it, in permille of the space available to unprivileged users.
    pub(super) fn utilization(&self) -> i64 {
        let usable = u128::from(self.used()) + u128::from(self.available);
        let permille = (u128::from(self.used()) * 1000).checked_div(usable);
        permille.unwrap_or(0) as i64
    }

    /// Whether both are readings of the same disk, between which something may have been written.
    fn is_same(&self, other: &Self) -> bool {
        let distance = self.free.abs_diff(other.free);
        self.total == other.total && self.inodes == other.inodes && distance <= self.total / 1000
    }
}

/// The space of a mount and the number of its filesystem. None for one without blocks, that may not be accessed, that
/// is a single file as in containers, or that another mount hides.
pub(super) fn space(mount: &Mount) -> Option<(Space, u64)> {
    let path = mount.path.as_slice();
    let root = rustix::fs::stat(path).ok()?;
    if FileType::from_raw_mode(root.st_mode) != FileType::Directory {
        return None;
    }
    let block = mount.block_device.as_deref();
    let block = block.and_then(|device| rustix::fs::stat(device).ok());
    let block = block.filter(|b| FileType::from_raw_mode(b.st_mode) == FileType::BlockDevice);
    if block.is_some_and(|block| block.st_rdev != root.st_dev) {
        return None;
    }
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let space = Space {
        total: bytes(stat.f_blocks),
        free: bytes(stat.f_bfree),
        available: bytes(stat.f_bavail),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
        read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
    };
    (stat.f_blocks > 0).then_some((space, root.st_dev))
}

type Reading = (Mount, Option<Space>);

/// The readings with each space once: the datasets of a pool of ZFS as one, and no volume of a container that is on the
/// disk of its root.
pub(super) fn distinct(readings: Vec<Reading>) -> Vec<Reading> {
    let root = readings.iter().find(|(mount, _)| mount.is_overlay);
    let root = root.and_then(|(_, space)| *space);
    let mut pools: BTreeMap<String, Vec<(Mount, Space)>> = BTreeMap::new();
    let mut out = Vec::new();
    for (mount, space) in readings {
        match space {
            Some(space) if mount.is_zfs => {
                let name = mount.device.as_str();
                let pool = name.split('/').next().unwrap_or(name);
                pools
                    .entry(pool.to_owned())
                    .or_default()
                    .push((mount, space));
            }
            Some(space) if !mount.is_overlay && root.is_some_and(|root| root.is_same(&space)) => {}
            _ => out.push((mount, space)),
        }
    }
    pools
        .into_values()
        .for_each(|pool| add_pool(pool, &mut out));
    out
}

/// The datasets of a pool share what is free: together they are one space. One with a quota of its own has less, and can
/// be full by itself.
fn add_pool(datasets: Vec<(Mount, Space)>, out: &mut Vec<Reading>) {
    let free = datasets.iter().map(|(_, space)| space.available).max();
    let free = free.unwrap_or(0);
    let (sharing, limited): (Vec<_>, Vec<_>) = datasets
        .into_iter()
        .partition(|(_, space)| space.available >= free - free / 64);
    let used = sharing.iter().map(|(_, space)| space.used());
    let used = used.fold(0, u64::saturating_add);
    let is_read_only = sharing.iter().all(|(_, space)| space.read_only);
    let depth = |mount: &Mount| mount.device.as_str().matches('/').count();
    let first = sharing.into_iter().min_by_key(|(mount, _)| depth(mount));
    if let Some((mount, space)) = first {
        let pool = Space {
            total: used.saturating_add(free),
            free,
            available: free,
            read_only: is_read_only,
            ..space
        };
        out.push((mount, Some(pool)));
    }
    let limited = limited.into_iter();
    out.extend(limited.map(|(mount, space)| (mount, Some(space))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::mounts::mounts;

    const GIB: u64 = 1 << 30;

    fn reading(line: &str, used: u64, free: u64) -> Reading {
        let mount = mounts(format!("{line} rw 0 0\n").as_bytes(), &[]).remove(0);
        let space = Space {
            total: (used + free) * GIB,
            free: free * GIB,
            available: free * GIB,
            inodes: 100,
            inodes_free: 50,
            read_only: false,
        };
        (mount, Some(space))
    }

    fn shown(readings: Vec<Reading>) -> Vec<(String, i64)> {
        let all = distinct(readings).into_iter();
        all.map(|(mount, space)| (mount.point.to_string(), space.unwrap().utilization()))
            .collect()
    }

    #[test]
    fn a_pool_of_zfs_is_full_once_and_a_dataset_with_a_quota_by_itself() {
        let found = shown(vec![
            reading("tank/home /home zfs", 300, 100),
            reading("tank /tank zfs", 0, 100),
            reading("tank/db /db zfs", 600, 100),
            reading("tank/mail /mail zfs", 9, 1),
            reading("fast/x /x zfs", 5, 5),
        ]);
        let of = |point: &str, permille| (point.to_owned(), permille);
        assert_eq!(found, [of("/x", 500), of("/tank", 900), of("/mail", 900)]);
    }

    #[test]
    fn a_container_shows_the_disk_of_its_root_once() {
        let found = shown(vec![
            reading("overlay / overlay", 40, 60),
            reading("/dev/vda1 /data ext4", 40, 60),
            reading("/dev/vdb1 /db ext4", 10, 60),
        ]);
        assert_eq!(found, [("/".to_owned(), 400), ("/db".to_owned(), 142)]);
    }

    #[test]
    fn the_root_of_this_machine_has_space_and_a_file_or_a_hidden_mount_has_none() {
        let of = |line: &str| {
            let found = mounts(format!("{line} rw 0 0\n").as_bytes(), &[]);
            space(&found[0])
        };
        let (root, _) = of("x / ext4").unwrap();
        assert!(root.total > 0 && root.free <= root.total && root.available <= root.free);
        assert_eq!(of("/dev/x /etc/passwd ext4"), None);
        // /proc is no filesystem of whichever block device this machine has.
        let devices = std::fs::read_dir("/dev").unwrap().flatten();
        let is_block = |path: &std::path::Path| {
            let stat = rustix::fs::stat(path).ok();
            stat.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::BlockDevice)
        };
        for path in devices
            .map(|entry| entry.path())
            .filter(|path| is_block(path))
        {
            assert_eq!(of(&format!("{} /dev ext4", path.display())), None);
        }
    }
}
