//! The hub that a command asks: a remote one, or one inside this program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use sysmon_certs::Identity;
use sysmon_client::{Client, ClientError, FleetSnapshot, summary_value};
use sysmon_clock::Clock;
use sysmon_config::{Failure, runtime};
use sysmon_link::{Connector, LinkError};
use sysmon_screens::model::summary::RECEIVED;
use sysmon_tui::VERSION;
use sysmon_tui::standalone::Standalone;
use sysmon_wire::message::{HostState, Purpose};

use super::profile::Profile;
use super::{Invocation, local};

/// Time for a hub to answer a snapshot or query.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for every host of a built-in hub to send its first row.
const FIRST_ROWS_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for rates, which need a second row; a host without a network never has any.
const FIRST_RATES_TIMEOUT: Duration = Duration::from_millis(2_200);

/// How often a built-in hub is checked for first rows.
const FIRST_ROWS_INTERVAL: Duration = Duration::from_millis(20);

pub(crate) struct Target {
    pub(crate) hub: String,
    pub(crate) identity: Identity,
    /// Where a renewed identity is saved, if this program renews it.
    pub(crate) dir: Option<PathBuf>,
    built_in: Option<(Standalone, usize)>,
    clock: Clock,
    /// The names of joined hubs, if the hub is none of them.
    hint: Option<String>,
}

impl Target {
    /// The hub of the command line or the configuration; starts a built-in one if neither names a hub.
    pub(crate) fn find(invocation: &Invocation) -> Result<Self, Failure> {
        let args = &invocation.args;
        let hub = args.hub.as_ref().or(invocation.config.tui.hub.as_ref());
        let state = args.common.state.as_deref();
        if let (Some(hub), None) = (hub, args.demo) {
            let profile = Profile::find(state, hub);
            let hint = profile.hint(state);
            let identity = profile
                .identity(&invocation.random)
                .map_err(anyhow::Error::from);
            let (identity, dir) = match hint.clone() {
                Some(hint) => identity.context(hint)?,
                None => identity?,
            };
            return Ok(Self {
                hub: profile.hub.to_string(),
                identity,
                dir,
                built_in: None,
                clock: invocation.clock.clone(),
                hint,
            });
        }
        if args.demo.is_none()
            && let Some((hub, identity)) = local::running_hub(state, &invocation.random)
        {
            return Ok(Self {
                hub,
                identity,
                dir: None,
                built_in: None,
                clock: invocation.clock.clone(),
                hint: None,
            });
        }
        let standalone = Standalone::start(invocation.standalone()).map_err(anyhow::Error::from)?;
        Ok(Self {
            hub: standalone.hub.clone(),
            identity: standalone.owner.clone(),
            dir: None,
            built_in: Some((standalone, invocation.demo_hosts() + 1)),
            clock: invocation.clock.clone(),
            hint: None,
        })
    }

    /// Runs `request` with a session; a built-in hub first has time to receive its hosts' first rows.
    pub(crate) fn ask<T>(
        &self,
        request: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        self.with_connector(async |connector| {
            let client = Client::connect(connector, &self.hub).await?;
            if let Some((_, hosts)) = &self.built_in {
                first_rows(&client, *hosts).await?;
            }
            request(&client).await
        })
    }

    /// Runs `request` within [`ANSWER_TIMEOUT`], and renews the operator's certificate if it is due.
    pub(crate) fn with_connector<T>(
        &self,
        request: impl AsyncFnOnce(&Connector) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let answer = runtime()?.block_on(async {
            let connector = Connector::new(&self.identity, VERSION, &self.clock)?;
            let answer = tokio::time::timeout(ANSWER_TIMEOUT, request(&connector)).await;
            if let (Some(dir), true) = (&self.dir, connector.is_renewal_due()) {
                // The answer is there; a renewal that fails is retried by the next command.
                let renewal = renew(&connector, &self.hub, dir);
                let _ = tokio::time::timeout(ANSWER_TIMEOUT, renewal).await;
            }
            connector.close().await;
            answer.unwrap_or_else(|_| Err(LinkError::HelloTimeout.into()))
        });
        let hint = self.hint.as_ref().map(|hint| format!(" ({hint})"));
        let hint = hint.unwrap_or_default();
        Ok(answer.with_context(|| format!("no answer from the hub at {}{hint}", self.hub))?)
    }
}

/// Waits until every host is live and has rates, as far as they come in time.
async fn first_rows(client: &Client, hosts: usize) -> Result<(), ClientError> {
    let start = tokio::time::Instant::now();
    let is_complete = |fleet: &FleetSnapshot| {
        let needs_rates = start.elapsed() < FIRST_RATES_TIMEOUT;
        let is_ready = fleet.hosts.iter().filter(|(_, tick)| {
            let has_rates = summary_value(tick, RECEIVED).is_some();
            tick.state == HostState::Live && (has_rates || !needs_rates)
        });
        is_ready.count() >= hosts
    };
    while !is_complete(&client.fleet(None).await?) && start.elapsed() <= FIRST_ROWS_TIMEOUT {
        tokio::time::sleep(FIRST_ROWS_INTERVAL).await;
    }
    Ok(())
}

/// A command's connection is too short for the renewal that long sessions do.
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
