//! The mounts with series of their own: `/proc/PID/mounts` (fstab(5)).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use sysmon_wire::Label;

use super::parse::{lines, words};

/// Mounts that are considered; a host of containers has thousands, most of them of the same filesystems.
const MOUNTS_MAX: usize = 8192;

/// Filesystems that store user data. Others are pseudo filesystems, or views of these.
const TYPES: &[&[u8]] = &[
    b"ext2",
    b"ext3",
    b"ext4",
    b"xfs",
    b"btrfs",
    b"zfs",
    b"f2fs",
    b"bcachefs",
    b"jfs",
    b"reiserfs",
    b"nilfs2",
    b"vfat",
    b"msdos",
    b"exfat",
    b"ntfs",
    b"ntfs3",
    b"hfsplus",
    b"fuseblk",
    b"nfs",
    b"nfs4",
    b"cifs",
    b"smb3",
    b"ceph",
    b"glusterfs",
    b"lustre",
    b"beegfs",
    b"gpfs",
    b"ocfs2",
    b"gfs2",
    b"afs",
    b"orangefs",
    b"pvfs2",
    b"ubifs",
    b"jffs2",
    b"fuse.glusterfs",
    b"fuse.sshfs",
    b"fuse.ceph-fuse",
    b"fuse.juicefs",
    b"fuse.mergerfs",
    b"fuse.mfs",
    b"fuse.moosefs",
    b"fuse.ntfs-3g",
    b"fuse.rclone",
    b"fuse.s3fs",
    b"fuse.seaweedfs",
    b"fuse.shfs",
    b"fuse.unionfs",
    b"fuse.zfs",
    b"9p",
    b"virtiofs",
    b"iso9660",
    b"udf",
    b"erofs",
    b"apfs",
];

/// Filesystems that another machine or a process of users answers for: a reading may never return.
const REMOTE: &[&[u8]] = &[
    b"nfs",
    b"nfs4",
    b"cifs",
    b"smb3",
    b"ceph",
    b"glusterfs",
    b"lustre",
    b"beegfs",
    b"gpfs",
    b"afs",
    b"orangefs",
    b"pvfs2",
    b"9p",
];

/// Filesystems whose files do not have the number of the block device: it spans several, or has parts of its own.
const ANONYMOUS: &[&[u8]] = &[b"btrfs", b"bcachefs", b"zfs", b"nilfs2"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: Label,
    pub(super) point: Label,
    pub(super) is_zfs: bool,
    pub(super) is_remote: bool,
    /// Whether it shows directories of other mounts.
    pub(super) is_overlay: bool,
    /// Where it is for this process. `point` is its name: it may have replaced characters, and is as on the host.
    pub(super) path: Vec<u8>,
    /// The block device whose number its files have, if it is on one.
    pub(super) block_device: Option<Vec<u8>>,
}

impl Mount {
    /// Whether another mount of this device is the same filesystem, whatever its mount point.
    pub(super) fn is_named_by_device(&self) -> bool {
        self.device.as_str().contains(['/', ':'])
    }

    /// A mount of the host, which is found below `rootfs` here.
    pub(super) fn found_below(self, rootfs: &Path) -> Self {
        let below = |path: &[u8]| {
            let relative = path.strip_prefix(b"/").unwrap_or(path);
            let path = rootfs.join(OsStr::from_bytes(relative));
            path.into_os_string().into_vec()
        };
        Self {
            path: below(&self.path),
            block_device: self.block_device.as_deref().map(below),
            ..self
        }
    }

    /// A mount of this namespace by its name on the host, whose root is at `rootfs` here; none if it is elsewhere.
    pub(super) fn seen_below(self, rootfs: &Path) -> Option<Self> {
        let path = Path::new(OsStr::from_bytes(&self.path));
        let point = Path::new("/").join(path.strip_prefix(rootfs).ok()?);
        let device = self.block_device.clone();
        Some(Self {
            point: Label::from_bytes(point.as_os_str().as_bytes()),
            block_device: device.and_then(|device| {
                let here = OsStr::from_bytes(device.strip_prefix(b"/")?);
                Some(rootfs.join(here).into_os_string().into_vec())
            }),
            ..self
        })
    }
}

