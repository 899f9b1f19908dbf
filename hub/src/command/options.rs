//! From flags and configuration to what the hub is told.

use anyhow::anyhow;
use sysmon_alerts::notify::{NotifierOptions, Route};
use sysmon_alerts::rule::{DEFAULTS, parse_all};
use sysmon_alerts::silence::SilenceFile;
use sysmon_certs::{HubState, PeerName, Role};
use sysmon_client::hub_figures;
use sysmon_config::{Config, Failure, ShareAlerts};
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::server::{
    AlertOptions, AlertWords, EdgeOptions, HistoryOptions, HubOptions, TrustOptions,
};
use sysmon_store::Limits;

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

/// Hosts that may send rows: all that ever got a certificate, this machine, and the hub about itself.
pub(crate) fn known_hosts(args: &Args, config: &Config, state: &HubState) -> Vec<String> {
    let issued = state.register().issued().unwrap_or_default();
    let agents = issued
        .into_iter()
        .filter(|issued| issued.role == Role::Agent.to_string());
    let mut hosts: Vec<String> = agents.map(|issued| issued.name).collect();
    // Before anybody has joined, every name may be right.
    if !hosts.is_empty() {
        hosts.push(PeerName::nearest(&sysmon_config::host_name()).to_string());
        hosts.push(hub_figures::host_name(hub_name(args, config).as_str()).to_string());
    }
    hosts
}

pub(crate) fn alert_options(
    args: &Args,
    config: &Config,
    state: &HubState,
) -> Result<AlertOptions, Failure> {
    let wrong = |key: &str, at: usize, problem: String| {
        Failure::Usage(anyhow!("{}: {problem}", config.place("hub", key, at)))
    };
    let usual = || DEFAULTS.iter().map(ToString::to_string).collect();
    let rules: Vec<String> = config.hub.alerts.clone().unwrap_or_else(usual);
    let rules = parse_all(&rules, &known_hosts(args, config, state))
        .map_err(|(at, error)| wrong("alerts", at, error.to_string()))?;
    let mut telling = NotifierOptions {
        path: Some(state.dir().join("alerts.json")),
        silences: Some(SilenceFile::new(state.dir())),
        ..NotifierOptions::default()
    };
    for (at, route) in config.hub.notify.iter().enumerate() {
        let route = Route::resolve(route).map_err(|error| wrong("notify", at, error.to_string()));
        telling.routes.push(route?);
    }
    for (at, window) in config.hub.maintenance.iter().enumerate() {
        let window = window
            .parse()
            .map_err(|error| wrong("maintenance", at, error));
        telling.maintenance.push(window?);
    }
    Ok(AlertOptions { rules, telling })
}

pub(crate) fn options(
    args: &Args,
    config: &Config,
    state: &HubState,
) -> Result<HubOptions, Failure> {
    Ok(HubOptions {
        alerts: alert_options(args, config, state)?,
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
