//! Errors with private files; each names the path and what to do.
#![allow(missing_docs, reason = "the messages say what the variants mean")]

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// An error with a private file or directory.
#[derive(Debug, Error)]
pub enum FileError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "{0} is readable by other users: run `chmod 600 {0}`, and replace the key if they may have read it"
    )]
    Exposed(PathBuf),
    #[error(
        "{path} belongs to user {owner}, and this program runs as user {user}: run it as user {owner}, or run \
         `chown -R {user} {path}`"
    )]
    ForeignOwner {
        path: PathBuf,
        owner: u32,
        user: u32,
    },
    #[error("{0} can be changed by other users: run `chmod go-w {0}`, and check what is in it")]
    WritableByOthers(PathBuf),
    #[error("{path} is in use by {holder}: stop it first, or name another directory with --state")]
    InUse { path: PathBuf, holder: String },
}

impl FileError {
    pub(crate) fn read(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Read { path, source }
    }

    pub(crate) fn write(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Write { path, source }
    }

    /// Whether the file or directory does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Read { source, .. } | Self::Write { source, .. }
            if source.kind() == io::ErrorKind::NotFound)
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        let kind = match &error {
            FileError::Read { source, .. } | FileError::Write { source, .. } => source.kind(),
            _ => io::ErrorKind::PermissionDenied,
        };
        Self::new(kind, error)
    }
}
