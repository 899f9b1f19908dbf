//! `sysmon-agent check`: tries checks once and prints what they found out.

use std::time::Duration;

use sysmon_agent::checks::{self, Outcome};
use sysmon_clock::Clock;
use sysmon_config::check::{Check, read_line};
use sysmon_config::{AgentConfig, Failure, suggest};

/// Tries the check called `name`, that of `line`, or all of the configuration.
pub(crate) fn run(
    config: &AgentConfig,
    name: Option<&str>,
    line: Option<&str>,
    clock: &Clock,
) -> Result<(), Failure> {
    let wanted = wanted(config, name, line)?;
    let mut down = 0;
    let mut printed = Ok(());
    let mut say = |check: &Check, outcome: &Outcome| {
        down += usize::from(outcome.is_up.is_err());
        // Each at once: the next may take its time.
        if printed.is_ok() {
            printed = sysmon_config::print(&describe(check, outcome));
        }
    };
    let tried = checks::once(&wanted, &config.check_networks, clock, &mut say);
    tried.map_err(anyhow::Error::from)?;
    printed?;
    match down {
        0 => Ok(()),
        _ => Err(Failure::Failed(anyhow::anyhow!(
            "{down} of {} down",
            wanted.len()
        ))),
    }
}

fn wanted(
    config: &AgentConfig,
    name: Option<&str>,
    line: Option<&str>,
) -> Result<Vec<Check>, Failure> {
    let usage = |text: String| Failure::Usage(anyhow::anyhow!(text));
    if let Some(line) = line {
        return read_line(line).map(|check| vec![check]).map_err(usage);
    }
    let all = &config.checks;
    let Some(name) = name else {
        return match all.is_empty() {
            true => Err(usage(
                "no checks are configured: write them into [agent] checks, or try --line"
                    .to_owned(),
            )),
            false => Ok(all.clone()),
        };
    };
    match all.iter().find(|check| check.name == name) {
        Some(check) => Ok(vec![check.clone()]),
        None => {
            let names = all.iter().map(|check| check.name.as_str());
            let hint = suggest(name, names);
            Err(usage(format!("there is no check called {name:?}{hint}")))
        }
    }
}

/// `shop  up  123 ms (dns 1.2 ms, connect 3 ms), certificate for 61 days`.
fn describe(check: &Check, outcome: &Outcome) -> String {
    let state = match &outcome.is_up {
        Ok(()) => format!("up    {}", milliseconds(outcome.took)),
        Err(reason) => format!("DOWN  {reason}"),
    };
    let phases: Vec<String> = outcome
        .phases
        .all()
        .into_iter()
        .filter_map(|(name, took)| {
            let name = name.replace('_', " ");
            took.map(|took| format!("{name} {}", milliseconds(took)))
        })
        .collect();
    let phases = match phases.is_empty() {
        true => String::new(),
        false => format!(" ({})", phases.join(", ")),
    };
    let expiry = match outcome.expiry_s {
        Some(left) if left >= 0 => format!(", certificate for {} days", left / 86_400),
        Some(_) => ", certificate expired".to_owned(),
        None => String::new(),
    };
    format!("{:<20} {state}{phases}{expiry}\n", check.name)
}

fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        10.0.. => format!("{ms:.0} ms"),
        1.0.. => format!("{ms:.1} ms"),
        _ => format!("{ms:.2} ms"),
    }
}
