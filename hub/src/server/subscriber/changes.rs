//! The most significant changes of one host or of all.

use std::sync::Arc;

use sysmon_link::FrameSender;
use sysmon_wire::limits::CHANGES_MAX;
use sysmon_wire::message::{Change, Reply};
use sysmon_wire::{Label, UnixMs};

use super::super::Hub;
use super::super::history::Hosts;
use super::{RequestError, find};
use crate::changes;
use crate::fleet::HostId;

pub(super) async fn answer(
    hub: &Arc<Hub>,
    host: Option<&Label>,
    at: Option<UnixMs>,
    limit: u16,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let time = at.unwrap_or_else(|| hub.now());
    let limit = usize::from(limit.min(CHANGES_MAX));
    let changes = changes::fitting(changes_at(hub, host, time, limit).await?);
    sender.send(&Reply::Changes { time, changes }).await?;
    Ok(sender.send(&Reply::Complete).await?)
}

/// Reads host by host; between two, other tasks run, so that rows are accepted meanwhile.
async fn changes_at(
    hub: &Arc<Hub>,
    host: Option<&Label>,
    at: UnixMs,
    limit: usize,
) -> Result<Vec<Change>, RequestError> {
    let hosts: Vec<HostId> = match host {
        Some(name) => vec![find(hub, name)?],
        None => hub.core().fleet.machines().map(|(id, _)| id).collect(),
    };
    let mut all = Vec::new();
    for id in hosts {
        let since = at - changes::REACH_MS;
        let rows = hub.rows_between(Hosts::One(id), since, at).await;
        let found = {
            let core = hub.core();
            let view = rows.view(&core.fleet);
            let host = view.host(id);
            host.map(|host| changes::of_host(host, at, limit))
        };
        let found = found.transpose()?;
        all.extend(found.into_iter().flatten());
        if all.len() > 4 * limit {
            all = changes::ranked(all, limit);
        }
        tokio::task::yield_now().await;
    }
    Ok(changes::ranked(all, limit))
}