/// The mounts that can be seen, in the order of the file: of several at one mount point only the uppermost, which is
/// the last. `more` are further types of filesystems to include.
pub(super) fn mounts(text: &[u8], more: &[String]) -> Vec<Mount> {
    let mut uppermost: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut all = Vec::new();
    for line in lines(text).take(MOUNTS_MAX) {
        let mut words = words(line);
        let (Some(device), Some(point), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let path = unescape(point);
        uppermost.insert(path.clone(), all.len());
        // In a container the root is an overlay, and often the only filesystem.
        let is_overlay = kind == b"overlay" && path == b"/";
        let is_wanted = more.iter().any(|wanted| wanted.as_bytes() == kind);
        let is_included = TYPES.contains(&kind) || is_overlay || is_wanted;
        let device = unescape(device);
        all.push(is_included.then(|| Mount {
            device: Label::from_bytes(&device),
            point: Label::from_bytes(&path),
            is_zfs: kind == b"zfs",
            is_remote: REMOTE.contains(&kind) || kind.starts_with(b"fuse"),
            is_overlay,
            block_device:
                (device.starts_with(b"/dev/") && !ANONYMOUS.contains(&kind)).then_some(device),
            path,
        }));
    }
    let all = all.into_iter().enumerate();
    all.filter_map(|(at, mount)| mount.filter(|m| uppermost.get(&m.path) == Some(&at)))
        .collect()
}

/// Replaces the octal escapes of spaces, tabs, newlines and backslashes, such as `\040`.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).filter(|_| byte == b'\\').and_then(|digits| {
            digits.iter().try_fold(0u32, |value, d| {
                d.checked_sub(b'0')
                    .filter(|d| *d < 8)
                    .map(|d| value * 8 + u32::from(d))
            })
        });
        match octal.and_then(|value| u8::try_from(value).ok()) {
            Some(value) => {
                out.push(value);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn filesystems_of_data_and_chosen_ones_are_listed_with_unescaped_names() {
        let text = b"proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /bind ext4 rw 0 0\n\
            overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\nnas:/a /mnt/my\\040disk nfs4 rw 0 0\n\
            tmpfs /run tmpfs rw 0 0\n/dev/loop3 /snap/core squashfs ro 0 0\n";
        let found = |more: &[String]| -> Vec<(String, String)> {
            let all = mounts(text, more).into_iter();
            all.map(|m| (m.device.to_string(), m.point.to_string()))
                .collect()
        };
        let of = |device: &str, point: &str| (device.to_owned(), point.to_owned());
        let data = [
            of("/dev/sda1", "/"),
            of("/dev/sda1", "/bind"),
            of("nas:/a", "/mnt/my disk"),
        ];
        assert_eq!(found(&[]), data);
        let more = found(&["tmpfs".to_owned(), "squashfs".to_owned()]);
        assert_eq!(
            more[3..],
            [of("tmpfs", "/run"), of("/dev/loop3", "/snap/core")]
        );
    }

    #[test]
    fn of_several_mounts_at_one_point_the_uppermost_counts() {
        let text = b"/dev/a /mnt ext4 rw 0 0\n/dev/b /mnt ext4 rw 0 0\n/dev/c /x ext4 rw 0 0\ntmpfs /x tmpfs rw 0 0\n";
        let found = mounts(text, &[]);
        assert_eq!(found.len(), 1, "a tmpfs hides /dev/c: {found:?}");
        assert_eq!(found[0].device, "/dev/b");
    }

    #[test]
    fn the_root_of_a_container_is_listed() {
        assert_eq!(mounts(b"overlay / overlay rw 0 0\n", &[]).len(), 1);
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (mounts(&bytes, &[]), unescape(&bytes));
        }
    }
}
