//! `sysmon-tui join`.

use anyhow::Context;
use sysmon_certs::{PeerName, Token};
use sysmon_config::{Failure, HubAddress};
use sysmon_link::Connector;
use sysmon_tui::VERSION;

use super::args::Args;
use super::target::{Profile, runtime};

pub(crate) fn join(
    args: &Args,
    hub: &HubAddress,
    token: &Token,
    name: Option<&PeerName>,
    profile: Option<&PeerName>,
) -> Result<(), Failure> {
    let user = std::env::var("USER").unwrap_or_default();
    let name = name.cloned().unwrap_or_else(|| PeerName::nearest(&user));
    let joined = runtime()?.block_on(async {
        let connector = Connector::for_joining(token.fingerprint(), VERSION)?;
        connector.join(&hub.to_string(), token, name.as_str()).await
    });
    let identity = joined.with_context(|| format!("cannot join the hub at {hub}"))?;
    let profile = profile.map_or(hub.host(), PeerName::as_str);
    let state = args.common.state.as_deref();
    Profile::keep(state, hub, profile, &identity)?;
    let called = match state {
        Some(state) => format!("{hub} --state {}", state.display()),
        None => profile.to_owned(),
    };
    let text = format!(
        "joined the hub at {hub} as {}; look at it with\n\n  sysmon-tui --hub {called}\n",
        identity.peer()
    );
    Ok(sysmon_config::print(&text)?)
}
