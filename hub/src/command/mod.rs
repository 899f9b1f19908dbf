//! The commands of `sysmon-hub`, a file for each thing that people do with a hub.

pub(crate) mod alerts;
pub(crate) mod args;
pub(crate) mod options;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod trust;

use anyhow::Context;
use sysmon_config::Failure;

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.context("cannot start")?)
}
