//! Where a socket in a state directory is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Longest path that every system accepts for a socket.
const PATH_BYTES_MAX: usize = 100;

/// The path of a socket in a state directory, valid for as long as this exists.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    #[expect(dead_code, reason = "the path may lead through it")]
    dir: Option<File>,
}

impl SocketPath {
    /// The socket `name` in `dir`. On Linux the directory may have a path of any length.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn of(dir: &Path, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        if path.as_os_str().len() <= PATH_BYTES_MAX || !cfg!(target_os = "linux") {
            return Ok(Self { path, dir: None });
        }
        let dir = File::open(dir)?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&dir);
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{number}/{name}")),
            dir: Some(dir),
        })
    }

    /// What to bind or connect to.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
