//! `sysmon-agent heartbeat`: adds, lists and removes heartbeats.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use sysmon_agent::heartbeats::Store;
use sysmon_clock::{Clock, Random};
use sysmon_config::check::check_name;
use sysmon_config::time::{format_local, format_span, parse_span};
use sysmon_config::{AgentConfig, Failure};

#[derive(Debug, Subcommand)]
pub(crate) enum HeartbeatCommand {
    /// Add a heartbeat and print its token with the command for the job
    #[command(after_help = "\
Example:
  sysmon-agent heartbeat add backup --every 1d --grace 2h")]
    Add {
        /// What the job is called
        job: String,
        /// Time between two reports
        #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_span)]
        every: Duration,
        /// Time that a report may be late
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_span)]
        grace: Duration,
    },
    /// List all heartbeats, and when each was heard
    #[command(after_help = "Example:\n  sysmon-agent heartbeat list")]
    List,
    /// Remove a heartbeat; its token is no longer accepted
    #[command(after_help = "Example:\n  sysmon-agent heartbeat remove backup")]
    Remove {
        /// What the job is called
        job: String,
    },
}

/// Where reports are heard if the configuration does not say.
const ADDRESS: &str = "127.0.0.1:9798";

impl HeartbeatCommand {
    pub(crate) fn run(
        &self,
        config: &AgentConfig,
        state: &Path,
        clock: &Clock,
        random: &Random,
    ) -> Result<(), Failure> {
        let store = Store::new(state);
        let text = match self {
            Self::Add { job, every, grace } => {
                let name = check_name(job).map_err(|e| Failure::Usage(anyhow::anyhow!(e)))?;
                let times = (every.as_secs().max(1), grace.as_secs());
                let token = store.add(&name, times, clock.now(), random);
                added(config, &token.map_err(anyhow::Error::from)?)
            }
            Self::List => list(&store, clock)?,
            Self::Remove { job } => {
                store.remove(job).map_err(anyhow::Error::from)?;
                format!("removed the heartbeat {job}\n")
            }
        };
        Ok(sysmon_config::print(&text)?)
    }
}

fn added(config: &AgentConfig, token: &str) -> String {
    let address = match config.heartbeats {
        Some(address) => address.to_string(),
        None => ADDRESS.to_owned(),
    };
    let mut text = format!(
        "Add this after the command of the job; it reports the exit status too:\n\n  curl -fsS -m 10 --retry 3 -X POST -H \"Authorization: Bearer {token}\" http://{address}/$?\n"
    );
    if config.heartbeats.is_none() {
        let _ = write!(
            text,
            "\nThe agent does not listen for heartbeats yet: set [agent] heartbeats = \"{address}\" and restart it.\n"
        );
    }
    text
}

fn list(store: &Store, clock: &Clock) -> Result<String, Failure> {
    let book = store.load().map_err(anyhow::Error::from)?;
    if book.definitions.is_empty() {
        return Ok("no heartbeats; add one with sysmon-agent heartbeat add JOB\n".to_owned());
    }
    let mut text = format!("{:<20} {:<8} {:<20} STATE\n", "NAME", "EVERY", "HEARD");
    for definition in &book.definitions {
        let every = i64::try_from(definition.every_s).unwrap_or(i64::MAX / 1000) * 1000;
        let heard = match book.beats.get(&definition.name) {
            Some(beat) => format_local(beat.at_ms),
            None => "never".to_owned(),
        };
        let state = book.problem(definition, clock.now());
        let state = state.unwrap_or_else(|| "on time".to_owned());
        let name = &definition.name;
        let every = format_span(every);
        let _ = writeln!(text, "{name:<20} {every:<8} {heard:<20} {state}");
    }
    Ok(text)
}
