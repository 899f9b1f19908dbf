//! The hub that is asked, and how it is asked once.

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use jiff::tz::TimeZone;
use sysmon_certs::{CertError, HubState, Identity, Role};
use sysmon_config::time::parse_moment;
use sysmon_config::{Config, Failure, Program, state_dir};
use sysmon_link::{Connector, LinkError};
use sysmon_tui::VERSION;
use sysmon_tui::standalone::Standalone;
use sysmon_wire::UnixMs;

use super::args::Args;

/// How long a hub has to answer a snapshot or query.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The hub that is looked at, and as whom.
pub(crate) struct Target {
    pub(crate) hub: String,
    pub(crate) identity: Identity,
    /// Kept alive as long as it is looked at.
    pub(crate) inside: Option<Standalone>,
}

impl Target {
    pub(crate) fn find(args: &Args, config: &Config) -> Result<Self, Failure> {
        let hub = args.hub.as_ref().or(config.tui.hub.as_ref());
        if let (Some(hub), None) = (hub, args.demo) {
            let identity = identity(args.common.state.as_deref()).map_err(anyhow::Error::from)?;
            return Ok(Self {
                hub: hub.to_string(),
                identity,
                inside: None,
            });
        }
        let hosts = usize::from(args.demo.unwrap_or(0));
        let inside = Standalone::start(config.agent.clone(), &config.hub, hosts)
            .map_err(anyhow::Error::from)?;
        Ok(Self {
            hub: inside.hub.clone(),
            identity: inside.owner.clone(),
            inside: Some(inside),
        })
    }
}

/// The operator's identity in `state`, which may also be a hub's state directory, or its usual
/// place; beside a hub, its owner's.
fn identity(state: Option<&Path>) -> Result<Identity, CertError> {
    let dir = state_dir(Program::Tui, state);
    let error = match Identity::load(&dir) {
        Ok(identity) if identity.peer().role == Role::Operator => return Ok(identity),
        Ok(identity) => {
            return Err(CertError::WrongPeer {
                dir,
                found: identity.peer().to_string(),
                wanted: "an operator".to_owned(),
            });
        }
        Err(error @ CertError::NoIdentity(_)) => error,
        Err(error) => return Err(error),
    };
    let beside = state.map_or_else(|| state_dir(Program::Hub, None), Path::to_owned);
    HubState::new(&beside).existing_owner().map_err(|_| error)
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.context("cannot start")?)
}

/// The present, by this machine's clock.
pub(crate) fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

/// A moment as people type it.
pub(crate) fn moment(text: &str) -> Result<UnixMs, Failure> {
    parse_moment(text, now().0, &TimeZone::system())
        .map(UnixMs)
        .map_err(|error| Failure::Usage(error.into()))
}

/// Runs `ask` with a connector, within a time that people wait.
pub(crate) fn answer<T>(
    target: &Target,
    ask: impl AsyncFnOnce(&Connector) -> Result<T, LinkError>,
) -> Result<T, Failure> {
    let answered = runtime()?.block_on(async {
        let connector = Connector::new(&target.identity, VERSION)?;
        let answered = tokio::time::timeout(ANSWER_WITHIN, ask(&connector)).await;
        connector.close().await;
        answered.unwrap_or_else(|_| Err(LinkError::HelloTimeout))
    });
    Ok(answered.with_context(|| format!("cannot ask the hub at {}", target.hub))?)
}
