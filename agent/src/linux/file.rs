//! Kernel files: those of every sample stay open, the others are opened for each reading.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// Bytes read of one file; `/proc/stat` of a machine with 1,024 processors has about 150 KiB.
const FILE_BYTES_MAX: usize = 1 << 20;

/// The limit of open files at which those of all containers may stay open.
const MANY_FILES: u64 = 4096;

#[derive(Debug, Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    errors: u64,
    out_of_files: bool,
}

impl ReadBuffer {
    /// Failed reads, except where there is currently no value or device.
    pub fn errors(&self) -> u64 {
        self.errors
    }

    /// Whether a file could not be opened since the last call because the process has too many open.
    pub fn take_out_of_files(&mut self) -> bool {
        std::mem::take(&mut self.out_of_files)
    }

    /// Whether `error` says so.
    pub(super) fn note_failure(&mut self, error: Errno) {
        self.out_of_files |= matches!(error, Errno::MFILE | Errno::NFILE);
    }
}

/// A file of `/proc` or `/sys`, read from its start each time.
#[derive(Debug)]
pub struct KernelFile {
    path: PathBuf,
    file: Option<File>,
    denied: bool,
    /// Whether each reading opens and closes it.
    each_time: bool,
    /// Whether it could not be opened because the process has too many open.
    out_of_files: bool,
}

impl KernelFile {
    /// A file that stays open. A missing one stays absent until [`Self::reopen`].
    pub fn open(path: &Path) -> Self {
        let file = File::open(path);
        let failure = file.as_ref().err();
        Self {
            path: path.to_owned(),
            denied: failure.is_some_and(|error| error.kind() == ErrorKind::PermissionDenied),
            each_time: false,
            out_of_files: failure.is_some_and(is_out_of_files),
            file: file.ok(),
        }
    }

    /// A file that is opened for each reading: of a device that may go and return, or one of many.
    pub fn open_each_time(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            denied: false,
            each_time: true,
            out_of_files: false,
        }
    }

    /// A file that stays open where the process may open many.
    pub fn open_one_of_many(path: PathBuf) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        if limit.current.is_none_or(|limit| limit >= MANY_FILES) {
            Self::open(&path)
        } else {
            Self::open_each_time(path)
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
        if self.file.is_none() && !self.each_time {
            *self = Self::open(&self.path);
        }
    }

    pub fn read<'a>(&mut self, buffer: &'a mut ReadBuffer) -> Option<&'a [u8]> {
        if self.out_of_files {
            self.reopen();
            buffer.out_of_files |= self.out_of_files;
        }
        let opened;
        let file = if self.each_time {
            opened = File::open(&self.path)
                .inspect_err(|error| buffer.out_of_files |= is_out_of_files(error));
            opened.as_ref().ok()?
        } else {
            self.file.as_ref()?
        };
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

fn is_out_of_files(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
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
    fn a_file_that_returns_is_read_again_without_being_kept_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("carrier");
        let (mut buffer, mut file) = (
            ReadBuffer::default(),
            KernelFile::open_each_time(path.clone()),
        );
        for value in [1, 0] {
            assert_eq!(file.read_i64(&mut buffer), None);
            std::fs::write(&path, value.to_string()).unwrap();
            assert_eq!(file.read_i64(&mut buffer), Some(value));
            std::fs::remove_file(&path).unwrap();
        }
        assert!(file.file.is_none() && !buffer.take_out_of_files());
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
