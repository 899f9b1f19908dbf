//! What can be seen of a hub: how it does, what it would use, what it watches.

use std::time::Duration;

use anyhow::anyhow;
use sysmon_certs::HubState;
use sysmon_config::{Config, Failure};
use sysmon_hub::history::store::Store;
use sysmon_hub::{VERSION, client};
use sysmon_link::Connector;

use super::args::Args;
use super::options::options;
use super::runtime;

pub(crate) fn status(state: &HubState, json: bool) -> Result<(), Failure> {
    let owner = state.existing_owner().map_err(anyhow::Error::from)?;
    let address = state.address().map_err(anyhow::Error::from)?.to_string();
    let picture = runtime()?.block_on(async {
        let connector = Connector::new(&owner, VERSION).map_err(anyhow::Error::from)?;
        let wait = Duration::from_secs(5);
        let fetched = client::status(&connector, &address);
        let picture = match tokio::time::timeout(wait, fetched).await {
            Ok(picture) => picture.map_err(anyhow::Error::from),
            Err(_) => Err(anyhow!("the hub at {address} does not answer")),
        };
        connector.close().await;
        picture
    })?;
    let text = if json {
        format!("{}\n", picture.to_json())
    } else {
        picture.to_table()
    };
    Ok(sysmon_config::print(&text)?)
}

pub(crate) fn backup(state: &HubState, file: &std::path::Path) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::Usage(anyhow!(
            "{} exists already: choose another name",
            file.display()
        )));
    }
    let history = state.dir().join("history.db");
    if !history.exists() {
        return Err(anyhow!("there is no history in {}", state.dir().display()).into());
    }
    Store::backup(&history, file).map_err(anyhow::Error::from)?;
    let text = format!(
        "history written to {}; to go back to it, stop the hub and put it in place of {}\n",
        file.display(),
        history.display()
    );
    Ok(sysmon_config::print(&text)?)
}

pub(crate) fn check(args: &Args, config: &Config, state: &HubState) -> Result<(), Failure> {
    let options = options(args, config, state)?;
    let text = format!(
        "the configuration is good\nhub {} would listen on {}, keep {} h of rows in up to {} MiB\n",
        options.name,
        options.listen,
        options.fleet.retention.as_secs() / 3600,
        options.fleet.memory_bytes >> 20
    );
    Ok(sysmon_config::print(&text)?)
}
