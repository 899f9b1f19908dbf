//! `sysmon-tui join`.

use anyhow::Context;
use sysmon_certs::PeerName;
use sysmon_config::{Failure, runtime};
use sysmon_link::Connector;
use sysmon_tui::VERSION;

use super::Invocation;
use super::args::JoinArgs;
use super::profile::Profile;

pub(crate) fn join(invocation: &Invocation, args: &JoinArgs) -> Result<(), Failure> {
    let hub = &args.address;
    let token = &args.token.read().map_err(anyhow::Error::from)?;
    let user = std::env::var("USER").unwrap_or_default();
    let name = args.name.clone();
    let name = name.unwrap_or_else(|| PeerName::nearest(&user));
    let target = hub.to_string();
    let environment = (&invocation.clock, &invocation.random);
    let joined = Connector::enrol(&target, token, &name, VERSION, environment);
    let joined = runtime()?.block_on(joined);
    let identity = joined.with_context(|| format!("cannot join the hub at {hub}"))?;
    let profile = args.profile.as_ref().map_or(hub.host(), PeerName::as_str);
    let state = invocation.args.common.state.as_deref();
    Profile::save(state, hub, profile, &identity)?;
    let address = match state {
        Some(state) => format!("{hub} --state {}", state.display()),
        None => profile.to_owned(),
    };
    let text = format!(
        "joined the hub at {hub} as {}; connect with\n\n  sysmon-tui --hub {address}\n",
        identity.peer()
    );
    Ok(sysmon_config::print(&text)?)
}
