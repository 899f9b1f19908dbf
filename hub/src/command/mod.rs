//! The commands of `sysmon-hub`: one file for each group.

pub(crate) mod alerts;
pub(crate) mod args;
pub(crate) mod backup;
pub(crate) mod certificates;
pub(crate) mod control;
pub(crate) mod edges;
pub(crate) mod exports;
pub(crate) mod hosts;
pub(crate) mod incidents;
pub(crate) mod install;
pub(crate) mod options;
pub(crate) mod pairing;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod tokens;

use std::time::Duration;

use anyhow::anyhow;
use sysmon_certs::{HubState, PeerName};
use sysmon_client::{Client, ClientError};
use sysmon_clock::{Clock, Random};
use sysmon_config::{Config, Failure, runtime};
use sysmon_hub::VERSION;
use sysmon_hub::audit::{Audit, Entry};
use sysmon_link::Connector;
use sysmon_service::Service;

use args::Args;

/// What `sysmon-hub service` installs.
pub(crate) const SERVICE: Service = Service {
    program: "sysmon-hub",
    state: "hub",
    about: "sysmon hub: collects, stores and serves the metrics of every host",
    unit: include_str!("../../sysmon-hub.service"),
    capabilities: "",
};

pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) args: Args,
    pub(crate) config: Config,
    pub(crate) state: HubState,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

impl Context {
    pub(crate) fn hub_name(&self) -> PeerName {
        let configured = || self.config.hub.name.as_ref()?.parse().ok();
        let named = self.args.name.clone().or_else(configured);
        named.unwrap_or_else(|| PeerName::nearest(&sysmon_config::host_name()))
    }

    pub(crate) fn days(&self) -> u32 {
        (self.config.hub.certificate_life.as_secs() / 86_400) as u32
    }

    pub(crate) fn audit(&self, event: &str, who: &str, what: &str) {
        let entry = Entry::new(self.clock.now(), event, &who).what(what);
        Audit::new(self.state.dir(), self.clock.instant()).note(&entry);
    }

    pub(crate) fn ask<T>(
        &self,
        wait: Duration,
        requests: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Failure> {
        let owner = self.state.existing_owner().map_err(anyhow::Error::from)?;
        let address = self.state.address().map_err(anyhow::Error::from)?;
        let address = address.to_string();
        let answer = runtime()?.block_on(async {
            let connector =
                Connector::new(&owner, VERSION, &self.clock).map_err(anyhow::Error::from)?;
            let answered = async {
                let client = Client::connect(&connector, &address).await?;
                requests(&client).await
            };
            let answer = match tokio::time::timeout(wait, answered).await {
                Ok(answer) => answer.map_err(anyhow::Error::from),
                Err(_) => Err(anyhow!(
                    "no answer from the hub at {address} within {} s; see its log",
                    wait.as_secs()
                )),
            };
            connector.close().await;
            answer
        })?;
        Ok(answer)
    }
}

pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

pub(crate) fn span_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
