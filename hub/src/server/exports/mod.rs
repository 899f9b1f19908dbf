//! Exports: the destinations of a hub, each with its thread.

mod minutes;
mod options;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sysmon_export::destination::DestinationOptions;
use sysmon_export::engines::{DestinationError, HubIdentity};
use sysmon_export::worker::{Exporter, State, Status, WorkerOptions};
use sysmon_files::{FileError, read_private, write_private};
use sysmon_wire::message::ExportLine;
use sysmon_wire::{Label, UnixMs};
use thiserror::Error;
use tokio::runtime::Handle;

use super::Hub;
use super::beyond::Beyond;
use crate::lock;
pub use options::{ExportOptions, ExportSettingError};
use source::HubSource;

/// Longest time that the hub's end waits for a request under way.
const STOP_MAX: Duration = Duration::from_millis(500);

/// The running destinations by name.
#[derive(Debug, Default)]
pub(super) struct Exports(Mutex<BTreeMap<String, Running>>);

#[derive(Debug)]
struct Running {
    options: ExportOptions,
    exporter: Result<Exporter, String>,
}

/// A destination and what it does.
#[derive(Clone, Debug)]
pub struct ExportState {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: &'static str,
    /// Its address without secrets.
    pub address: String,
    /// What it does, or why it was not started.
    pub status: Result<Status, String>,
}

impl ExportState {
    /// For `status`.
    pub(super) fn line(&self) -> ExportLine {
        let status = self.status.as_ref().cloned().unwrap_or_default();
        let (state, error) = match (&self.status, &status.state) {
            (Err(reason), _) => ("not started", Some(reason)),
            (_, State::Failing { error, .. }) => ("failing", Some(error)),
            (_, state) => (state.as_str(), None),
        };
        ExportLine {
            name: Label::new(&self.name),
            kind: Label::new(self.kind),
            address: Label::new(&self.address),
            state: Label::new(state),
            error: error.map(|error| Label::new(error)),
            lag_ms: status.lag_ms,
            rows: status.rows,
            bytes: status.bytes,
            samples: status.samples,
            refused: status
                .refused
                .iter()
                .map(|(reason, values)| (Label::new(reason), *values))
                .collect(),
            pending_ms: status.pending_ms,
            pending_hosts: status.pending_hosts as u64,
            lost_ms: status.lost_ms,
        }
    }
}

/// An order for a destination cannot be carried out.
#[derive(Debug, Error)]
pub enum ExportError {
    /// No destination has this name.
    #[error("there is no destination {0:?}")]
    Unknown(String),
    /// It gets the present only.
    #[error("{0} gets the present only: there is no past to send to it")]
    NoPast(String),
    /// It does not run.
    #[error("{name} was not started: {reason}")]
    NotStarted {
        /// The destination's name.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Hub {
    /// Starts and stops destinations, so that those with these options run.
    pub(super) fn set_exports(self: &Arc<Self>, options: Vec<ExportOptions>, runtime: &Handle) {
        let mut running = lock(&self.exports.0);
        running.retain(|name, destination| {
            let stays = options.contains(&destination.options);
            if !stays && let Ok(exporter) = &mut destination.exporter {
                tracing::info!(destination = %name, "export ends");
                exporter.stop(&self.clock, STOP_MAX);
            }
            stays
        });
        for options in options {
            let name = options.destination.name.clone();
            if running.contains_key(&name) {
                continue;
            }
            let exporter = self.start_export(&options, runtime);
            match &exporter {
                Ok(_) => {
                    let (kind, address) = (
                        options.destination.kind.as_str(),
                        options.destination.address(),
                    );
                    tracing::info!(destination = %name, kind, address, "export begins");
                }
                Err(error) => tracing::error!(destination = %name, %error, "export not started"),
            }
            running.insert(name, Running { options, exporter });
        }
    }

    fn start_export(
        self: &Arc<Self>,
        options: &ExportOptions,
        runtime: &Handle,
    ) -> Result<Exporter, String> {
        let Some(dir) = self.export_dir() else {
            return Err("exports need a history: set [hub] history".to_owned());
        };
        let start = || -> Result<Exporter, DestinationError> {
            let setting = |error: std::io::Error| DestinationError::Setting(error.to_string());
            let file = |error| setting(std::io::Error::other(error));
            let hub = self.export_identity(&dir).map_err(file)?;
            let engine = sysmon_export::engines::engine(&options.destination, &hub)?;
            let source = HubSource::new(Arc::clone(self), options, runtime.clone());
            let worker = WorkerOptions {
                name: options.destination.name.clone(),
                cursor: dir.join(format!("{}.json", options.destination.name)),
                every: options.destination.every,
                clock: self.clock.clone(),
                random: self.random.clone(),
            };
            Exporter::start(worker, engine, Box::new(source)).map_err(setting)
        };
        start().map_err(|error| error.to_string())
    }

    /// What engines know this hub by, whatever its name and its certificates are.
    fn export_identity(&self, dir: &Path) -> Result<HubIdentity, FileError> {
        sysmon_files::create_private_subdir(dir)?;
        let path = dir.join("identity");
        let identity = match read_private(&path) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.is_not_found() => {
                let identity = format!("{:016x}{:016x}", self.random.u64(), self.random.u64());
                write_private(&path, format!("{identity}\n"))?;
                identity
            }
            Err(error) => return Err(error),
        };
        Ok(HubIdentity {
            identity,
            name: self.name.clone(),
        })
    }

