//! Restores an archive into the state directory of a hub that does not run.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, ensure};
use sysmon_certs::HubState;
use sysmon_config::Failure;
use sysmon_config::time::format_span;
use sysmon_files::{create_private_subdir, sync_dir, write_private_with};
use sysmon_store::store::{Store, TableRows};

use super::progress::Progress;
use super::{COMPLETE, FORMAT, HISTORY, MANIFEST, Manifest, Protection, archive, passphrase};
use crate::command::Context;

/// Files of an archive: a hub has a file for each unused token, of which there are at most a thousand.
const ENTRIES_MAX: usize = 10_000;

/// Where a restore unpacks to; what is left there was interrupted.
pub(crate) fn restoring_dir(state: &Path) -> PathBuf {
    state.join("restoring")
}

pub(crate) fn restore(
    context: &Context,
    file: &Path,
    protection: &Protection,
    force: bool,
) -> Result<(), Failure> {
    let state = context.state.dir();
    let passphrase = protection.passphrase_file.as_deref().map(passphrase);
    let entries = archive::open(file, passphrase.transpose()?)?;
    let _lock = context
        .state
        .lock("sysmon-hub restore")
        .map_err(anyhow::Error::from)?;
    let present = entries_of(state)?;
    if !present.is_empty() && !force {
        return Err(Failure::Usage(anyhow!(
            "{} holds the state of a hub already; --force moves it aside and restores the backup",
            state.display()
        )));
    }
    let unpacked = restoring_dir(state);
    remove(&unpacked)?;
    create_private_subdir(&unpacked).map_err(anyhow::Error::from)?;
    let checked = unpack(context, entries, &unpacked)
        .and_then(|manifest| check(context, &unpacked, &manifest).map(|rows| (manifest, rows)));
    let (manifest, rows) = match checked {
        Ok(checked) => checked,
        Err(error) => {
            remove(&unpacked)?;
            let place = file.display();
            return Err(error.context(format!("cannot restore {place}")).into());
        }
    };
    let aside = install(context, &unpacked, &present)?;
    context.audit("restored", "", &format!("from {}", file.display()));
    let age = context.clock.now().0 - manifest.created_ms;
    let mut text = format!(
        "backup of hub {} restored to {}, as it was {} ago: {}\n",
        manifest.hub,
        state.display(),
        format_span(age.max(0)),
        rows
    );
    if let Some(aside) = aside {
        text += &format!("what was there is in {}\n", aside.display());
    }
    text += "start the hub: agents send again what they still have; certificates that were revoked since the \
             backup and are not in what was there are valid again, so check `sysmon-hub cert list`\n";
    Ok(sysmon_config::print(&text)?)
}

/// The entries of a state directory that a restore replaces.
fn entries_of(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_left = ["lock", "restoring", "backup"].contains(&&*name);
        if !is_left && !name.starts_with("before-restore-") {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn unpack(
    context: &Context,
    mut entries: tar::Archive<Box<dyn Read>>,
    to: &Path,
) -> anyhow::Result<Manifest> {
    let mut manifest: Option<Manifest> = None;
    for (count, entry) in entries.entries()?.enumerate() {
        ensure!(count < ENTRIES_MAX, "it has more than {ENTRIES_MAX} files");
        let mut entry = entry?;
        let path = archive::safe_path(&entry)?;
        match (path.to_str(), &manifest) {
            (Some(MANIFEST), None) => {
                let read: Manifest = serde_json::from_reader(&mut entry)?;
                ensure!(
                    read.format == FORMAT,
                    "it has format {}, which this version does not support: use sysmon-hub {}",
                    read.format,
                    read.version
                );
                manifest = Some(read);
            }
            (Some(COMPLETE), Some(_)) => {
                sync_dir(to)?;
                return manifest.ok_or_else(|| anyhow!("it says nothing about itself"));
            }
            (_, None) => return Err(anyhow!("it is no backup of sysmon-hub")),
            _ => unpack_file(context, &mut entry, &to.join(path))?,
        }
    }
    Err(anyhow!("it is incomplete: its end is missing"))
}

fn unpack_file(
    context: &Context,
    entry: &mut tar::Entry<'_, Box<dyn Read>>,
    path: &Path,
) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        create_private_subdir(folder)?;
    }
    let bytes = entry.size();
    let mut progress = Progress::new(&context.clock, "restoring the history");
    let mut done = 0;
    write_private_with(path, |file| {
        let mut part = vec![0; 1 << 20];
        loop {
            let length = entry.read(&mut part)?;
            if length == 0 {
                return Ok(());
            }
            io::Write::write_all(file, part.get(..length).unwrap_or_default())?;
            done += length as u64;
            progress.at(done, bytes);
        }
    })?;
    Ok(())
}

/// Refuses an archive whose parts cannot be used; returns what is in its history.
fn check(context: &Context, unpacked: &Path, manifest: &Manifest) -> anyhow::Result<String> {
    let restored = HubState::new(unpacked, &context.random);
    restored.existing_authority()?;
    restored.register().issued()?;
    let Some(expected) = &manifest.history else {
        return Ok("without a history".to_owned());
    };
    let found = Store::check(&unpacked.join(HISTORY)).context("its history cannot be used")?;
    ensure!(
        found == *expected,
        "its history is not what was backed up: {found:?} instead of {expected:?}"
    );
    let count = |table: &str| {
        let rows = found.iter().find(|rows| rows.table == table);
        rows.map_or(0, |TableRows { rows, .. }| *rows)
    };
    Ok(format!(
        "{} hosts, {} chunks of rows, {} of minutes and hours, history checked",
        count("host"),
        count("chunk"),
        count("bucket")
    ))
}

/// Moves what is there aside and the restored state into place; returns where the former is.
///
/// A hub does not start while [`restoring_dir`] exists, so an interruption in between is noticed.
fn install(
    context: &Context,
    unpacked: &Path,
    present: &[PathBuf],
) -> anyhow::Result<Option<PathBuf>> {
    let state = context.state.dir();
    let mut aside = None;
    if !present.is_empty() {
        let dir = (1..)
            .map(|n: u32| state.join(format!("before-restore-{n}")))
            .find(|dir| !dir.exists())
            .unwrap_or_else(|| state.join("before-restore"));
        create_private_subdir(&dir)?;
        let restored = HubState::new(unpacked, &context.random).register();
        // Nobody who was shut out since the backup gets in again.
        restored.merge(&context.state.register())?;
        for path in present {
            let name = path.file_name().unwrap_or_default();
            fs::rename(path, dir.join(name))?;
        }
        aside = Some(dir);
    }
    for entry in fs::read_dir(unpacked)? {
        let entry = entry?;
        fs::rename(entry.path(), state.join(entry.file_name()))?;
    }
    sync_dir(state)?;
    fs::remove_dir(unpacked)?;
    sync_dir(state)?;
    Ok(aside)
}
