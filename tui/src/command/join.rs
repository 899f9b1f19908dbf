//! `sysmon-tui join`.

use anyhow::Context;
use sysmon_certs::{PeerName, Token};
use sysmon_config::{Failure, HubAddress, Program, state_dir};
use sysmon_link::Connector;
use sysmon_tui::VERSION;

use super::args::Args;
use super::target::runtime;

pub(crate) fn join(
    args: &Args,
    hub: &HubAddress,
    token: &Token,
    name: Option<&PeerName>,
) -> Result<(), Failure> {
    let state = state_dir(Program::Tui, args.common.state.as_deref());
    let user = std::env::var("USER").unwrap_or_default();
    let name = name.cloned().unwrap_or_else(|| PeerName::nearest(&user));
    let joined = runtime()?.block_on(async {
        let connector = Connector::joining(token.fingerprint(), VERSION)?;
        connector.join(&hub.to_string(), token, name.as_str()).await
    });
    let identity = joined.with_context(|| format!("cannot join the hub at {hub}"))?;
    identity.save(&state).map_err(anyhow::Error::from)?;
    let text = format!(
        "joined the hub at {hub} as {}; look at it with\n\n  sysmon-tui --hub {hub}\n",
        identity.peer()
    );
    Ok(sysmon_config::print(&text)?)
}
