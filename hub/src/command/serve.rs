//! Runs the hub until it is stopped, and reloads its configuration on SIGHUP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use sysmon_config::{Config, Failure, Hangup, Hangups, end_signal, init_logs, notify, runtime};
use sysmon_files::StateLock;
use sysmon_hub::reload::changes;
use sysmon_hub::server::{BoundHub, Ended, Hub};

use super::Context;
use super::backup::restoring_dir;
#[cfg(unix)]
use super::control::ControlSocket;
use super::options::options;

/// Where a history is damaged sooner after it was recovered, the disk fails.
const LIFE_MIN: Duration = Duration::from_secs(30);

/// Longest time that a command holds the state directory.
const COMMAND_MAX: Duration = Duration::from_secs(2);

pub(crate) fn serve(context: &Context) -> Result<(), Failure> {
    init_logs(&context.args.common);
    let (state, name, days) = (&context.state, context.hub_name(), context.days());
    let now = context.clock.system_time();
    state.check_owner().map_err(anyhow::Error::from)?;
    let _lock = lock(context)?;
    let restoring = restoring_dir(state.dir());
    if restoring.exists() {
        return Err(anyhow!(
            "a restore was interrupted: repeat it with `sysmon-hub restore --force FILE`, or move {} away",
            restoring.display()
        )
        .into());
    }
    let authority = state.authority(now).map_err(anyhow::Error::from)?;
    let identity = state
        .hub_identity(&authority, &name, now, days)
        .and_then(|identity| {
            state.owner_identity(&authority, now, days)?;
            Ok(identity)
        })
        .map_err(anyhow::Error::from)?;
    let start = context.clock.instant();
    let (ended, is_recovered) = runtime()?.block_on(async {
        // Before the hub is announced: without a handler a SIGHUP would end it.
        let hangups = Hangups::new();
        let hub = BoundHub::bind(options(context, &context.config)?, &identity)
            .map_err(anyhow::Error::from)?;
        #[cfg(unix)]
        let _control = ControlSocket::open(context, &hub.hub)
            .with_context(|| format!("cannot listen for commands in {}", state.dir().display()))?;
        announce(context, &hub)?;
        let reloads = reload_on_hangup(context, Arc::clone(&hub.hub), hangups);
        let stop = async {
            tokio::select! {
                () = end_signal() => notify::stopping(),
                () = reloads => notify::stopping(),
                () = notify::watchdog() => {}
            }
        };
        let is_recovered = hub.hub.is_history_recovered();
        let ended = hub.serve(stop).await;
        state.remove_address();
        tracing::info!("stopped");
        Ok::<_, Failure>((ended, is_recovered))
    })?;
    match ended {
        Ended::Stopped => Ok(()),
        Ended::HistoryDamaged
            if is_recovered && context.clock.instant() - start < LIFE_MIN =>
        {
            Err(anyhow!(
            "the history is damaged again right after it was recovered; check the disk for errors"
        )
        .into())
        }
        Ended::HistoryDamaged => start_anew(),
    }
}

/// Replaces this process by a new one, which recovers the history. Its number stays, so a service manager notices
/// nothing.
fn start_anew() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // The program's file may have been replaced by an upgrade.
        let program = match cfg!(target_os = "linux") {
            true => "/proc/self/exe".into(),
            false => std::env::current_exe()?,
        };
        let mut command = std::process::Command::new(program);
        command.args(std::env::args_os().skip(1));
        Err(command.exec().into())
    }
    #[cfg(not(unix))]
    Err(anyhow!("the history is damaged: start the hub again, which recovers it").into())
}

/// Locks the state directory, which a command on it may use for a moment.
fn lock(context: &Context) -> Result<StateLock, Failure> {
    let end = context.clock.instant() + COMMAND_MAX;
    loop {
        match context.state.lock("sysmon-hub") {
            Ok(lock) => return Ok(lock),
            Err(error) if context.clock.instant() >= end => {
                return Err(Failure::Failed(error.into()));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Publishes the hub's addresses: in its state directory, in the log and to the service manager.
fn announce(context: &Context, hub: &BoundHub) -> Result<(), Failure> {
    let address = hub
        .address()
        .ok_or_else(|| anyhow!("the QUIC socket has no address"))?;
    let state = &context.state;
    if let Some(loopback) = hub.loopback() {
        state.write_address(loopback).map_err(anyhow::Error::from)?;
    }
    if let Some(url) = hub.metrics_url() {
        tracing::info!(%url, "serves metrics");
    }
    for (address, protocol) in hub.otlp_addresses().iter().zip(["gRPC", "HTTP"]) {
        if let Some(address) = address {
            tracing::info!(%address, protocol, "receives OTLP");
        }
    }
    let (name, state) = (context.hub_name(), state.dir().display());
    tracing::info!(%name, %address, %state, "listens on UDP");
    notify::ready(&format!("listens on {address}"));
    Ok(())
}

/// Reloads the configuration at each SIGHUP; returns when the hang-up ends the hub's own terminal.
async fn reload_on_hangup(context: &Context, hub: Arc<Hub>, mut hangups: Hangups) {
    let mut present = context.config.clone();
    while hangups.next().await == Hangup::Reload {
        match reload(context, &present, &hub) {
            Ok(config) => present = config,
            Err(Failure::Usage(error) | Failure::Failed(error)) => {
                tracing::error!(error = %format_args!("{error:#}"), "configuration not reloaded");
            }
        }
    }
}

fn reload(context: &Context, old: &Config, hub: &Arc<Hub>) -> Result<Config, Failure> {
    let new = context.args.common.load()?;
    let options = options(context, &new)?;
    let changes = changes(&old.hub, &new.hub);
    for change in &changes {
        tracing::info!(%change, "configuration changed");
    }
    if changes.iter().any(|change| change.is_live) {
        hub.reload(options);
    }
    let after_restart = changes.iter().filter(|change| !change.is_live).count();
    tracing::info!(
        changes = changes.len(),
        after_restart,
        "configuration reloaded"
    );
    let changed: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let what = match changed.as_slice() {
        [] => "nothing changed".to_owned(),
        changed => changed.join("; "),
    };
    context.audit("reloaded", "", &what);
    Ok(new)
}
