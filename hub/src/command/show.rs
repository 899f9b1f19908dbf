//! Commands that show a hub: its status, its audit log, its configuration.

use std::time::Duration;

use anyhow::Context as _;
use jiff::tz::TimeZone;
use sysmon_client::Client;
use sysmon_config::Failure;
use sysmon_config::time::format_moment;
use sysmon_hub::audit::{Audit, Entry};
use sysmon_store::store::{Migration, Store};

use super::options::options;
use super::{ANSWER_MAX, Context, span_ms};

pub(crate) fn status(context: &Context, json: bool) -> Result<(), Failure> {
    let snapshot = context.ask(ANSWER_MAX, async |client: &Client| client.status().await)?;
    let text = if json {
        format!("{}\n", snapshot.to_json())
    } else {
        snapshot.to_table()
    };
    Ok(sysmon_config::print(&text)?)
}

pub(crate) fn health(context: &Context) -> Result<(), Failure> {
    context.ask(ANSWER_MAX, async |client: &Client| client.status().await)?;
    Ok(sysmon_config::print("ok\n")?)
}

pub(crate) fn audit(context: &Context, since: Duration, json: bool) -> Result<(), Failure> {
    let (clock, dir) = (&context.clock, context.state.dir());
    let entries = Audit::new(dir, clock.instant()).since(clock.now() - span_ms(since));
    let entries =
        entries.with_context(|| format!("cannot read the audit log in {}", dir.display()))?;
    let text = if json {
        let line = |entry| serde_json::to_string(entry).unwrap_or_default() + "\n";
        entries.iter().map(line).collect()
    } else {
        table(&entries)
    };
    Ok(sysmon_config::print(&text)?)
}

fn table(entries: &[Entry]) -> String {
    let zone = TimeZone::system();
    let row = |time: &str, event: &str, who: &str, from: &str, what: &str| {
        let row = format!("{time:<21}{event:<10}{who:<28}{from:<24}{what}");
        row.trim_end().to_owned() + "\n"
    };
    let mut text = row("TIME", "EVENT", "WHO", "FROM", "WHAT");
    for entry in entries {
        let time = format_moment(entry.time_ms, &zone);
        text += &row(&time, &entry.event, &entry.who, &entry.from, &entry.what);
    }
    text
}

pub(crate) fn check(context: &Context) -> Result<(), Failure> {
    let options = options(context, &context.config)?;
    let mut text = format!(
        "configuration valid\nhub {} would listen on {} and keep {} h of rows in up to {} MiB of memory\n",
        options.name,
        options.listen,
        options.fleet.retention.as_secs() / 3600,
        options.fleet.memory_bytes >> 20
    );
    if let Some(history) = &options.history {
        let migration = Store::migration(&history.path).map_err(anyhow::Error::from)?;
        text += &migration.as_ref().map(told).unwrap_or_default();
    }
    Ok(sysmon_config::print(&text)?)
}

/// What the next start changes in the history.
fn told(migration: &Migration) -> String {
    let Migration {
        from,
        to,
        changes,
        copy,
        bytes,
    } = migration;
    format!(
        "the next start migrates the history from format {from} to {to}, which an older sysmon-hub cannot open: it {}; \
         a copy of {} MiB stays in {}\n",
        changes.join("; "),
        bytes.div_ceil(1 << 20),
        copy.display()
    )
}
