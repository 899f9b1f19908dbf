//! Turns flags and configuration into what the hub is started with.

use std::path::PathBuf;

use anyhow::anyhow;
use sysmon_alerts::notify::{NotifierOptions, Route};
use sysmon_alerts::rule::{DEFAULTS, PatternError, parse_all};
use sysmon_alerts::silence::{MaintenanceWindowError, SilenceFile};
use sysmon_certs::{BearerToken, PeerName, Role};
use sysmon_client::hub_figures;
use sysmon_config::{Config, Failure};
use sysmon_export::destination::{DestinationOptions, EngineKind, Secret};
use sysmon_files::credential;
use sysmon_hub::fleet::FleetOptions;
use sysmon_hub::server::{
    AccessOptions, AlertOptions, EdgeOptions, ExportOptions, HistoryOptions, HubOptions,
    MetricsError, MetricsOptions,
};
use sysmon_store::Limits;

use super::Context;

/// Hosts that may send rows: every agent that got a certificate, this machine, and the hub itself. Empty before
/// any agent has joined, when no name can be called wrong.
pub(crate) fn known_hosts(context: &Context) -> Vec<String> {
    let issued = context.state.register().issued().unwrap_or_default();
    let agents = issued
        .into_iter()
        .filter(|issued| issued.role == Role::Agent.to_string());
    let mut hosts: Vec<String> = agents.map(|issued| issued.name).collect();
    if !hosts.is_empty() {
        hosts.push(PeerName::nearest(&sysmon_config::host_name()).to_string());
        hosts.push(hub_figures::host_name(context.hub_name().as_str()).to_string());
    }
    hosts
}

/// The file with the firing alerts and what is to be delivered of them.
pub(crate) fn alerts_file(context: &Context) -> PathBuf {
    context.state.dir().join("alerts.json")
}

/// Rules, routes and maintenance windows of a configuration; errors name the file and line.
pub(crate) fn alert_options(context: &Context, config: &Config) -> Result<AlertOptions, Failure> {
    let wrong = |key: &str, at: usize, problem: String| {
        Failure::Usage(anyhow!("{}: {problem}", config.place("hub", key, at)))
    };
    let defaults = || DEFAULTS.iter().map(ToString::to_string).collect();
    let rules: Vec<String> = config.hub.alerts.clone().unwrap_or_else(defaults);
    let rules = parse_all(&rules, &known_hosts(context))
        .map_err(|(at, error)| wrong("alerts", at, error.to_string()))?;
    let state = context.state.dir();
    let mut notifier = NotifierOptions {
        path: Some(alerts_file(context)),
        silences: Some(SilenceFile::new(state)),
        ..NotifierOptions::default()
    };
    for (at, route) in config.hub.notify.iter().enumerate() {
        let route = Route::resolve(route).map_err(|error| wrong("notify", at, error.to_string()));
        notifier.routes.push(route?);
    }
    for (at, window) in config.hub.maintenance.iter().enumerate() {
        let window = window
            .parse()
            .map_err(|error: MaintenanceWindowError| wrong("maintenance", at, error.to_string()));
        notifier.maintenance.push(window?);
    }
    Ok(AlertOptions { rules, notifier })
}

fn edge_options(config: &Config) -> Result<EdgeOptions, Failure> {
    let share = |(at, share): (usize, &String)| {
        let place = || config.place("hub", "share", at);
        let wrong = |error: PatternError| Failure::Usage(anyhow!("{}: {error}", place()));
        share.parse().map_err(wrong)
    };
    let shares = config.hub.share.iter().enumerate().map(share);
    let check = |(at, share): (usize, &String)| {
        let place = || config.place("hub", "share_checks", at);
        let wrong = |error: PatternError| Failure::Usage(anyhow!("{}: {error}", place()));
        share.parse().map_err(wrong)
    };
    let checks = config.hub.share_checks.iter().enumerate().map(check);
    Ok(EdgeOptions {
        // The running hub reads them from its state directory.
        paired: Vec::new(),
        edges: config.hub.edges.iter().map(ToString::to_string).collect(),
        share: shares.collect::<Result<_, _>>()?,
        checks: checks.collect::<Result<_, _>>()?,
        metrics: Some(config.hub.share_metrics.clone()),
        alerts: config.hub.share_alerts,
    })
}

