//! Running the hub until it is told to stop.

use std::time::SystemTime;

use anyhow::anyhow;
use sysmon_certs::HubState;
use sysmon_config::{Config, Failure, init_logs, notify};
use sysmon_hub::server::BoundHub;

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
        let hub = BoundHub::bind(options(args, config, state)?, &identity)
            .map_err(anyhow::Error::from)?;
        let address = hub
            .address()
            .ok_or_else(|| anyhow!("the socket has no address"))?;
        if let Some(loopback) = hub.loopback() {
            state.write_address(loopback).map_err(anyhow::Error::from)?;
        }
        let name = hub_name(args, config);
        tracing::info!(
            "hub {name} listens on {address} (UDP), state in {}",
            state.dir().display()
        );
        if let Some(address) = hub.metrics_address() {
            tracing::info!("metrics for this machine on http://{address}/metrics");
        }
        notify::ready(&format!("listens on {address}"));
        let stop = async {
            tokio::select! {
                () = sysmon_config::stop_signal() => notify::stopping(),
                () = notify::watchdog() => {}
            }
        };
        hub.serve(stop).await;
        state.forget_address();
        tracing::info!("stopped");
        Ok(())
    })
}