    /// What reads the past that this hub does not have.
    pub(super) fn start_beyond(&self, options: Option<&DestinationOptions>) -> Beyond {
        let (Some(options), Some(dir)) = (options, self.export_dir()) else {
            return Beyond::default();
        };
        match self.export_identity(&dir) {
            Ok(hub) => Beyond::start(options, &hub),
            Err(error) => Beyond::failed(&error.to_string()),
        }
    }

    /// Where cursors are stored: beside the history.
    fn export_dir(&self) -> Option<PathBuf> {
        Some(self.history_path()?.parent()?.join("exports"))
    }

    /// Ends all destinations.
    pub(super) fn stop_exports(&self) {
        let mut running = std::mem::take(&mut *lock(&self.exports.0));
        for destination in running.values_mut() {
            if let Ok(exporter) = &mut destination.exporter {
                exporter.stop(&self.clock, STOP_MAX);
            }
        }
    }

    /// Every destination and what it does.
    pub fn exports(&self) -> Vec<ExportState> {
        let running = lock(&self.exports.0);
        let state = |(name, running): (&String, &Running)| ExportState {
            name: name.clone(),
            kind: running.options.destination.kind.as_str(),
            address: running.options.destination.address(),
            status: match &running.exporter {
                Ok(exporter) => Ok(exporter.status()),
                Err(reason) => Err(reason.clone()),
            },
        };
        running.iter().map(state).collect()
    }

    fn with_export(&self, name: &str, order: impl FnOnce(&Exporter)) -> Result<(), ExportError> {
        let running = lock(&self.exports.0);
        let destination = running
            .get(name)
            .ok_or_else(|| ExportError::Unknown(name.to_owned()))?;
        match &destination.exporter {
            Ok(exporter) => {
                order(exporter);
                Ok(())
            }
            Err(reason) => Err(ExportError::NotStarted {
                name: name.to_owned(),
                reason: reason.clone(),
            }),
        }
    }

    /// Sends nothing to a destination until it is resumed, over restarts too.
    pub fn pause_export(&self, name: &str) -> Result<(), ExportError> {
        self.with_export(name, Exporter::pause)
    }

    /// Sends to a destination again, what it missed too.
    pub fn resume_export(&self, name: &str) -> Result<(), ExportError> {
        self.with_export(name, Exporter::resume)
    }

    /// Sends the past from a moment on to a destination.
    pub fn backfill_export(&self, name: &str, from: UnixMs) -> Result<(), ExportError> {
        let mut wants_past = true;
        self.with_export(name, |exporter| {
            wants_past = exporter.wants_past();
            if wants_past {
                exporter.backfill(from);
            }
        })?;
        match wants_past {
            true => Ok(()),
            false => Err(ExportError::NoPast(name.to_owned())),
        }
    }
}