/// Where metrics are served; none if they are not.
fn metrics_options(config: &Config) -> Result<Option<MetricsOptions>, Failure> {
    let hub = &config.hub;
    let Some(address) = hub.metrics else {
        return Ok(None);
    };
    let wrong = |key: &str, problem: String| {
        Failure::Usage(anyhow!("{}: {problem}", config.place("hub", key, 0)))
    };
    let token = hub.metrics_token.clone();
    let token = token.or_else(|| credential("metrics-token"));
    let token = token.as_deref().map(BearerToken::read).transpose();
    let token = token.map_err(|error| wrong("metrics_token", error.to_string()))?;
    if !address.ip().is_loopback() && token.is_none() {
        let problem = MetricsError::NoToken(address).to_string();
        return Err(wrong("metrics", problem));
    }
    let certificate = match (&hub.metrics_cert, &hub.metrics_key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        (Some(_), None) => return Err(wrong("metrics_cert", "set metrics_key too".to_owned())),
        (None, Some(_)) => return Err(wrong("metrics_key", "set metrics_cert too".to_owned())),
    };
    Ok(Some(MetricsOptions {
        address,
        token,
        certificate,
    }))
}

/// The destinations of exports; errors name the file and line.
pub(crate) fn export_options(config: &Config) -> Result<Vec<ExportOptions>, Failure> {
    let resolve = |(at, export)| {
        let place = || config.place("hub", "export", at);
        let resolved = ExportOptions::resolve(export);
        resolved.map_err(|error| Failure::Usage(anyhow!("{}: {error}", place())))
    };
    config.hub.export.iter().enumerate().map(resolve).collect()
}

/// Where a heartbeat is sent.
fn heartbeat(config: &Config) -> Result<Option<String>, Failure> {
    let Some(text) = &config.hub.heartbeat else {
        return Ok(None);
    };
    let place = || config.place("hub", "heartbeat", 0);
    let resolved = sysmon_files::resolve_reference(text);
    let resolved = resolved.map_err(|error| Failure::Usage(anyhow!("{}: {error}", place())))?;
    Ok(Some(resolved.unwrap_or_else(|| text.clone())))
}

/// Where the past beyond the hub's own is read.
fn beyond_options(config: &Config) -> Result<Option<DestinationOptions>, Failure> {
    let Some(url) = &config.hub.history_beyond else {
        return Ok(None);
    };
    let place = || config.place("hub", "history_beyond", 0);
    let url =
        Secret::resolve(url).map_err(|error| Failure::Usage(anyhow!("{}: {error}", place())))?;
    let mut options = DestinationOptions::new("history_beyond", EngineKind::Postgres, url);
    options.ca.clone_from(&config.hub.history_beyond_ca);
    Ok(Some(options))
}

pub(crate) fn options(context: &Context, config: &Config) -> Result<HubOptions, Failure> {
    Ok(HubOptions {
        listen: context.args.listen.unwrap_or(config.hub.listen),
        name: context.hub_name().to_string(),
        fleet: FleetOptions {
            stale_after: config.hub.stale_after,
            offline_after: config.hub.offline_after,
            retention: config.hub.retention,
            memory_bytes: config.hub.memory,
        },
        history: (config.hub.history > 0).then(|| HistoryOptions {
            path: context.state.dir().join("history.db"),
            limits: Limits {
                bytes: config.hub.history,
                rows: config.hub.retention,
                minutes: config.hub.retention_1m,
                hours: config.hub.retention_1h,
            },
        }),
        access: Some(AccessOptions {
            state: context.state.clone(),
            name: context.hub_name(),
            days: (config.hub.certificate_life.as_secs() / 86_400) as u32,
        }),
        alerts: alert_options(context, config)?,
        edges: edge_options(config)?,
        metrics: metrics_options(config)?,
        otlp: config.hub.otlp,
        otlp_http: config.hub.otlp_http,
        exports: export_options(config)?,
        history_beyond: beyond_options(config)?,
        heartbeat: heartbeat(config)?,
        clock: context.clock.clone(),
        random: context.random.clone(),
    })
}
