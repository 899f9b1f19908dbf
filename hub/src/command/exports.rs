//! Commands for exports: listing, testing, filling, pausing and resuming destinations.

use std::time::Duration;

use anyhow::anyhow;
use sysmon_client::{Client, exports_json};
use sysmon_config::time::format_span;
use sysmon_config::{Failure, suggest};
use sysmon_export::engines::{HubIdentity, engine};
use sysmon_hub::server::{ExportError, Hub};
use sysmon_wire::message::ExportLine;
use sysmon_wire::quantity::{self, Prefixes};

use super::args::ExportCommand;
use super::options::export_options;
use super::{ANSWER_MAX, Context, counted, span_ms};

/// Time between two looks at a backfill, and how long it is followed.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
const PROGRESS_MAX: Duration = Duration::from_hours(24 * 7);

/// Pauses, resumes or fills a destination of the running hub.
pub(crate) fn change(
    context: &Context,
    command: &ExportCommand,
    hub: Option<&Hub>,
) -> Result<String, Failure> {
    let hub = hub.ok_or_else(|| anyhow!("the hub is not running: start it first"))?;
    let (name, what, text, done) = match command {
        ExportCommand::Pause { name } => (
            name,
            "paused".to_owned(),
            format!("{name} paused: `sysmon-hub export resume {name}` sends what it misses\n"),
            hub.pause_export(name),
        ),
        ExportCommand::Resume { name } => (
            name,
            "resumed".to_owned(),
            format!("{name} resumed\n"),
            hub.resume_export(name),
        ),
        ExportCommand::Backfill { name, since, .. } => (
            name,
            format!("filled with {} of the past", format_span(span_ms(*since))),
            String::new(),
            hub.backfill_export(name, context.clock.now() - span_ms(*since)),
        ),
        ExportCommand::List { .. } | ExportCommand::Test { .. } => {
            return Err(Failure::Usage(anyhow!("this command changes nothing")));
        }
    };
    done.map_err(|error| match error {
        ExportError::Unknown(_) => {
            let exports = hub.exports();
            let hint = suggest(name, exports.iter().map(|export| export.name.as_str()));
            Failure::Usage(anyhow!("{error}{hint}"))
        }
        error => Failure::Failed(error.into()),
    })?;
    context.audit("export", name, &what);
    Ok(text)
}

pub(crate) fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let snapshot = context.ask(ANSWER_MAX, async |client: &Client| client.status().await)?;
    let exports = snapshot.hub.map(|hub| hub.exports).unwrap_or_default();
    let text = match json {
        true => format!("{:#}\n", exports_json(&exports)),
        false => table(&exports),
    };
    Ok(sysmon_config::print(&text)?)
}

fn table(exports: &[ExportLine]) -> String {
    if exports.is_empty() {
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
    for export in exports {
        let refused = match export.refused_total() {
            0 => String::new(),
            values => values.to_string(),
        };
        text += &row([
            export.name.as_str(),
            export.kind.as_str(),
            export.address.as_str(),
            export.state.as_str(),
            &format_span(export.lag_ms),
            &quantity::format(export.rows as f64, Prefixes::Si, ""),
            &refused,
        ]);
        if let Some(error) = &export.error {
            text += &format!("  {error}\n");
        }
        if export.pending_hosts > 0 {
            let pending = format_span(export.pending_ms);
            let hosts = counted(export.pending_hosts as usize, "host");
            text += &format!("  still to send: {pending} of {hosts} together\n");
        }
        for (reason, values) in &export.refused {
            text += &format!("  refused {values} values: {reason}\n");
        }
        if export.lost_ms > 0 {
            let lost = format_span(export.lost_ms);
            text += &format!("  lost: {lost} of hosts together, which the history no longer has\n");
        }
    }
    text
}

/// Shows how far a destination is filled from the past, until it is.
pub(crate) fn follow(context: &Context, name: &str) -> Result<(), Failure> {
    let (mut most, mut begun) = (0, None);
    let followed = context.ask(PROGRESS_MAX, async |client: &Client| {
        loop {
            tokio::time::sleep(PROGRESS_EVERY).await;
            let exports = client.status().await?.hub.map(|hub| hub.exports);
            let mut exports = exports.unwrap_or_default().into_iter();
            let Some(export) = exports.find(|export| export.name == name) else {
                return Ok(Err(anyhow!("{name} is no longer configured")));
            };
            most = most.max(export.pending_ms);
            let begun = *begun.get_or_insert(export.samples);
            sysmon_config::note("sysmon-hub", &progress(&export, most, begun));
            if export.pending_ms == 0 {
                return Ok(Ok(()));
            }
            if export.state == "paused" {
                return Ok(Err(anyhow!(
                    "{name} is paused: `sysmon-hub export resume {name}`"
                )));
            }
        }
    })?;
    Ok(followed?)
}

fn progress(export: &ExportLine, most_ms: i64, begun: u64) -> String {
    let percent = match most_ms {
        0 => 100,
        most => 100 - export.pending_ms.saturating_mul(100) / most,
    };
    let sent = quantity::format(
        export.samples.saturating_sub(begun) as f64,
        Prefixes::Si,
        " ",
    );
    let error = export.error.as_ref().map(|error| format!(": {error}"));
    format!(
        "{}: {percent} %, {} values sent, {} left{}",
        export.name,
        sent.trim(),
        format_span(export.pending_ms),
        error.unwrap_or_default()
    )
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
