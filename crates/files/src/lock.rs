//! The lock on a state directory, which one program holds at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::FileError;
use crate::private::open_private;

const FILE: &str = "lock";

/// Bytes that name the holder.
const HOLDER_BYTES_MAX: u64 = 200;

/// Held for as long as a program uses a state directory; the system releases it when the program ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    #[expect(dead_code, reason = "closing the file releases the lock")]
    file: File,
}

impl StateLock {
    /// Locks the state directory `dir`, which exists, and records `program` and its process as the holder.
    ///
    /// # Errors
    /// Another program holds the lock, which the error names, or the file cannot be written.
    pub fn acquire(dir: &Path, program: &str) -> Result<Self, FileError> {
        let path = path(dir);
        let mut file = open_private(&path, OpenOptions::new().read(true).write(true))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = (&mut file)
                    .take(HOLDER_BYTES_MAX)
                    .read_to_string(&mut holder);
                let holder = match (read, holder.trim()) {
                    (Err(_), _) | (Ok(_), "") => "another program".to_owned(),
                    (Ok(_), holder) => holder.to_owned(),
                };
                return Err(FileError::InUse {
                    path: dir.to_owned(),
                    holder,
                });
            }
            Err(TryLockError::Error(source)) => return Err(FileError::Write { path, source }),
        }
        let recorded = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{program} (process {})", std::process::id()));
        recorded.map_err(FileError::write(path))?;
        Ok(Self { file })
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}
