//! What can be seen of a hub: how it does, what it would use, what it watches.

use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use jiff::tz::TimeZone;
use sysmon_certs::HubState;
use sysmon_client::Client;
use sysmon_config::time::format_moment;
use sysmon_config::{Config, Failure};
use sysmon_hub::audit::{Audit, Entry};
use sysmon_store::store::Store;
use sysmon_wire::UnixMs;

use super::alerts::{ANSWER_MAX, ask};
use super::args::Args;
use super::options::options;

pub(crate) fn status(state: &HubState, json: bool) -> Result<(), Failure> {
    let snapshot = ask(state, ANSWER_MAX, async |client: &Client| {
        client.status().await
    })?;
    let text = if json {
        format!("{}\n", snapshot.to_json())
    } else {
        snapshot.to_table()
    };
    Ok(sysmon_config::print(&text)?)
}

pub(crate) fn audit(state: &HubState, since: Duration, json: bool) -> Result<(), Failure> {
    let now = UnixMs::from_system(SystemTime::now());
    let since = now - i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let entries = Audit::new(state.dir()).since(since);
    let entries = entries.with_context(|| format!("cannot read {}", state.dir().display()))?;
    let zone = TimeZone::system();
    let text: String = if json {
        let line = |entry| serde_json::to_string(entry).unwrap_or_default() + "\n";
        entries.iter().map(line).collect()
    } else {
        let line = |entry: &Entry| {
            let time = format_moment(entry.time_ms, &zone);
            let line = format!(
                "{time}  {:<10}{:<28}{:<24}{}",
                entry.event, entry.who, entry.from, entry.what
            );
            line.trim_end().to_owned() + "\n"
        };
        let heading = format!(
            "{:<21}{:<10}{:<28}{:<24}WHAT\n",
            "TIME", "EVENT", "WHO", "FROM"
        );
        std::iter::once(heading)
            .chain(entries.iter().map(line))
            .collect()
    };
    Ok(sysmon_config::print(&text)?)
}

pub(crate) fn backup(state: &HubState, file: &std::path::Path) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::Usage(anyhow!(
            "{} exists already: choose another name",
            file.display()
        )));
    }
    let history = state.dir().join("history.db");
    if !history.exists() {
        return Err(anyhow!("there is no history in {}", state.dir().display()).into());
    }
    Store::backup(&history, file).map_err(anyhow::Error::from)?;
    let text = format!(
        "history written to {}; to go back to it, stop the hub and put it in place of {}\n",
        file.display(),
        history.display()
    );
    Ok(sysmon_config::print(&text)?)
}

pub(crate) fn check(args: &Args, config: &Config, state: &HubState) -> Result<(), Failure> {
    let options = options(args, config, state)?;
    let text = format!(
        "the configuration is good\nhub {} would listen on {}, keep {} h of rows in up to {} MiB\n",
        options.name,
        options.listen,
        options.fleet.retention.as_secs() / 3600,
        options.fleet.memory_bytes >> 20
    );
    Ok(sysmon_config::print(&text)?)
}
