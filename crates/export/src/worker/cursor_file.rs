//! The file of a cursor.

use std::io;
use std::path::PathBuf;

use sysmon_files::{FileError, read_private, write_private};

use crate::Cursor;

/// Where a cursor is stored.
#[derive(Clone, Debug)]
pub struct CursorFile(PathBuf);

impl CursorFile {
    /// The file at `path`, whose directory exists.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The stored cursor; none if there is none yet.
    ///
    /// # Errors
    /// The file cannot be read, or is no cursor.
    pub fn load(&self) -> io::Result<Option<Cursor>> {
        match read_private(&self.0) {
            Ok(text) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(other(error)),
        }
    }

    /// Stores a cursor durably.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn store(&self, cursor: &Cursor) -> io::Result<()> {
        write_private(&self.0, serde_json::to_vec(cursor)?).map_err(other)
    }
}

fn other(error: FileError) -> io::Error {
    io::Error::other(error)
}
