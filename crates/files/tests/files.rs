//! Private files on a real filesystem.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use sysmon_files::{
    FileError, StateLock, append_line, check_private_dir, create_private_subdir, read_private,
    write_private, write_private_with,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_written_file_is_private_whatever_was_there_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(read_private(&path), Err(FileError::Exposed(_))));
    write_private(&path, "new").unwrap();
    assert_eq!(
        (read_private(&path).unwrap().as_str(), mode(&path)),
        ("new", 0o600)
    );
}

#[test]
fn a_line_is_not_lost_with_one_that_a_crash_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines");
    append_line(&path, "one").unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], b"tw"].concat()).unwrap();
    append_line(&path, "three").unwrap();
    assert_eq!(read_private(&path).unwrap(), "one\ntw\nthree\n");
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn an_interrupted_write_leaves_the_old_content_and_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    write_private(&path, "old").unwrap();
    let failed = write_private_with(&path, |file| {
        std::io::Write::write_all(file, b"half")?;
        Err(std::io::Error::other("no space"))
    });
    assert!(failed.unwrap_err().to_string().contains("no space"));
    assert_eq!(read_private(&path).unwrap(), "old");
    assert_eq!(names(dir.path()), ["state.json"]);
}

#[test]
fn a_directory_that_others_can_change_is_refused_with_the_command_that_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    assert!(check_private_dir(dir.path()).is_ok());
    assert!(check_private_dir(&dir.path().join("none")).is_ok());
    for open in [0o770, 0o702] {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(open)).unwrap();
        let error = check_private_dir(dir.path()).unwrap_err().to_string();
        assert!(error.contains("chmod go-w"), "{error}");
    }
}

#[test]
fn a_lock_names_the_process_that_holds_it_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let lock = StateLock::acquire(dir.path(), "sysmon-hub").unwrap();
    let error = StateLock::acquire(dir.path(), "sysmon-hub").unwrap_err();
    let holder = format!("sysmon-hub (process {})", std::process::id());
    assert!(error.to_string().contains(&holder), "{error}");
    drop(lock);
    assert!(StateLock::acquire(dir.path(), "sysmon-hub").is_ok());
}

#[test]
#[ignore = "needs root"]
fn what_root_writes_into_another_users_directory_belongs_to_that_user() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(dir.path(), Some(1234), Some(4321)).unwrap();
    let owner = |path: &Path| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid())
    };
    let (file, lines, sub) = (
        dir.path().join("a"),
        dir.path().join("b"),
        dir.path().join("c"),
    );
    write_private(&file, "x").unwrap();
    append_line(&lines, "x").unwrap();
    create_private_subdir(&sub).unwrap();
    write_private(&sub.join("d"), "x").unwrap();
    drop(StateLock::acquire(dir.path(), "a command").unwrap());
    for path in [file, lines, sub.join("d"), sub, dir.path().join("lock")] {
        assert_eq!(owner(&path), (1234, 4321), "{}", path.display());
    }
    let error = check_private_dir(dir.path()).unwrap_err().to_string();
    assert!(error.contains("belongs to user 1234"), "{error}");
}
