//! A host's processes, and faster samples of it: what an agent collects only on demand.

use std::sync::Arc;
use std::time::Duration;

use sysmon_link::{FrameSender, LinkError};
use sysmon_wire::message::{HostState, Reply};
use sysmon_wire::{Label, UnixMs};

use super::super::Hub;
use super::super::history::Hosts;
use super::{RequestError, find, wait_for_change};
use crate::processes::SentArguments;
use crate::view::PAST_REACH_MS;

/// How long one request demands the process table; it is renewed with every change.
const DEMAND: Duration = Duration::from_secs(4);

/// Sends the busiest processes at once, or those of a past moment; then the whole table every second.
pub(super) async fn watch(
    hub: &Arc<Hub>,
    name: &Label,
    at: Option<UnixMs>,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let id = find(hub, name)?;
    let mut changes = hub.changed.subscribe();
    let moment = at.unwrap_or_else(|| hub.now());
    let since = moment - PAST_REACH_MS;
    let rows = hub.rows_between(Hosts::One(id), since, moment).await;
    let busiest = {
        let core = hub.core();
        let view = rows.view(&core.fleet);
        let host = view.host(id);
        let found = host.and_then(|host| host.processes_at(moment, PAST_REACH_MS));
        found.map(|(time, ranked)| (time, ranked.processes))
    };
    drop(rows);
    // A past moment without rows has no processes, which is an answer too.
    let busiest = busiest.or_else(|| Some((at?, Vec::new())));
    let mut sent = SentArguments::default();
    if let Some((time, processes)) = busiest {
        for reply in sent.of(processes.iter()) {
            sender.send(&reply).await?;
        }
        let reply = Reply::Processes {
            time,
            all: false,
            processes,
        };
        sender.send(&reply).await?;
    }
    sender.send(&Reply::Complete).await?;
    if at.is_some() {
        return Ok(());
    }
    let mut seen = UnixMs(0);
    loop {
        hub.demand.processes(id, DEMAND);
        wait_for_change(&mut changes, sender).await?;
        let table = {
            let core = hub.core();
            let host = core.fleet.host(id);
            let table = host.and_then(|host| host.processes.table.as_ref());
            table.filter(|(time, _)| *time > seen).cloned()
        };
        if let Some((time, processes)) = table {
            seen = time;
            for reply in sent.of(processes.iter()) {
                sender.send(&reply).await?;
            }
            let reply = Reply::Processes {
                time,
                all: true,
                processes,
            };
            sender.send(&reply).await?;
        }
    }
}

/// Makes a host sample faster for a while, or until the subscriber leaves.
pub(super) async fn burst(
    hub: &Hub,
    name: &Label,
    interval_ms: u32,
    for_ms: u32,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let id = find(hub, name)?;
    let state = hub.core().fleet.host(id).map(|host| host.state);
    if let Some(state) = state.filter(|state| *state != HostState::Live) {
        let reason = format!("{name} is {} and cannot sample faster", state.as_str());
        return Err(RequestError::Refused(reason));
    }
    let Some(burst) = hub.demand.burst(id, interval_ms, for_ms) else {
        let reason = "too many hosts sample faster already".to_owned();
        return Err(RequestError::Refused(reason));
    };
    sender.send(&Reply::Complete).await?;
    tokio::select! {
        () = tokio::time::sleep(burst.span) => Ok(()),
        () = sender.stopped() => Err(LinkError::StreamEnded.into()),
    }
}
