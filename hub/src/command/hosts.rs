//! Commands for hosts: listing and forgetting them.

use anyhow::anyhow;
use sysmon_certs::PeerName;
use sysmon_client::Client;
use sysmon_config::time::format_span;
use sysmon_config::{Failure, suggest};
use sysmon_hub::server::Hub;
use sysmon_store::Batch;
use sysmon_store::store::Store;
use sysmon_wire::Label;
use sysmon_wire::message::HostState;

use super::{ANSWER_MAX, Context};

pub(crate) fn list(context: &Context) -> Result<(), Failure> {
    let snapshot = context.ask(ANSWER_MAX, async |client: &Client| client.status().await)?;
    let row = |name: &str, state: &str, last: &str, rows: &str| {
        format!("{name:<26}{state:<10}{last:<16}{rows}\n")
    };
    let mut text = row("HOST", "STATE", "LAST ROW", "ROWS IN MEMORY");
    for (line, tick) in &snapshot.hosts {
        let last = match tick.time.0 {
            0 => "never".to_owned(),
            time => format!("{} ago", format_span((snapshot.now.0 - time).max(0))),
        };
        let rows = line.health.rows.to_string();
        text += &row(line.name.as_str(), tick.state.as_str(), &last, &rows);
    }
    Ok(sysmon_config::print(&text)?)
}

/// Forgets a host: its history, its alerts and its name. One that could send rows again is refused.
pub(crate) fn forget(context: &Context, name: &str, hub: Option<&Hub>) -> Result<String, Failure> {
    let peer: Option<PeerName> = name.parse().ok();
    if let Some(hub) = hub {
        let core = hub.core();
        let state = core.fleet.find(name).and_then(|id| core.fleet.host(id));
        match state.map(|host| host.state) {
            Some(HostState::Live) => {
                return Err(anyhow!(
                    "{name} is live: stop its agent first, or shut it out with `sysmon-hub cert revoke {name}`"
                )
                .into());
            }
            Some(_) => {}
            None => {
                let names = core.fleet.machines().map(|(_, host)| host.name.as_str());
                let hint = suggest(name, names);
                return Err(Failure::Usage(anyhow!("there is no host {name:?}{hint}")));
            }
        }
        drop(core);
        hub.forget_host(name);
    } else {
        forget_in_file(context, name)?;
    }
    let register = context.state.register();
    let now = context.clock.system_time();
    let is_free = match &peer {
        Some(peer) => register
            .forget_agent(peer, now)
            .map_err(anyhow::Error::from)?,
        None => true,
    };
    context.audit("forgotten", name, "with its history");
    let mut text = format!("{name} and its history forgotten\n");
    if !is_free {
        text += &format!(
            "its certificate is still valid: the host comes back if its agent starts again, unless you run \
             `sysmon-hub cert revoke {name}`\n"
        );
    }
    Ok(text)
}

fn forget_in_file(context: &Context, name: &str) -> Result<(), Failure> {
    let path = context.state.dir().join("history.db");
    let mut store = Store::open(&path).map_err(anyhow::Error::from)?;
    let hosts = store.load().map_err(anyhow::Error::from)?;
    let names = || hosts.iter().map(|host| host.name.as_str());
    if !names().any(|known| known == name) {
        let hint = suggest(name, names());
        return Err(Failure::Usage(anyhow!("there is no host {name:?}{hint}")));
    }
    let batch = Batch {
        forgotten: vec![Label::new(name)],
        now: context.clock.now(),
        ..Batch::default()
    };
    store.commit(&batch).map_err(anyhow::Error::from)?;
    Ok(())
}
