//! Commands that change a hub's state: by the running hub where there is one, and in its files otherwise.
//!
//! A change by another user than the hub's, such as root, would leave files that the hub cannot read, and would not take
//! effect before it looks. So the command sends its arguments to the hub over a socket in the state directory; the hub
//! performs it and returns what to print.

#[cfg(unix)]
mod client;
#[cfg(unix)]
mod server;

use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};
use sysmon_certs::CertError;
use sysmon_config::Failure;
use sysmon_files::{FileError, StateLock};
use sysmon_hub::server::Hub;

use super::args::{
    AlertsCommand, CaCommand, CertCommand, Command, EdgeCommand, ExportCommand, HostCommand,
    IncidentCommand, TokenCommand,
};
use super::install::Release;
use super::{Context, alerts, certificates, edges, exports, hosts, incidents, tokens};

#[cfg(unix)]
pub(crate) use server::ControlSocket;

/// A hub that starts has no socket yet, and another command holds the lock for a moment.
const BUSY_MAX: Duration = Duration::from_secs(5);

const RETRY: Duration = Duration::from_millis(50);

/// Name of the socket.
#[cfg(unix)]
const SOCKET: &str = "control.sock";

/// A command's arguments, without the program's name.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    arguments: Vec<String>,
}

/// What the command prints.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    text: String,
    failure: Option<OrderFailure>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OrderFailure {
    is_usage: bool,
    error: String,
}

impl From<Result<String, Failure>> for Outcome {
    fn from(result: Result<String, Failure>) -> Self {
        let failed = |is_usage, error: anyhow::Error| Self {
            text: String::new(),
            failure: Some(OrderFailure {
                is_usage,
                error: format!("{error:#}"),
            }),
        };
        match result {
            Ok(text) => Self {
                text,
                failure: None,
            },
            Err(Failure::Usage(error)) => failed(true, error),
            Err(Failure::Failed(error)) => failed(false, error),
        }
    }
}

impl From<Outcome> for Result<String, Failure> {
    fn from(outcome: Outcome) -> Self {
        match outcome.failure {
            None => Ok(outcome.text),
            Some(failure) if failure.is_usage => Err(Failure::Usage(anyhow!(failure.error))),
            Some(failure) => Err(Failure::Failed(anyhow!(failure.error))),
        }
    }
}

/// Whether a command changes the hub's state.
pub(crate) fn is_change(command: &Command) -> bool {
    match command {
        Command::Token(command) => !matches!(command, TokenCommand::List),
        Command::Cert(command) => matches!(command, CertCommand::Revoke { .. }),
        Command::Ca(command) => !matches!(command, CaCommand::Show),
        Command::Edge(command) => {
            matches!(
                command,
                EdgeCommand::Remove { .. } | EdgeCommand::Sign { .. }
            )
        }
        Command::Host(command) => !matches!(command, HostCommand::List),
        Command::Incident(command) => !matches!(command, IncidentCommand::List),
        Command::Export(command) => !matches!(
            command,
            ExportCommand::List { .. } | ExportCommand::Test { .. }
        ),
        Command::Alerts { command } => matches!(
            command,
            Some(AlertsCommand::Silence { .. } | AlertsCommand::Unsilence { .. })
        ),
        _ => false,
    }
}

/// Performs a change in the running hub, or in the files of one that does not run.
pub(crate) fn change(context: &Context, command: &Command) -> Result<(), Failure> {
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    // Looked up first: without it there is no use for a token.
    let release = Release::wanted(context, command)?;
    let mut text = order(context, command, arguments.collect())?;
    if let Command::Token(command) = command {
        text = tokens::shown(command, release.as_ref(), text)?;
    }
    Ok(sysmon_config::print(&text)?)
}

/// Performs a change and returns what to print; `arguments` are those of the command.
pub(crate) fn order(
    context: &Context,
    command: &Command,
    arguments: Vec<String>,
) -> Result<String, Failure> {
    let order = Order { arguments };
    let end = context.clock.instant() + BUSY_MAX;
    loop {
        #[cfg(unix)]
        if let Some(answer) = client::ask(context, &order)? {
            return answer.into();
        }
        match context.state.lock("a command of sysmon-hub") {
            Ok(lock) => return offline(context, command, &lock),
            Err(CertError::File(FileError::InUse { .. })) if context.clock.instant() < end => {
                std::thread::sleep(RETRY);
            }
            Err(error) => return Err(anyhow::Error::from(error).into()),
        }
    }
}

/// Holding the lock keeps a hub from starting meanwhile.
fn offline(context: &Context, command: &Command, _lock: &StateLock) -> Result<String, Failure> {
    perform(context, command, None)
}

/// Performs a change; with the hub if this is its process, so that it takes effect at once.
fn perform(context: &Context, command: &Command, hub: Option<&Hub>) -> Result<String, Failure> {
    let text = match command {
        Command::Token(command) => tokens::change(context, command),
        Command::Cert(CertCommand::Revoke { name, role }) => {
            certificates::revoke(context, name, *role)
        }
        Command::Export(command) => exports::change(context, command, hub),
        Command::Host(HostCommand::Forget { name }) => hosts::forget(context, name, hub),
        Command::Host(HostCommand::Rename { old, new }) => hosts::rename(context, old, new, hub),
        Command::Ca(command) => certificates::authority(context, command),
        Command::Edge(command) => edges::change(context, command),
        Command::Incident(command) => incidents::change(context, command),
        Command::Alerts {
            command: Some(command),
        } => alerts::change(context, command, hub),
        _ => Err(Failure::Usage(anyhow!("this command changes nothing"))),
    }?;
    if let Some(hub) = hub {
        hub.review_access();
    }
    Ok(text)
}
