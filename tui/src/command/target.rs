//! The hub that is asked, and how it is asked once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::tz::TimeZone;
use sysmon_certs::{CertError, HubState, Identity, PeerName, Role};
use sysmon_client::ClientError;
use sysmon_clock::{Clock, Random};
use sysmon_config::time::parse_moment;
use sysmon_config::{Config, Failure, HubAddress, Program, state_dir};
use sysmon_link::{Connector, LinkError};
use sysmon_tui::VERSION;
use sysmon_tui::standalone::{Standalone, StandaloneOptions};
use sysmon_wire::UnixMs;
use sysmon_wire::message::Purpose;

use super::args::Args;

/// The file in a profile that says where its hub is.
const HUB_FILE: &str = "hub";

/// How long a hub has to answer a snapshot or query.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The hub that is looked at, and as whom.
pub(crate) struct Target {
    pub(crate) hub: String,
    pub(crate) identity: Identity,
    /// Where that is kept, if it is ours to renew.
    pub(crate) dir: Option<PathBuf>,
    /// Kept alive as long as it is looked at.
    pub(crate) inside: Option<Standalone>,
}

impl Target {
    pub(crate) fn find(args: &Args, config: &Config) -> Result<Self, Failure> {
        let hub = args.hub.as_ref().or(config.tui.hub.as_ref());
        if let (Some(hub), None) = (hub, args.demo) {
            let found = Profile::find(args.common.state.as_deref(), hub);
            let (identity, dir) = found.identity().map_err(anyhow::Error::from)?;
            return Ok(Self {
                hub: found.hub.to_string(),
                identity,
                dir,
                inside: None,
            });
        }
        let inside = Standalone::start(standalone(args, config)).map_err(anyhow::Error::from)?;
        Ok(Self {
            hub: inside.hub.clone(),
            identity: inside.owner.clone(),
            dir: None,
            inside: Some(inside),
        })
    }
}

/// The hub and agents that run inside this program.
pub(crate) fn standalone(args: &Args, config: &Config) -> StandaloneOptions {
    StandaloneOptions {
        agent: config.agent.clone(),
        hub: config.hub.clone(),
        demo_hosts: usize::from(args.demo.unwrap_or(0)),
        clock: Clock::system(),
        random: Random::system(),
    }
}

/// A hub, and where the identity to look at it with may be.
pub(crate) struct Profile {
    hub: HubAddress,
    dir: PathBuf,
    /// The state directory of a hub, whose owner needs no identity of his own.
    beside: PathBuf,
}

impl Profile {
    /// The profile that is called like the hub, if `sysmon-tui join` has made one; else what is in the state
    /// directory itself.
    fn find(state: Option<&Path>, hub: &HubAddress) -> Self {
        let dir = state_dir(Program::Tui, state);
        let beside = state.map_or_else(|| state_dir(Program::Hub, None), Path::to_owned);
        let named = dir.join(PeerName::nearest(hub.host()).as_str());
        let joined = std::fs::read_to_string(named.join(HUB_FILE)).ok();
        match joined.and_then(|text| text.trim().parse().ok()) {
            Some(joined) => Self {
                // A port that was typed is meant.
                hub: if hub.is_usual_port() {
                    joined
                } else {
                    hub.clone()
                },
                dir: named,
                beside,
            },
            None => Self {
                hub: hub.clone(),
                dir,
                beside,
            },
        }
    }

    /// Keeps an identity for a hub, to be found by this name; where that is. A state directory that was named is
    /// taken as it is.
    pub(crate) fn keep(
        state: Option<&Path>,
        hub: &HubAddress,
        name: &str,
        identity: &Identity,
    ) -> Result<PathBuf, anyhow::Error> {
        let dir = match state {
            Some(state) => state.to_owned(),
            None => state_dir(Program::Tui, None).join(PeerName::nearest(name).as_str()),
        };
        identity.save(&dir)?;
        std::fs::write(dir.join(HUB_FILE), format!("{hub}\n"))?;
        Ok(dir)
    }

    /// The operator's identity, and where it is kept; beside a hub its owner's, which the hub keeps.
    fn identity(&self) -> Result<(Identity, Option<PathBuf>), CertError> {
        let error = match Identity::load(&self.dir) {
            Ok(identity) if identity.peer().role == Role::Operator => {
                return Ok((identity, Some(self.dir.clone())));
            }
            Ok(identity) => {
                return Err(CertError::WrongPeer {
                    dir: self.dir.clone(),
                    found: identity.peer().to_string(),
                    wanted: "an operator".to_owned(),
                });
            }
            Err(error @ CertError::NoIdentity(_)) => error,
            Err(error) => return Err(error),
        };
        let owner = HubState::new(&self.beside).existing_owner();
        owner.map(|owner| (owner, None)).map_err(|_| error)
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    Ok(runtime.context("cannot start")?)
}

/// The present, by this machine's clock.
pub(crate) fn now() -> UnixMs {
    Clock::system().now()
}

/// A moment as people type it.
pub(crate) fn moment(text: &str) -> Result<UnixMs, Failure> {
    parse_moment(text, now().0, &TimeZone::system())
        .map(UnixMs)
        .map_err(|error| Failure::Usage(error.into()))
}

/// Renews the operator's certificate, for those who ask again and again but never look.
async fn renew(connector: &Connector, hub: &str, dir: &Path) -> Result<(), LinkError> {
    let session = connector.connect(hub, Purpose::View).await?;
    let renewed = connector
        .renew_if_due(&session.connection, session.clock_offset_ms)
        .await?;
    if let Some(identity) = renewed {
        identity.save(dir)?;
    }
    Ok(())
}

/// Runs `ask` with a connector, within a time that people wait.
pub(crate) fn answer<T>(
    target: &Target,
    ask: impl AsyncFnOnce(&Connector) -> Result<T, ClientError>,
) -> Result<T, Failure> {
    let answered = runtime()?.block_on(async {
        let connector = Connector::new(&target.identity, VERSION)?;
        let answered = tokio::time::timeout(ANSWER_WITHIN, ask(&connector)).await;
        if let (Some(dir), true) = (&target.dir, connector.is_renewal_due()) {
            // What was asked for is there; that this failed is told when it is too late for another try.
            let _ = tokio::time::timeout(ANSWER_WITHIN, renew(&connector, &target.hub, dir)).await;
        }
        connector.close().await;
        answered.unwrap_or_else(|_| Err(LinkError::HelloTimeout.into()))
    });
    Ok(answered.with_context(|| format!("cannot ask the hub at {}", target.hub))?)
}
