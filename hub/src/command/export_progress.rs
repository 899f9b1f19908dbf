//! Shows how far a destination is filled from the past.

use std::time::Duration;

use anyhow::anyhow;
use sysmon_config::Failure;
use sysmon_config::time::format_span;
use sysmon_wire::quantity;

use super::args::{Command, ExportCommand};
use super::exports::Line;
use super::{Context, control};

/// Time between two looks.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Follows a backfill that was ordered, unless it should not be waited for.
pub(crate) fn follow_up(context: &Context, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Export(ExportCommand::Backfill {
            name,
            no_wait: false,
            ..
        }) => follow(context, name),
        _ => Ok(()),
    }
}

/// Shows how far the filling of a destination is, until it is done.
fn follow(context: &Context, name: &str) -> Result<(), Failure> {
    let command = Command::Export(ExportCommand::List { json: true });
    let arguments = ["export", "list", "--json"].map(str::to_owned).to_vec();
    let (mut most, mut shown, mut last) = (0, String::new(), None);
    loop {
        std::thread::sleep(PROGRESS_EVERY);
        let answer = control::order(context, &command, arguments.clone())?;
        let lines: Vec<Line> = serde_json::from_str(&answer).map_err(anyhow::Error::from)?;
        let Some(line) = lines.into_iter().find(|line| line.name == name) else {
            return Err(anyhow!("{name} is no longer configured").into());
        };
        most = most.max(line.pending_ms);
        let begun = *last.get_or_insert(line.samples_total);
        let percent = match most {
            0 => 100,
            most => 100 - line.pending_ms.saturating_mul(100) / most,
        };
        let sent = quantity::format(
            (line.samples_total - begun) as f64,
            quantity::Prefixes::Si,
            " ",
        );
        let problem = line.error.as_deref().map(|error| format!(": {error}"));
        let text = format!(
            "{name}: {percent} %, {sent} values sent, {} left{}",
            format_span(line.pending_ms),
            problem.unwrap_or_default()
        );
        if text != shown {
            sysmon_config::note("sysmon-hub", &text);
            shown = text;
        }
        if line.pending_ms == 0 {
            return Ok(());
        }
        if line.state == "paused" {
            return Err(anyhow!("{name} is paused: `sysmon-hub export resume {name}`").into());
        }
    }
}
