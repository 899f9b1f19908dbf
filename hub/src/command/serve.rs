//! Running the hub until it is told to stop, and reading its configuration again when that is asked for.

use std::sync::Arc;
use std::time::SystemTime;

use anyhow::anyhow;
use sysmon_certs::HubState;
use sysmon_config::{Config, Failure, Hangup, Hangups, end_signal, init_logs, notify};
use sysmon_hub::audit::{Audit, Entry};
use sysmon_hub::reload::changes;
use sysmon_hub::server::{BoundHub, Hub};
use sysmon_wire::UnixMs;

use super::args::Args;
use super::options::{days, hub_name, options};
use super::runtime;

pub(crate) fn serve(args: &Args, config: &Config, state: &HubState) -> Result<(), Failure> {
    init_logs(&args.common);
    let now = SystemTime::now();
    let authority = state.authority(now).map_err(anyhow::Error::from)?;
    let identity = state
        .hub_identity(&authority, &hub_name(args, config), now, days(config))
        .and_then(|identity| {
            state.owner_identity(&authority, now, days(config))?;
            Ok(identity)
        })
        .map_err(anyhow::Error::from)?;
    runtime()?.block_on(async {
        // Before anybody knows that we run: a hang-up that nobody waits for would end us.
        let hangups = Hangups::new();
        let hub = BoundHub::bind(options(args, config, state)?, &identity)
            .map_err(anyhow::Error::from)?;
        announce(&hub, hub_name(args, config).as_str(), state)?;
        let reloads = reload(args, config, state, Arc::clone(hub.hub()), hangups);
        let stop = async {
            tokio::select! {
                () = end_signal() => notify::stopping(),
                () = reloads => notify::stopping(),
                () = notify::watchdog() => {}
            }
        };
        hub.serve(stop).await;
        state.remove_address();
        tracing::info!("stopped");
        Ok(())
    })
}

/// Says where the hub is.
fn announce(hub: &BoundHub, name: &str, state: &HubState) -> Result<(), Failure> {
    let address = hub
        .address()
        .ok_or_else(|| anyhow!("the socket has no address"))?;
    if let Some(loopback) = hub.loopback() {
        state.write_address(loopback).map_err(anyhow::Error::from)?;
    }
    if let Some(address) = hub.metrics_address() {
        tracing::info!("metrics for this machine on http://{address}/metrics");
    }
    tracing::info!(
        "hub {name} listens on {address} (UDP), state in {}",
        state.dir().display()
    );
    notify::ready(&format!("listens on {address}"));
    Ok(())
}

/// Reads the configuration again at each hang-up; done when the hang-up was the terminal's last.
async fn reload(
    args: &Args,
    config: &Config,
    state: &HubState,
    hub: Arc<Hub>,
    mut hangups: Hangups,
) {
    let mut present = config.clone();
    while hangups.next().await == Hangup::Reload {
        match read(args, &present, state, &hub) {
            Ok(config) => present = config,
            Err(Failure::Usage(error) | Failure::Failed(error)) => {
                tracing::error!("the configuration stays as it was: {error:#}");
            }
        }
    }
}

/// Takes what the configuration says now, or nothing of it if it cannot be understood.
fn read(args: &Args, old: &Config, state: &HubState, hub: &Hub) -> Result<Config, Failure> {
    let new = args.common.load()?;
    let options = options(args, &new, state)?;
    let changes = changes(&old.hub, &new.hub);
    for change in &changes {
        tracing::info!("{change}");
    }
    if changes.iter().any(|change| change.is_live) {
        hub.reload(options);
    }
    let waiting = changes.iter().filter(|change| !change.is_live).count();
    let waits = match waiting {
        0 => String::new(),
        _ => format!(", {waiting} of which wait for the next start"),
    };
    let what = match changes.len() {
        0 => "nothing changed".to_owned(),
        1 => format!("1 change{waits}"),
        count => format!("{count} changes{waits}"),
    };
    tracing::info!("configuration read again: {what}");
    let now = UnixMs::from_system(SystemTime::now());
    let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
    let entry = Entry::new(now, "reloaded", &"").what(&format!("{what}: {}", told.join("; ")));
    Audit::new(state.dir()).note(&entry);
    Ok(new)
}
