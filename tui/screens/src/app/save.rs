//! Exported files: never overwrite others.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

const NAMES_MAX: u32 = 1_000;

/// Writes a new file, with a number in its name if one exists; returns a remark about the result.
pub(crate) fn save(path: &str, content: &str) -> String {
    let wanted = Path::new(path);
    for number in 0..NAMES_MAX {
        let name = numbered(wanted, number);
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Ok(mut file) => {
                return match file.write_all(content.as_bytes()) {
                    Ok(()) => format!("saved {}", name.display()),
                    Err(error) => format!("{} is incomplete: {error}", name.display()),
                };
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return format!("cannot save {}: {error}", name.display()),
        }
    }
    format!("cannot save {path}: {NAMES_MAX} files of that name exist")
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(ending) => format!("{stem}-{number}.{}", ending.to_string_lossy()),
        None => format!("{stem}-{number}"),
    };
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.b.csv");
        let path = path.to_str().unwrap();
        assert!(save(path, "1").ends_with("a.b.csv"));
        assert!(save(path, "2").ends_with("a.b-1.csv"));
        assert!(save(path, "3").ends_with("a.b-2.csv"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "1");
        let nowhere = dir.path().join("no/such/x.svg");
        assert!(save(nowhere.to_str().unwrap(), "").starts_with("cannot save"));
    }
}
