//! The process directory: finding, opening and reading, without paths on the heap.

use std::ffi::CStr;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;

use crate::linux::parse::number;

/// Bytes read of a process's file; all that is wanted stands at the beginning.
pub(super) const READ_BYTES_MAX: usize = 2048;

/// The longest path below the directory: a pid, a slash and a name.
const PATH_BYTES_MAX: usize = 32;

/// Bytes of directory entries asked for at once.
const ENTRIES_BYTES: usize = 8 * 1024;

/// `/proc`, kept open.
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

    /// Opens a file of a process.
    pub(super) fn open_file(&self, pid: u32, file: &str) -> Result<OwnedFd, Errno> {
        let dir = self.dir.as_ref().ok_or(Errno::NOENT)?;
        let mut path = [0; PATH_BYTES_MAX];
        let path = path_of(&mut path, pid, file)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(dir, path, flags, Mode::empty())
    }

    /// Opens, reads and closes a file of a process.
    pub(super) fn read<'a>(
        &self,
        pid: u32,
        file: &str,
        buffer: &'a mut [u8; READ_BYTES_MAX],
    ) -> Result<&'a [u8], Errno> {
        read(&self.open_file(pid, file)?, buffer)
    }

    /// Where a link of a process leads.
    pub(super) fn link(&self, pid: u32, file: &str) -> Result<Vec<u8>, Errno> {
        let dir = self.dir.as_ref().ok_or(Errno::NOENT)?;
        let mut path = [0; PATH_BYTES_MAX];
        let path = path_of(&mut path, pid, file)?;
        let target = rustix::fs::readlinkat(dir, path, Vec::new())?;
        Ok(target.into_bytes())
    }

    /// Calls `found` with the pid of every process there is.
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
    // The rest of the array is zero, which ends the path.
    let mut rest = &mut path[..PATH_BYTES_MAX - 1];
    write!(rest, "{pid}/{file}").map_err(|_| Errno::NAMETOOLONG)?;
    CStr::from_bytes_until_nul(path).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_and_read() {
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
    fn a_root_that_is_not_there_has_no_processes() {
        let dir = ProcDir::open(Path::new("/nonexistent"));
        dir.pids(|_| panic!("there is none"));
        assert_eq!(dir.open_file(1, "stat").unwrap_err(), Errno::NOENT);
    }
}
