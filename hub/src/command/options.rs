//! From flags and configuration to what the hub is told.

use anyhow::anyhow;
use sysmon_certs::{HubState, PeerName};
use sysmon_config::{Config, Failure, ShareAlerts};
use sysmon_hub::alerts::notify::Route;
use sysmon_hub::alerts::rule::{DEFAULTS, Rule};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::history::Limits;
use sysmon_hub::server::{
    AlertOptions, AlertWords, EdgeOptions, HistoryOptions, HubOptions, TrustOptions,
};

use super::args::Args;

pub(crate) fn hub_name(args: &Args, config: &Config) -> PeerName {
    let named = args
        .name
        .clone()
        .or_else(|| config.hub.name.as_ref()?.parse().ok());
    named.unwrap_or_else(|| PeerName::nearest(&sysmon_config::host_name()))
}

pub(crate) fn days(config: &Config) -> u32 {
    (config.hub.certificate_life.as_secs() / 86_400) as u32
}

pub(crate) fn alert_options(config: &Config, state: &HubState) -> Result<AlertOptions, Failure> {
    let usual = || DEFAULTS.iter().map(ToString::to_string).collect();
    let rules: Vec<String> = config.hub.alerts.clone().unwrap_or_else(usual);
    let rules: Result<Vec<Rule>, _> = rules.iter().map(|rule| rule.parse()).collect();
    let routes: Result<Vec<Route>, _> = config
        .hub
        .notify
        .iter()
        .map(|route| route.parse())
        .collect();
    Ok(AlertOptions {
        rules: rules.map_err(|error| Failure::Usage(anyhow!("[hub] alerts: {error}")))?,
        routes: routes.map_err(|error| Failure::Usage(anyhow!("[hub] notify: {error}")))?,
        path: Some(state.dir().join("alerts.json")),
    })
}

pub(crate) fn options(
    args: &Args,
    config: &Config,
    state: &HubState,
) -> Result<HubOptions, Failure> {
    Ok(HubOptions {
        alerts: alert_options(config, state)?,
        edges: EdgeOptions {
            edges: config.hub.edges.iter().map(ToString::to_string).collect(),
            share: config
                .hub
                .share
                .iter()
                .filter_map(|share| share.parse().ok())
                .collect(),
            metrics: Some(config.hub.share_metrics.clone()),
            alerts: match config.hub.share_alerts {
                ShareAlerts::None => AlertWords::None,
                ShareAlerts::Names => AlertWords::Names,
                ShareAlerts::Summaries => AlertWords::Summaries,
            },
        },
        metrics: config.hub.metrics,
        listen: args.listen.unwrap_or(config.hub.listen),
        name: hub_name(args, config).to_string(),
        fleet: FleetOptions {
            stale_after: config.hub.stale_after,
            offline_after: config.hub.offline_after,
            retention: config.hub.retention,
            memory_bytes: config.hub.memory,
        },
        history: (config.hub.history > 0).then(|| HistoryOptions {
            path: state.dir().join("history.db"),
            limits: Limits {
                bytes: config.hub.history,
                rows: config.hub.retention,
                minutes: config.hub.retention_1m,
                hours: config.hub.retention_1h,
            },
        }),
        trust: Some(TrustOptions {
            state: state.clone(),
            name: hub_name(args, config),
            days: days(config),
        }),
    })
}
