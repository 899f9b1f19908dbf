//! Commands for exports: listing, testing, filling, pausing and resuming destinations.

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use sysmon_config::time::format_span;
use sysmon_config::{Failure, suggest};
use sysmon_export::engines::{HubIdentity, engine};
use sysmon_export::worker::State;
use sysmon_hub::server::{ExportState, Hub};
use sysmon_wire::quantity;

use super::args::ExportCommand;
use super::options::export_options;
use super::{Context, counted};

/// A destination as `export list --json` prints it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    kind: String,
    address: String,
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    lag_ms: i64,
    rows_total: u64,
    pub(crate) samples_total: u64,
    bytes_total: u64,
    refused: std::collections::BTreeMap<String, u64>,
    pub(crate) pending_ms: i64,
    pending_hosts: usize,
    lost_ms: i64,
}

impl From<ExportState> for Line {
    fn from(state: ExportState) -> Self {
        let (status, error, word) = match state.status {
            Ok(status) => {
                let error = match &status.state {
                    State::Failing { error, .. } => Some(error.clone()),
                    _ => None,
                };
                let word = status.state.as_str();
                (status, error, word)
            }
            Err(reason) => (Default::default(), Some(reason), "not started"),
        };
        Self {
            name: state.name,
            kind: state.kind.to_owned(),
            address: state.address,
            state: word.to_owned(),
            error,
            lag_ms: status.lag_ms,
            rows_total: status.rows,
            samples_total: status.samples,
            bytes_total: status.bytes,
            refused: status.refused,
            pending_ms: status.pending_ms,
            pending_hosts: status.pending_hosts,
            lost_ms: status.lost_ms,
        }
    }
}

/// What the running hub does for these commands.
pub(crate) fn perform(
    context: &Context,
    command: &ExportCommand,
    hub: Option<&Hub>,
) -> Result<String, Failure> {
    let Some(hub) = hub else {
        return match command {
            ExportCommand::List { json } => not_running(context, *json),
            _ => Err(anyhow!("the hub is not running: start it first").into()),
        };
    };
    let known = |name: &str| -> Result<(), Failure> {
        let exports = hub.exports();
        let names = || exports.iter().map(|export| export.name.as_str());
        if names().any(|known| known == name) {
            return Ok(());
        }
        let hint = suggest(name, names());
        Err(Failure::Usage(anyhow!(
            "there is no destination {name:?}{hint}"
        )))
    };
    let (text, done) = match command {
        ExportCommand::List { json } => {
            let lines: Vec<Line> = hub.exports().into_iter().map(Line::from).collect();
            return Ok(show(&lines, *json));
        }
        ExportCommand::Pause { name } => {
            known(name)?;
            (
                format!("{name} paused: `sysmon-hub export resume {name}` sends what it misses\n"),
                hub.pause_export(name),
            )
        }
        ExportCommand::Resume { name } => {
            known(name)?;
            (format!("{name} resumed\n"), hub.resume_export(name))
        }
        ExportCommand::Backfill { name, since, .. } => {
            known(name)?;
            let from = context.clock.now() - super::span_ms(*since);
            (String::new(), hub.backfill_export(name, from))
        }
        ExportCommand::Test { .. } => {
            return Err(Failure::Usage(anyhow!("this command changes nothing")));
        }
    };
    done.map_err(anyhow::Error::from)?;
    match command {
        ExportCommand::Pause { name } => context.audit("export", name, "paused"),
        ExportCommand::Resume { name } => context.audit("export", name, "resumed"),
        ExportCommand::Backfill { name, since, .. } => {
            let what = format!(
                "filled with {} of the past",
                format_span(super::span_ms(*since))
            );
            context.audit("export", name, &what);
        }
        _ => {}
    }
    Ok(text)
}

fn not_running(context: &Context, json: bool) -> Result<String, Failure> {
    let line = |options: sysmon_hub::server::ExportOptions| {
        let mut line = Line::from(ExportState {
            name: options.destination.name.clone(),
            kind: options.destination.kind.as_str(),
            address: options.destination.address(),
            status: Err("the hub is not running".to_owned()),
        });
        "hub not running".clone_into(&mut line.state);
        line.error = None;
        line
    };
    let lines: Vec<Line> = export_options(&context.config)?
        .into_iter()
        .map(line)
        .collect();
    Ok(show(&lines, json))
}

fn show(lines: &[Line], json: bool) -> String {
    if json {
        return serde_json::to_string_pretty(lines).unwrap_or_default() + "\n";
    }
    if lines.is_empty() {
        return "no destinations: add [[hub.export]] to the configuration\n".to_owned();
    }
    let row = |cells: [&str; 7]| {
        let [name, kind, address, state, lag, rows, refused] = cells;
        let row =
            format!("{name:<16}{kind:<14}{address:<34}{state:<16}{lag:<12}{rows:<12}{refused}");
        row.trim_end().to_owned() + "\n"
    };
    let mut text = row([
        "DESTINATION",
        "KIND",
        "ADDRESS",
        "STATE",
        "BEHIND",
        "ROWS",
        "VALUES REFUSED",
    ]);
    for line in lines {
        let behind = format_span(line.lag_ms);
        let refused: u64 = line.refused.values().sum();
        let refused = if refused > 0 {
            refused.to_string()
        } else {
            String::new()
        };
        let rows = quantity::format(line.rows_total as f64, quantity::Prefixes::Si, "");
        text += &row([
            &line.name,
            &line.kind,
            &line.address,
            &line.state,
            &behind,
            &rows,
            &refused,
        ]);
        if let Some(error) = &line.error {
            text += &format!("  {error}\n");
        }
        if line.pending_hosts > 0 {
            let (pending, hosts) = (
                format_span(line.pending_ms),
                counted(line.pending_hosts, "host"),
            );
            text += &format!("  still to send: {pending} of {hosts} together\n");
        }
        for (reason, values) in &line.refused {
            text += &format!("  refused {values} values: {reason}\n");
        }
        if line.lost_ms > 0 {
            text += &format!(
                "  lost: {} of hosts together, which the history no longer has\n",
                format_span(line.lost_ms)
            );
        }
    }
    text
}

/// Asks a destination's engine whether it would take rows, from here rather than from the running hub.
pub(crate) fn test(context: &Context, name: &str) -> Result<(), Failure> {
    let options = export_options(&context.config)?;
    let names = || {
        options
            .iter()
            .map(|options| options.destination.name.as_str())
    };
    let Some(options) = options
        .iter()
        .find(|options| options.destination.name == name)
    else {
        let hint = suggest(name, names());
        return Err(Failure::Usage(anyhow!(
            "there is no destination {name:?} in the configuration{hint}"
        )));
    };
    let hub = HubIdentity {
        identity: "test".to_owned(),
        name: context.hub_name().to_string(),
    };
    let mut engine =
        engine(&options.destination, &hub).map_err(|error| Failure::Usage(error.into()))?;
    let start = context.clock.instant();
    let what = engine.test().map_err(anyhow::Error::from)?;
    let ms = context
        .clock
        .instant()
        .saturating_duration_since(start)
        .as_millis();
    let address = options.destination.address();
    Ok(sysmon_config::print(&format!(
        "{name}: {address} {what} ({ms} ms)\n"
    ))?)
}
