//! The process directory: listing, opening and reading without heap allocations for paths.

use std::ffi::CStr;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use crate::linux::parse::number;

/// Bytes read of one file of a process; everything used is at its start.
pub(super) const READ_BYTES_MAX: usize = 2048;

/// Length of the longest relative path: a pid, a slash and a name.
const PATH_BYTES_MAX: usize = 32;

/// Bytes of directory entries per system call.
const ENTRIES_BYTES: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct ProcDir {
    dir: Option<OwnedFd>,
}

impl ProcDir {
    pub(super) fn open(root: &Path) -> Self {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Self {
            dir: rustix::fs::openat(CWD, root, flags, Mode::empty()).ok(),
        }
    }

    pub(super) fn open_file(&self, pid: u32, file: &str) -> Result<OwnedFd, Errno> {
        let dir = self.dir.as_ref().ok_or(Errno::NOENT)?;
        let mut path = [0; PATH_BYTES_MAX];
        let path = path_of(&mut path, pid, file)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(dir, path, flags, Mode::empty())
    }

    pub(super) fn read<'a>(
        &self,
        pid: u32,
        file: &str,
        buffer: &'a mut [u8; READ_BYTES_MAX],
    ) -> Result<&'a [u8], Errno> {
        read(&self.open_file(pid, file)?, buffer)
    }

    pub(super) fn link(&self, pid: u32, file: &str) -> Result<Vec<u8>, Errno> {
        let dir = self.dir.as_ref().ok_or(Errno::NOENT)?;
        let mut path = [0; PATH_BYTES_MAX];
        let path = path_of(&mut path, pid, file)?;
        let target = rustix::fs::readlinkat(dir, path, Vec::new())?;
        Ok(target.into_bytes())
    }

    pub(super) fn pids(&self, mut found: impl FnMut(u32)) {
        let Some(dir) = &self.dir else { return };
        if rustix::fs::seek(dir, SeekFrom::Start(0)).is_err() {
            return;
        }
        let mut entries = [MaybeUninit::uninit(); ENTRIES_BYTES];
        let mut entries = RawDir::new(dir, &mut entries);
        while let Some(Ok(entry)) = entries.next() {
            let pid = number(entry.file_name().to_bytes());
            if let Some(pid) = pid.and_then(|pid| u32::try_from(pid).ok()) {
                found(pid);
            }
        }
    }
}

/// Reads a file from its start with one `pread`.
pub(super) fn read<'a>(
    file: &OwnedFd,
    buffer: &'a mut [u8; READ_BYTES_MAX],
) -> Result<&'a [u8], Errno> {
    let length = rustix::io::pread(file, &mut buffer[..], 0)?;
    Ok(buffer.get(..length).unwrap_or_default())
}

fn path_of<'a>(
    path: &'a mut [u8; PATH_BYTES_MAX],
    pid: u32,
    file: &str,
) -> Result<&'a CStr, Errno> {
    // The rest of the array is zero, which terminates the path.
    let mut rest = &mut path[..PATH_BYTES_MAX - 1];
    write!(rest, "{pid}/{file}").map_err(|_| Errno::NAMETOOLONG)?;
    CStr::from_bytes_until_nul(path).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_listed_and_read() {
        let dir = ProcDir::open(Path::new("/proc"));
        let me = std::process::id();
        let mut found = false;
        dir.pids(|pid| found |= pid == me);
        assert!(found);
        let mut buffer = [0; READ_BYTES_MAX];
        let stat = dir.read(me, "stat", &mut buffer).unwrap();
        assert!(stat.starts_with(me.to_string().as_bytes()));
        assert_eq!(
            dir.link(me, "exe").unwrap(),
            std::env::current_exe()
                .unwrap()
                .as_os_str()
                .as_encoded_bytes()
        );
        assert!(dir.open_file(me, &"x".repeat(40)).is_err());
    }

    #[test]
    fn a_missing_root_has_no_processes() {
        let dir = ProcDir::open(Path::new("/nonexistent"));
        dir.pids(|_| panic!("there is none"));
        assert_eq!(dir.open_file(1, "stat").unwrap_err(), Errno::NOENT);
    }
}
