//! Backs up everything a hub needs into one archive, and restores it.
//!
//! An archive is a tar file, encrypted in age's format unless asked otherwise, for it holds the authority's key. Its first
//! entry says what is in it, and its last that it is complete.

mod archive;
mod create;
mod progress;
mod restore;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sysmon_store::store::TableRows;

pub(crate) use create::backup;
pub(crate) use restore::{restore, restoring_dir};

/// Version of the archive's layout.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const COMPLETE: &str = "complete";
const CONFIG: &str = "config.toml";
const HISTORY: &str = "history.db";

/// What an archive says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    /// The version of sysmon-hub that made it.
    version: String,
    hub: String,
    created_ms: i64,
    /// Rows of each table of the history; none without a history.
    history: Option<Vec<TableRows>>,
}

/// Files of a state directory that belong to a running hub or to one machine, and copies of others.
fn is_left_out(name: &str) -> bool {
    const NAMES: [&str; 9] = [
        "lock",
        "address",
        "control.sock",
        HISTORY,
        "history.db-wal",
        "history.db-shm",
        "backup",
        "restoring",
        CONFIG,
    ];
    NAMES.contains(&name)
        || name.ends_with(".new")
        || name.starts_with("history.damaged")
        || name.starts_with("history.format-")
        || name.starts_with("before-restore-")
}

/// The first line of a passphrase file.
fn passphrase(file: &Path) -> anyhow::Result<age::secrecy::SecretString> {
    let text = sysmon_files::read_secret(file)?;
    let line = text.lines().next().unwrap_or_default();
    anyhow::ensure!(
        !line.is_empty(),
        "{} has no passphrase in its first line",
        file.display()
    );
    Ok(line.to_owned().into())
}

/// How an archive is protected.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Protection {
    /// File whose first line is the passphrase of the archive (mode 0600)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}
