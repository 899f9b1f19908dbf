//! What a running hub tells of itself.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sysmon_certs::HubState;
use sysmon_client::Client;
use sysmon_link::Connector;
use sysmon_wire::metrics::{HUB_CPU_TIME, HUB_MEMORY_USAGE, HUB_REFUSED};

use crate::VERSION;

/// A running hub, asked as its owner.
pub(crate) struct Asked {
    connector: Connector,
    hub: String,
}

/// What it costs, and whom it turned away.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HubFigures {
    pub(crate) memory_bytes: f64,
    pub(crate) cpu: Duration,
    pub(crate) refused: f64,
}

impl Asked {
    pub(crate) fn new(hub: &str, state: &Path) -> anyhow::Result<Self> {
        let owner = HubState::new(state)
            .existing_owner()
            .with_context(|| format!("{} is not the state directory of a hub", state.display()))?;
        Ok(Self {
            connector: Connector::new(&owner, VERSION)?,
            hub: hub.to_owned(),
        })
    }

    pub(crate) async fn figures(&self) -> anyhow::Result<HubFigures> {
        let client = Client::connect(&self.connector, &self.hub).await?;
        let figures = client.status().await?.figures;
        let figures = figures.context("the hub does not report its own figures")?;
        let value = |metric| figures.value(metric).unwrap_or_default();
        Ok(HubFigures {
            memory_bytes: value(&HUB_MEMORY_USAGE),
            cpu: Duration::try_from_secs_f64(value(&HUB_CPU_TIME)).unwrap_or_default(),
            refused: value(&HUB_REFUSED),
        })
    }
}
