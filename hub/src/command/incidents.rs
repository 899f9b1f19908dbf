//! Commands for incidents on the public page.

use std::fmt::Write;

use sysmon_config::Failure;
use sysmon_config::time::format_local;
use sysmon_hub::incidents::{IncidentError, IncidentFile};

use super::Context;
use super::args::IncidentCommand;

/// Changes the incidents and returns what to print.
pub(crate) fn change(context: &Context, command: &IncidentCommand) -> Result<String, Failure> {
    let (file, now) = (IncidentFile::new(context.state.dir()), context.clock.now());
    let failed = |error: IncidentError| match error {
        IncidentError::File(_) | IncidentError::Damaged(_) => Failure::Failed(error.into()),
        error => Failure::Usage(error.into()),
    };
    let (event, number, what) = match command {
        IncidentCommand::Open { title, checks } => {
            let number = file.open(title, checks, now).map_err(failed)?;
            ("opened", number, title.as_str())
        }
        IncidentCommand::Update { number, text } => {
            file.update(*number, Some(text), false, now)
                .map_err(failed)?;
            ("updated", *number, text.as_str())
        }
        IncidentCommand::Resolve { number, text } => {
            let text = text.as_deref();
            file.update(*number, text, true, now).map_err(failed)?;
            ("resolved", *number, text.unwrap_or_default())
        }
        IncidentCommand::List => return list(&file),
    };
    context.audit(
        "incident",
        &format!("incident {number}"),
        &format!("{event} {what}"),
    );
    Ok(format!("{event} incident {number}\n"))
}

/// Prints all incidents.
pub(crate) fn show(context: &Context) -> Result<(), Failure> {
    let text = list(&IncidentFile::new(context.state.dir()))?;
    Ok(sysmon_config::print(&text)?)
}

fn list(file: &IncidentFile) -> Result<String, Failure> {
    let all = file.load().map_err(|error| Failure::Failed(error.into()))?;
    if all.is_empty() {
        return Ok("no incidents\n".to_owned());
    }
    let mut text = String::new();
    for one in all.iter().rev() {
        let state = match one.resolved_ms {
            Some(at) => format!("resolved {}", format_local(at)),
            None => "open".to_owned(),
        };
        let about = match one.checks.is_empty() {
            true => String::new(),
            false => format!(" [{}]", one.checks.join(", ")),
        };
        let opened = format_local(one.opened_ms);
        let _ = writeln!(
            text,
            "{:>3}  {opened}  {}{about}  ({state})",
            one.id, one.title
        );
        for update in &one.updates {
            let _ = writeln!(
                text,
                "     {}  {}",
                format_local(update.time_ms),
                update.text
            );
        }
    }
    Ok(text)
}
