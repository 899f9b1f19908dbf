//! Makes an archive, while the hub runs or not.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use sysmon_config::Failure;
use sysmon_files::{StateLock, create_private_subdir};
use sysmon_hub::VERSION;
use sysmon_store::store::Store;

use super::archive::ArchiveWriter;
use super::progress::Progress;
use super::{
    COMPLETE, CONFIG, FORMAT, HISTORY, MANIFEST, Manifest, Protection, is_left_out, passphrase,
};
use crate::command::Context;

/// The snapshot of the history, which is removed however the backup ends.
struct Snapshot {
    dir: PathBuf,
    #[expect(dead_code, reason = "held for as long as the snapshot")]
    lock: StateLock,
}

impl Snapshot {
    /// Beside the history, where it is as private as that.
    fn new(state: &Path) -> anyhow::Result<Self> {
        let dir = state.join("backup");
        create_private_subdir(&dir)?;
        let lock = StateLock::acquire(&dir, "sysmon-hub backup")?;
        let snapshot = Self { dir, lock };
        // Of a backup that was interrupted.
        let _ = fs::remove_file(snapshot.path());
        Ok(snapshot)
    }

    fn path(&self) -> PathBuf {
        self.dir.join(HISTORY)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub(crate) fn backup(
    context: &Context,
    file: &Path,
    protection: &Protection,
    unencrypted: bool,
) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::Usage(anyhow!(
            "{} exists already; choose another file name",
            file.display()
        )));
    }
    let passphrase = match (&protection.passphrase_file, unencrypted) {
        (Some(file), _) => Some(passphrase(file)?),
        (None, true) => None,
        (None, false) => {
            return Err(Failure::Usage(anyhow!(
                "a backup holds the key of the certificate authority: name a file with a passphrase with \
                 --passphrase-file, or say --unencrypted"
            )));
        }
    };
    let state = context.state.dir();
    if !state.join("ca").exists() {
        return Err(anyhow!(
            "no hub has run with state directory {}; name it with --state",
            state.display()
        )
        .into());
    }
    let snapshot = Snapshot::new(state)?;
    let history = state.join(HISTORY);
    let tables = if history.exists() {
        let mut progress = Progress::new(&context.clock, "copying the history");
        Store::backup(&history, &snapshot.path(), |done, total| {
            progress.at(done, total);
        })
        .map_err(anyhow::Error::from)?;
        Some(Store::check(&snapshot.path()).map_err(anyhow::Error::from)?)
    } else {
        None
    };
    let manifest = Manifest {
        format: FORMAT,
        version: VERSION.to_owned(),
        hub: context.hub_name().to_string(),
        created_ms: context.clock.now().0,
        history: tables,
    };
    let mut partial = file.as_os_str().to_owned();
    partial.push(".new");
    let partial = PathBuf::from(partial);
    let written = write(context, &partial, &manifest, &snapshot, passphrase)
        .and_then(|()| Ok(fs::rename(&partial, file)?));
    if let Err(error) = written {
        let _ = fs::remove_file(&partial);
        let place = file.display();
        return Err(error.context(format!("cannot write {place}")).into());
    }
    let bytes = fs::metadata(file)?.len();
    context.audit("backup", "", &format!("written to {}", file.display()));
    let text = format!(
        "backup of hub {} written to {} ({} MiB)\nto restore it: sysmon-hub restore {}\n",
        manifest.hub,
        file.display(),
        bytes.div_ceil(1 << 20),
        file.display()
    );
    Ok(sysmon_config::print(&text)?)
}

fn write(
    context: &Context,
    partial: &Path,
    manifest: &Manifest,
    snapshot: &Snapshot,
    passphrase: Option<age::secrecy::SecretString>,
) -> anyhow::Result<()> {
    let _ = fs::remove_file(partial);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut archive = ArchiveWriter::new(options.open(partial)?, passphrase)?;
    let text = serde_json::to_vec_pretty(manifest)?;
    archive.add(Path::new(MANIFEST), &text[..], text.len() as u64)?;
    let state = context.state.dir();
    add_folder(&mut archive, state, Path::new(""))?;
    let config = context.args.common.config.clone();
    let config = config
        .or_else(sysmon_config::config_file)
        .filter(|path| path.exists());
    if let Some(config) = config {
        add_file(&mut archive, &config, Path::new(CONFIG))?;
    }
    if manifest.history.is_some() {
        add_file(&mut archive, &snapshot.path(), Path::new(HISTORY))?;
    }
    archive.add(Path::new(COMPLETE), &b""[..], 0)?;
    Ok(archive.finish()?)
}

fn add_folder(archive: &mut ArchiveWriter, state: &Path, folder: &Path) -> anyhow::Result<()> {
    let dir = state.join(folder);
    let mut entries: Vec<_> = fs::read_dir(&dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let (path, kind) = (folder.join(&name), entry.file_type()?);
        if is_left_out(&name.to_string_lossy()) {
            continue;
        }
        if kind.is_dir() {
            add_folder(archive, state, &path)?;
        } else if kind.is_file() {
            match add_file(archive, &entry.path(), &path) {
                // A token that was used meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                added => added.with_context(|| format!("cannot add {}", path.display()))?,
            }
        }
    }
    Ok(())
}

fn add_file(archive: &mut ArchiveWriter, from: &Path, name: &Path) -> std::io::Result<()> {
    let file = File::open(from)?;
    let bytes = file.metadata()?.len();
    archive.add(name, file, bytes)
}
