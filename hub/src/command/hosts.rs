//! Commands for hosts: listing, forgetting and renaming them.

use anyhow::anyhow;
use sysmon_alerts::notify::NotifierState;
use sysmon_alerts::silence::SilenceFile;
use sysmon_certs::{PeerName, Role};
use sysmon_client::Client;
use sysmon_config::time::format_span;
use sysmon_config::{Failure, suggest};
use sysmon_hub::host::HostKind;
use sysmon_hub::server::Hub;
use sysmon_store::store::Store;
use sysmon_store::{Batch, HostChange};
use sysmon_wire::Label;
use sysmon_wire::message::HostState;

use super::options::alerts_file;
use super::{ANSWER_MAX, Context, counted};

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

/// Fails unless the running hub has a host of this name that is not live.
fn check_gone(hub: &Hub, name: &str) -> Result<(), Failure> {
    let core = hub.core();
    let host = core.fleet.find(name).and_then(|id| core.fleet.host(id));
    match host.filter(|host| host.kind == HostKind::Machine) {
        Some(host) if host.state == HostState::Live => Err(anyhow!(
            "{name} is live: stop its agent first, or shut it out with `sysmon-hub cert revoke {name}`"
        )
        .into()),
        Some(_) => Ok(()),
        None => {
            let names = core.fleet.machines().map(|(_, host)| host.name.as_str());
            let hint = suggest(name, names);
            Err(Failure::Usage(anyhow!("there is no host {name:?}{hint}")))
        }
    }
}

/// Forgets a host: its history, its alerts and its name. One that could send rows again is refused.
pub(crate) fn forget(context: &Context, name: &str, hub: Option<&Hub>) -> Result<String, Failure> {
    let peer: Option<PeerName> = name.parse().ok();
    if let Some(hub) = hub {
        check_gone(hub, name)?;
        hub.forget_host(name);
    } else {
        let change = HostChange::Forgotten(Label::new(name));
        change_in_file(context, name, None, change)?;
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

/// Renames a host with its history, alerts and silences. Its certificates carry the old name and are revoked, so that
/// its agent does not come back as another host.
pub(crate) fn rename(
    context: &Context,
    old: &str,
    new: &PeerName,
    hub: Option<&Hub>,
) -> Result<String, Failure> {
    let taken = |other: &str| {
        Failure::Usage(anyhow!(
            "there is a host {other}: choose another name, or remove it with its history by \
             `sysmon-hub host forget {other}`"
        ))
    };
    let is_other = |name: &str| name != old && new.as_str().eq_ignore_ascii_case(name);
    if new.as_str() == old {
        return Err(taken(old));
    }
    if let Some(hub) = hub {
        check_gone(hub, old)?;
        let core = hub.core();
        let mut names = core.fleet.hosts().map(|(_, host)| host.name.as_str());
        if let Some(other) = names.find(|name| is_other(name)) {
            return Err(taken(other));
        }
    } else {
        let (from, to) = (Label::new(old), Label::new(new.as_str()));
        let change = HostChange::Renamed { from, to };
        change_in_file(context, old, Some((&is_other, &taken)), change)?;
    }
    // Before the host has its new name, so that its agent does not make a new one of the old name.
    let (register, now) = (context.state.register(), context.clock.system_time());
    if let Ok(peer) = old.parse::<PeerName>() {
        let revoked = register.revoke(&peer, Some(Role::Agent), now);
        revoked.map_err(anyhow::Error::from)?;
        let forgotten = register.forget_agent(&peer, now);
        forgotten.map_err(anyhow::Error::from)?;
    }
    match hub {
        Some(hub) => {
            hub.review_access();
            if !hub.rename_host(old, new) {
                return Err(anyhow!("{old} has come back meanwhile: stop its agent first").into());
            }
        }
        None => NotifierState::rename_host(&alerts_file(context), old, new.as_str())
            .map_err(anyhow::Error::from)?,
    }
    let silences = rename_in_silences(context, old, new)?;
    context.audit("renamed", old, &format!("to {new}"));
    let mut text = format!("{old} renamed to {new}, with its history and alerts\n");
    if silences > 0 {
        text += &format!("{} changed to the new name\n", counted(silences, "silence"));
    }
    text += &format!(
        "its certificate was for {old} and is revoked: join it again with `sysmon-hub token create --name {new}`\n"
    );
    Ok(text)
}

/// Replaces the name in silences that name it, and returns in how many.
fn rename_in_silences(context: &Context, old: &str, new: &PeerName) -> Result<usize, Failure> {
    let file = SilenceFile::new(context.state.dir());
    let mut silences = file
        .read(context.clock.now())
        .map_err(anyhow::Error::from)?;
    let mut count = 0;
    for silence in &mut silences {
        let renamed = silence.scope.rename_host(old, new.as_str());
        count += usize::from(renamed.map_err(anyhow::Error::from)?);
    }
    if count > 0 {
        file.write(&silences).map_err(anyhow::Error::from)?;
    }
    Ok(count)
}

/// Which of the names in the history stand against a change, and the error that says so.
type Conflict<'a> = (&'a dyn Fn(&str) -> bool, &'a dyn Fn(&str) -> Failure);

/// Changes a host of a hub that is not running.
fn change_in_file(
    context: &Context,
    name: &str,
    conflict: Option<Conflict<'_>>,
    change: HostChange,
) -> Result<(), Failure> {
    let path = context.state.dir().join("history.db");
    let mut store = Store::open(&path).map_err(anyhow::Error::from)?;
    let hosts = store.load().map_err(anyhow::Error::from)?;
    let mut names = hosts.iter().map(|host| host.name.as_str());
    if !names.clone().any(|known| known == name) {
        let hint = suggest(name, names);
        return Err(Failure::Usage(anyhow!("there is no host {name:?}{hint}")));
    }
    if let Some((is_other, taken)) = conflict
        && let Some(other) = names.find(|name| is_other(name))
    {
        return Err(taken(other));
    }
    let batch = Batch {
        host_changes: vec![change],
        now: context.clock.now(),
        ..Batch::default()
    };
    store.commit(&batch).map_err(anyhow::Error::from)?;
    Ok(())
}
