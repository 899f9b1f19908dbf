//! Rows of a sender's hosts into the core, and which hosts it may write.

use std::collections::HashSet;
use std::sync::Arc;

use sysmon_certs::PeerName;
use sysmon_otlp::HostFeed;
use sysmon_wire::message::{HostState, RunId};
use sysmon_wire::{Label, Row};

use super::peer::Peer;
use super::senders::{Feed, Sender, SenderState};
use crate::core::Core;
use crate::fleet::{FleetError, HostId};
use crate::host::Host;
use crate::ingest::RowStream;
use crate::lock;
use crate::server::Hub;
use crate::server::access::AccessControl;

/// Values of rows that are applied at once; between, other tasks run.
const VALUES_AT_ONCE: usize = 50_000;

/// Which hosts a peer may write, for one message.
pub(super) struct Admission<'a> {
    hub: &'a Hub,
    peer: &'a Peer,
    /// Names of agents in lower case, once they were needed.
    agents: Option<HashSet<String>>,
}

impl<'a> Admission<'a> {
    pub(super) fn new(hub: &'a Hub, peer: &'a Peer) -> Self {
        Self {
            hub,
            peer,
            agents: None,
        }
    }

    /// Why the peer may not write a host.
    pub(super) fn check(&mut self, host: &Label) -> Result<(), String> {
        let name = host.as_str();
        if !self.peer.may_write(name) {
            return Err("it is not among the hosts of the certificate".to_owned());
        }
        {
            let core = self.hub.core();
            if let Some(id) = core.fleet.find(name) {
                return self.check_known(&core, id);
            }
            name.parse::<PeerName>()
                .map_err(|error| error.to_string())?;
            if core.fleet.has_name(name) {
                return Err("another host has this name in other case".to_owned());
            }
            if !core.fleet.has_room() {
                return Err("this hub already has as many hosts as it can".to_owned());
            }
        }
        if !self.peer.is_agent() && self.agents().contains(&name.to_ascii_lowercase()) {
            return Err("an agent has this name".to_owned());
        }
        Ok(())
    }

    fn check_known(&self, core: &Core, id: HostId) -> Result<(), String> {
        let Some(host) = core.fleet.host(id) else {
            return Ok(());
        };
        match host.facts.source.as_str() {
            source if source == self.peer.label().as_str() => Ok(()),
            "" => Err("its agent sends its rows; `sysmon-hub host forget` frees the name of one that is gone".to_owned()),
            source if host.state == HostState::Live => Err(format!("{source} sends its rows")),
            _ => Ok(()),
        }
    }

    fn agents(&mut self) -> &HashSet<String> {
        let hub = self.hub;
        self.agents.get_or_insert_with(|| {
            let names = hub.access.as_ref().map(AccessControl::agents);
            names.unwrap_or_default()
        })
    }
}

/// Applies the rows that are complete.
pub(super) async fn apply(hub: &Arc<Hub>, peer: &Peer, sender: &Arc<Sender>) {
    let mut waits = Vec::new();
    {
        let mut state = lock(&sender.state);
        let SenderState { mapper, feeds, .. } = &mut *state;
        feeds.retain(|name, _| mapper.has(name));
        for feed in mapper.ready(hub.now()) {
            let name = feed.host.clone();
            match apply_host(hub, peer, feeds, feed) {
                Ok((host, values)) => waits.push((host, values)),
                Err(error) => tracing::warn!(host = %name, %error, "rows of OTLP not stored"),
            }
        }
    }
    // What a host sent beyond its budget delays the answer, and so the sender.
    for (host, values) in waits {
        let wait = hub.budgets.charge(host, true, values, hub.clock.instant());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

fn apply_host(
    hub: &Hub,
    peer: &Peer,
    feeds: &mut std::collections::HashMap<Label, Feed>,
    feed: HostFeed<'_>,
) -> Result<(HostId, u64), FleetError> {
    let HostFeed {
        host: name,
        table,
        keys,
        mut facts,
        rows,
    } = feed;
    facts.source = peer.label().clone();
    let id = hub.update(|core| {
        let id = core.host_id(name)?;
        core.fleet.set_facts(id, facts);
        Ok::<_, FleetError>(id)
    })?;
    let feed = feeds
        .entry(name.clone())
        .or_insert_with(|| new_feed(hub, id));
    if feed.stream.host() != id || feed.table != table {
        *feed = Feed {
            table,
            ..new_feed(hub, id)
        };
    }
    let mut values = 0;
    let at_once = (VALUES_AT_ONCE / keys.len().max(1)).max(1);
    for rows in rows.chunks(at_once) {
        hub.update(|core| {
            let new = keys.get(feed.defined..).unwrap_or_default();
            feed.stream
                .define(new.iter().map(|key| (**key).clone()), core);
            feed.defined = keys.len();
            for row in rows {
                if row.is_another_boot {
                    (feed.run, feed.seq) = (RunId(hub.random.u64()), 0);
                }
                feed.seq += 1;
                values += row.values.len() as u64;
                let row = Row {
                    seq: feed.seq,
                    time: row.time,
                    values: row.values.clone(),
                };
                feed.stream.apply_once(&row, feed.run, core, hub.now())?;
            }
            Ok::<_, FleetError>(())
        })?;
    }
    Ok((id, values))
}

/// A stream that goes on with the host's newest run, so that a restart of the hub is none of the host.
fn new_feed(hub: &Hub, id: HostId) -> Feed {
    let newest = hub.core().fleet.host(id).and_then(Host::newest_run);
    let (run, seq) = newest.unwrap_or_else(|| (RunId(hub.random.u64()), 0));
    Feed {
        stream: RowStream::new(id),
        table: 0,
        defined: 0,
        run,
        seq,
    }
}
