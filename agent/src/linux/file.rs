//! A file that stays open between samples.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes read of one file at most; `/proc/stat` of a machine with 1,024 processors has some 150 KiB.
const FILE_BYTES_MAX: usize = 1 << 20;

/// A kernel file kept open and read from its start each time.
#[derive(Debug)]
pub struct KeptFile {
    path: PathBuf,
    file: Option<File>,
}

impl KeptFile {
    /// Opens the file; one that is not there stays absent.
    pub fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: File::open(path).ok(),
        }
    }

    /// Whether there is such a file.
    pub fn is_there(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the whole file into `buffer`, which it replaces and returns; none if it cannot be read.
    pub fn read<'a>(&mut self, buffer: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let file = self.file.as_ref()?;
        match read_at_start(file, buffer) {
            Ok(length) => buffer.get(..length),
            Err(error) => {
                // Devices go away; permissions do not come back within a run.
                tracing::debug!("cannot read {}: {error}", self.path.display());
                self.file = None;
                None
            }
        }
    }

    /// Reads a file that holds one number.
    pub fn read_i64(&mut self, buffer: &mut Vec<u8>) -> Option<i64> {
        let text = std::str::from_utf8(self.read(buffer)?).ok()?;
        text.trim().parse().ok()
    }
}

/// One `pread` for a file that fits into the buffer as it is; more only while the buffer grows to
/// the file's size.
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
            // The kernel hands out small files whole: a short read is the end.
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
    fn a_file_is_read_anew_each_time_and_may_grow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let mut buffer = Vec::new();
        std::fs::write(&path, "12\n").unwrap();
        let mut file = KeptFile::open(&path);
        assert_eq!(file.read_i64(&mut buffer), Some(12));
        std::fs::write(&path, vec![b'x'; 100_000]).unwrap();
        assert_eq!(file.read(&mut buffer).unwrap().len(), 100_000);
        std::fs::write(&path, "7").unwrap();
        assert_eq!(file.read_i64(&mut buffer), Some(7));
        assert!(!KeptFile::open(&dir.path().join("none")).is_there());
    }
}
