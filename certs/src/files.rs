//! Files that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::CertError;

/// Bytes read of a certificate or key file; ours have less than a thousand.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Creates a directory, and its parents, that only its owner can enter (mode 0700).
///
/// # Errors
/// The system does not allow it.
pub fn create_private_dir(dir: &Path) -> Result<(), CertError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|source| CertError::Write {
        path: dir.to_owned(),
        source,
    })
}

/// Writes a file that only its owner can read (mode 0600), atomically: a crash leaves the old or the new content.
///
/// # Errors
/// The file or its directory cannot be written.
pub fn write_private(path: &Path, text: &str) -> Result<(), CertError> {
    let write = || -> io::Result<()> {
        let temporary = path.with_extension("new");
        match fs::remove_file(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|source| CertError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Reads a file that must be private.
///
/// # Errors
/// The file cannot be read, or other users can read it too.
pub fn read_private(path: &Path) -> Result<String, CertError> {
    #[cfg(unix)]
    {
        let metadata = fs::metadata(path).map_err(|source| CertError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            return Err(CertError::Exposed(path.to_owned()));
        }
    }
    read(path)
}

/// Reads a file that may be public.
pub(crate) fn read(path: &Path) -> Result<String, CertError> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|source| CertError::Read {
            path: path.to_owned(),
            source,
        })?;
    Ok(text)
}
