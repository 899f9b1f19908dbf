//! Resource usage of a running hub, from its own metrics.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use sysmon_client::Client;
use sysmon_link::Connector;
use sysmon_wire::metrics::{HUB_CPU_TIME, HUB_MEMORY_USAGE, HUB_REFUSED};

use crate::{connector, hub_state};

pub(crate) struct HubStatus {
    connector: Connector,
    hub: String,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HubFigures {
    pub(crate) memory_bytes: f64,
    pub(crate) cpu: Duration,
    pub(crate) refused: f64,
}

impl HubStatus {
    pub(crate) fn new(hub: &str, state: &Path) -> anyhow::Result<Self> {
        let owner = hub_state(state)
            .existing_owner()
            .with_context(|| format!("{} is not the state directory of a hub", state.display()))?;
        Ok(Self {
            connector: connector(&owner)?,
            hub: hub.to_owned(),
        })
    }

    pub(crate) async fn read(&self) -> anyhow::Result<HubFigures> {
        let client = Client::connect(&self.connector, &self.hub).await?;
        let figures = client.status().await?.figures;
        let figures = figures.context("the hub does not report its own metrics")?;
        let value = |metric| figures.value(metric).unwrap_or_default();
        Ok(HubFigures {
            memory_bytes: value(&HUB_MEMORY_USAGE),
            cpu: Duration::try_from_secs_f64(value(&HUB_CPU_TIME)).unwrap_or_default(),
            refused: value(&HUB_REFUSED),
        })
    }
}
