//! Where the socket is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Longest path that every system accepts for a socket.
const PATH_BYTES_MAX: usize = 100;

/// The socket in a state directory. The path is valid for as long as this exists.
#[derive(Debug)]
pub(super) struct SocketPath {
    path: PathBuf,
    #[expect(dead_code, reason = "the path may lead through it")]
    dir: Option<File>,
}

impl SocketPath {
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let path = dir.join("control.sock");
        if path.as_os_str().len() <= PATH_BYTES_MAX || !cfg!(target_os = "linux") {
            return Ok(Self { path, dir: None });
        }
        let dir = File::open(dir)?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&dir);
        Ok(Self {
            path: PathBuf::from(format!("/proc/self/fd/{number}/control.sock")),
            dir: Some(dir),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
