//! Kernel files that stay open between samples.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Bytes read of one file; `/proc/stat` of a machine with 1,024 processors has about 150 KiB.
const FILE_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    errors: u64,
}

impl ReadBuffer {
    /// Failed reads, except where there is currently no value or device.
    pub fn errors(&self) -> u64 {
        self.errors
    }
}

/// A file of `/proc` or `/sys`, kept open and read from its start each time.
#[derive(Debug)]
pub struct KernelFile {
    path: PathBuf,
    file: Option<File>,
    denied: bool,
}

impl KernelFile {
    /// A missing file stays absent until [`Self::reopen`].
    pub fn open(path: &Path) -> Self {
        let file = File::open(path);
        let denied = |error: &std::io::Error| error.kind() == ErrorKind::PermissionDenied;
        Self {
            path: path.to_owned(),
            denied: file.as_ref().is_err_and(denied),
            file: file.ok(),
        }
    }

    pub fn exists(&self) -> bool {
        self.file.is_some()
    }

    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// Opens the file if it was missing or removed.
    pub fn reopen(&mut self) {
        if self.file.is_none() {
            *self = Self::open(&self.path);
        }
    }

    pub fn read<'a>(&mut self, buffer: &'a mut ReadBuffer) -> Option<&'a [u8]> {
        let file = self.file.as_ref()?;
        match read_at_start(file, &mut buffer.bytes) {
            Ok(length) => buffer.bytes.get(..length),
            Err(error) => {
                match Failure::of(&error) {
                    Failure::NoValue => {}
                    Failure::Gone => self.file = None,
                    Failure::Unexpected => buffer.errors += 1,
                }
                tracing::debug!(path = %self.path.display(), %error, "cannot read");
                None
            }
        }
    }

    pub fn read_i64(&mut self, buffer: &mut ReadBuffer) -> Option<i64> {
        let text = std::str::from_utf8(self.read(buffer)?).ok()?;
        text.trim().parse().ok()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// An interface that is down, a sensor or disk that is asleep: the next read may succeed.
    NoValue,
    /// The device was removed, or the kernel does not support the file.
    Gone,
    /// Anything else: counted.
    Unexpected,
}

impl Failure {
    fn of(error: &std::io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::INVAL | Errno::AGAIN | Errno::NODATA | Errno::BUSY | Errno::PERM) => {
                Self::NoValue
            }
            Some(Errno::NODEV | Errno::NXIO | Errno::NOENT | Errno::SRCH | Errno::OPNOTSUPP) => {
                Self::Gone
            }
            _ => Self::Unexpected,
        }
    }
}

/// One `pread` for a file that fits the buffer; more only while the buffer grows to the size of the file.
fn read_at_start(file: &File, buffer: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut length = 0;
    if buffer.len() < 4096 {
        buffer.resize(4096, 0);
    }
    loop {
        let Some(space) = buffer.get_mut(length..) else {
            return Ok(length);
        };
        let read = file.read_at(space, length as u64)?;
        length += read;
        if read == 0 || length < buffer.len() {
            // The kernel returns small files whole: a short read is the end.
            return Ok(length);
        }
        if buffer.len() >= FILE_BYTES_MAX {
            return Ok(length);
        }
        buffer.resize(buffer.len() * 2, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_from_its_start_each_time_and_may_grow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut buffer = ReadBuffer::default();
        std::fs::write(&path, "12\n").unwrap();
        let mut file = KernelFile::open(&path);
        assert_eq!(file.read_i64(&mut buffer), Some(12));
        std::fs::write(&path, vec![b'x'; 100_000]).unwrap();
        assert_eq!(file.read(&mut buffer).unwrap().len(), 100_000);
        std::fs::write(&path, "7").unwrap();
        assert_eq!(file.read_i64(&mut buffer), Some(7));
        let late = dir.path().join("late");
        let mut file = KernelFile::open(&late);
        assert!(!file.exists() && !file.is_denied());
        std::fs::write(&late, "3").unwrap();
        file.reopen();
        assert_eq!(file.read_i64(&mut buffer), Some(3));
    }

    #[test]
    fn a_sleeping_sensor_is_read_again_and_a_removed_one_is_not() {
        let of = |errno: Errno| Failure::of(&std::io::Error::from(errno));
        assert_eq!(of(Errno::INVAL), Failure::NoValue);
        assert_eq!(of(Errno::NODEV), Failure::Gone);
        assert_eq!(of(Errno::IO), Failure::Unexpected);
        // A folder can be opened but not read: counted, and tried again.
        let dir = tempfile::tempdir().unwrap();
        let mut file = KernelFile::open(dir.path());
        let mut buffer = ReadBuffer::default();
        assert_eq!(file.read(&mut buffer), None);
        assert_eq!(buffer.errors(), 1);
        assert!(file.exists());
    }
}
