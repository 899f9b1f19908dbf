//! Reading, writing and appending private files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::{FileError, keep_owner};

/// Bytes read of a private file; the largest, a register of ten thousand machines, has a tenth.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Creates a directory, and its parents, that only its owner can enter (mode 0700).
///
/// # Errors
/// The system does not allow it.
pub fn create_private_dir(dir: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(FileError::write(dir))
}

/// Creates a private directory within a directory of state, whose owner it gets.
///
/// # Errors
/// The system does not allow it.
pub fn create_private_subdir(dir: &Path) -> Result<(), FileError> {
    if dir.is_dir() {
        return Ok(());
    }
    create_private_dir(dir)?;
    let created = File::open(dir).and_then(|opened| keep_owner(&opened, folder_of(dir)));
    // Other systems do not open directories, and have no owner to keep.
    if cfg!(unix) {
        created.map_err(FileError::write(dir))?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Opens a file that only its owner can read (mode 0600), creating it if it does not exist.
///
/// # Errors
/// The file or its directory cannot be written.
pub fn open_private(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    let opened = options.create(true).open(path).and_then(|file| {
        keep_owner(&file, folder_of(path))?;
        Ok(file)
    });
    opened.map_err(FileError::write(path))
}

/// Appends a line to a private file, in a single write, so that lines of two programs do not mix. A line that a crash
/// cut short is ended first, so that the new one is not lost with it.
///
/// # Errors
/// The file or its directory cannot be written.
pub fn append_line(path: &Path, line: &str) -> Result<(), FileError> {
    let mut file = open_private(path, OpenOptions::new().read(true).append(true))?;
    let mut append = || {
        let mut last = [b'\n'];
        if file.metadata()?.len() > 0 {
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
        }
        let begin = if last == [b'\n'] { "" } else { "\n" };
        file.write_all(format!("{begin}{line}\n").as_bytes())?;
        file.sync_data()
    };
    append().map_err(FileError::write(path))
}

/// Writes a file that only its owner can read (mode 0600): a crash or power cut leaves the old or the new content.
///
/// # Errors
/// The file or its directory cannot be written.
pub fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<(), FileError> {
    write_private_with(path, |file| file.write_all(content.as_ref()))
}

/// As [`write_private`], with content that `write` produces.
///
/// # Errors
/// The file or its directory cannot be written, or `write` fails.
pub fn write_private_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), FileError> {
    let temporary = temporary_of(path);
    let replace = || -> io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        let written = keep_owner(&file, folder_of(path))
            .and_then(|()| write(&mut file))
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written?;
        sync_dir(folder_of(path))
    };
    replace().map_err(FileError::write(path))
}

/// Beside the file, since only a rename within a filesystem is atomic; the whole name, since `a.pem` and `a.key` are
/// two files.
fn temporary_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Removes a file; false if there was none.
///
/// # Errors
/// The directory cannot be written.
pub fn remove_file(path: &Path) -> Result<bool, FileError> {
    match fs::remove_file(path).and_then(|()| sync_dir(folder_of(path))) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::write(path)(error)),
    }
}

/// Makes what was created, renamed or removed in a directory durable.
///
/// # Errors
/// The directory cannot be read.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Reads a file that must be private.
///
/// # Errors
/// The file cannot be read, has more than 64 MiB, or other users can read it too.
pub fn read_private(path: &Path) -> Result<String, FileError> {
    let file = File::open(path).map_err(FileError::read(path))?;
    #[cfg(unix)]
    {
        let metadata = file.metadata().map_err(FileError::read(path))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            return Err(FileError::Exposed(path.to_owned()));
        }
    }
    read_bounded(path, file)
}

/// The file of a credential that systemd passes, or a container's volume in its place; none if there is no such file.
pub fn credential(name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let path = PathBuf::from(dir).join(name);
    path.is_file().then_some(path)
}

/// Reads a secret that somebody else provides: in a file that must be private, or among the credentials that systemd
/// passes, whose access lists look like permissions of a group.
///
/// # Errors
/// As [`read_private`].
pub fn read_secret(path: &Path) -> Result<String, FileError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    match credentials.is_some_and(|dir| !dir.is_empty() && path.starts_with(dir)) {
        true => read_public(path),
        false => read_private(path),
    }
}

/// Reads a file that may be public, such as a certificate.
///
/// # Errors
/// The file cannot be read, or has more than 64 MiB.
pub fn read_public(path: &Path) -> Result<String, FileError> {
    let file = File::open(path).map_err(FileError::read(path))?;
    read_bounded(path, file)
}

fn read_bounded(path: &Path, file: File) -> Result<String, FileError> {
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    match read {
        Ok(length) if length as u64 > FILE_BYTES_MAX => Err(FileError::read(path)(
            io::Error::other("it has more than 64 MiB: no file of sysmon's is as large"),
        )),
        Ok(_) => Ok(text),
        Err(error) => Err(FileError::read(path)(error)),
    }
}
