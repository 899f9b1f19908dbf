//! The mounts with series of their own: `/proc/self/mounts` (fstab(5)).

use std::collections::HashSet;

use sysmon_wire::Label;

use super::parse::{lines, words};

const MOUNTS_MAX: usize = 128;

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
    b"fuse.glusterfs",
    b"fuse.sshfs",
    b"9p",
    b"virtiofs",
    b"iso9660",
    b"udf",
    b"erofs",
    b"apfs",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) device: Label,
    pub(super) point: Label,
    /// The unmodified mount point; `point` may have replaced characters.
    pub(super) path: Vec<u8>,
}

/// Of several mounts of one device only the first is returned: the others, such as bind mounts, are the same
/// space.
pub(super) fn mounts(text: &[u8]) -> Vec<Mount> {
    let mut devices = HashSet::new();
    let mut out = Vec::new();
    for line in lines(text) {
        let mut words = words(line);
        let (Some(device), Some(point), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let path = unescape(point);
        // In a container the root is an overlay, and often the only filesystem.
        let is_included = TYPES.contains(&kind) || (kind == b"overlay" && path == b"/");
        if !is_included || !devices.insert(device) || out.len() >= MOUNTS_MAX {
            continue;
        }
        let device = Label::from_bytes(&unescape(device));
        out.push(Mount {
            device,
            point: Label::from_bytes(&path),
            path,
        });
    }
    out
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
    fn data_filesystems_are_listed_once_with_unescaped_names() {
        let text = b"proc /proc proc rw 0 0\n/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /bind ext4 rw 0 0\n\
            overlay /var/lib/docker/overlay2/x/merged overlay rw 0 0\nnas:/a /mnt/my\\040disk nfs4 rw 0 0\n\
            tmpfs /run tmpfs rw 0 0\n/dev/loop3 /snap/core squashfs ro 0 0\n";
        let found: Vec<_> = mounts(text)
            .into_iter()
            .map(|m| (m.device, m.point))
            .collect();
        assert_eq!(
            found,
            [
                ("/dev/sda1".into(), "/".into()),
                ("nas:/a".into(), "/mnt/my disk".into())
            ]
        );
    }

    #[test]
    fn the_root_of_a_container_is_listed() {
        assert_eq!(mounts(b"overlay / overlay rw 0 0\n").len(), 1);
    }

    proptest! {
        #[test]
        fn arbitrary_input_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (mounts(&bytes), unescape(&bytes));
        }
    }
}
