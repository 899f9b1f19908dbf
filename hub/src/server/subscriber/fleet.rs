//! The fleet: a picture of now or a past moment, then what changes.

use std::collections::VecDeque;
use std::sync::Arc;

use sysmon_link::{FrameSender, LinkError};
use sysmon_wire::UnixMs;
use sysmon_wire::codec::CodecError;
use sysmon_wire::limits::HOSTS_PER_FRAME_MAX;
use sysmon_wire::message::{FleetUpdate, Reply};

use super::super::Hub;
use super::super::history::{Borrowed, Hosts};
use super::{PastUpdates, RequestError, send_resolution, wait_for_change};
use crate::fleet::HostId;
use crate::view::{
    PAST_REACH_MS, SparkRequest, empty, fleet_changes, fleet_picture, halves, histories,
    history_changes,
};

/// Sends updates of the fleet. One that is too long because of many alerts and notes is split.
pub(in super::super) async fn send_fleet(
    sender: &mut FrameSender,
    updates: Vec<FleetUpdate>,
) -> Result<(), LinkError> {
    let mut waiting: VecDeque<_> = updates.into();
    while let Some(update) = waiting.pop_front() {
        let reply = Reply::Fleet(update);
        let sent = sender.send(&reply).await;
        match (sent, reply) {
            (Err(LinkError::Codec(CodecError::TooLong(length))), Reply::Fleet(update)) => {
                let [first, second] =
                    halves(update).ok_or(LinkError::Codec(CodecError::TooLong(length)))?;
                waiting.push_front(second);
                waiting.push_front(first);
            }
            (sent, _) => sent?,
        }
    }
    Ok(())
}

pub(super) async fn watch(
    hub: &Arc<Hub>,
    at: Option<UnixMs>,
    once: bool,
    sparks: &SparkRequest,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let mut changes = hub.changed.subscribe();
    let rows = match at {
        Some(at) => {
            let rows = (at - sparks.from(at) + PAST_REACH_MS) / 1_000;
            hub.rows_before(Hosts::All, rows, at).await
        }
        None => Borrowed::default(),
    };
    send_resolution(&rows, sender).await?;
    let machines = hub.core().fleet.machines().count();
    // Values of many hosts are soon found; their history is sent after them, because reading it takes long.
    let is_split = !once && machines > HOSTS_PER_FRAME_MAX;
    let none = SparkRequest::default();
    let first = if is_split { &none } else { sparks };
    let (updates, mut seen) = {
        let core = hub.core();
        let updates = fleet_picture(&rows.view(&core.fleet), at, hub.now(), first);
        (updates, core.fleet.generation())
    };
    send_fleet(sender, updates).await?;
    sender.send(&Reply::Complete).await?;
    if is_split {
        send_histories(hub, &rows, at, sparks, sender).await?;
    }
    drop(rows);
    if once || at.is_some() {
        return Ok(());
    }
    let (mut past, mut past_seen) = (PastUpdates::new(hub), seen);
    loop {
        wait_for_change(&mut changes, sender).await?;
        let updates = {
            let core = hub.core();
            let mut updates = fleet_changes(&core.fleet, seen, hub.now());
            seen = core.fleet.generation();
            if past.is_due(hub) {
                updates.extend(history_changes(&core.fleet, past_seen, hub.now(), sparks));
                past_seen = seen;
            }
            updates
        };
        send_fleet(sender, updates).await?;
    }
}

async fn send_histories(
    hub: &Hub,
    rows: &Borrowed,
    at: Option<UnixMs>,
    sparks: &SparkRequest,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    let machines: Vec<HostId> = hub.core().fleet.machines().map(|(id, _)| id).collect();
    for part in machines.chunks(HOSTS_PER_FRAME_MAX) {
        let update = FleetUpdate {
            sparks: histories(&rows.view(&hub.core().fleet), part, at, sparks),
            ..empty(at.unwrap_or(hub.now()))
        };
        send_fleet(sender, vec![update]).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
