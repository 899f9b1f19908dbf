//! Who owns a directory and may change it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::FileError;

/// Refuses an existing directory of state that another user owns, or that others can change: they could put keys
/// and tokens of their own into it. A directory that does not exist is fine.
///
/// # Errors
/// Another user owns the directory, others can write to it, or it cannot be read.
pub fn check_private_dir(dir: &Path) -> Result<(), FileError> {
    let metadata = match fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::read(dir)(error)),
    };
    check(dir, &metadata)
}

#[cfg(unix)]
fn check(dir: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt;
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(FileError::ForeignOwner {
            path: dir.to_owned(),
            owner,
            user,
        });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(FileError::WritableByOthers(dir.to_owned()));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check(_: &Path, _: &fs::Metadata) -> Result<(), FileError> {
    Ok(())
}

/// Gives what root created in a directory of another user to that user; changes nothing for other users.
///
/// # Errors
/// The system does not allow it.
#[cfg(unix)]
pub fn keep_owner(created: &File, dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (wanted, own) = (fs::metadata(dir)?, created.metadata()?);
    if (wanted.uid(), wanted.gid()) == (own.uid(), own.gid()) {
        return Ok(());
    }
    std::os::unix::fs::fchown(created, Some(wanted.uid()), Some(wanted.gid()))
}

/// Gives what root created in a directory of another user to that user; changes nothing for other users.
///
/// # Errors
/// None on this system.
#[cfg(not(unix))]
pub fn keep_owner(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}
