//! When there are rows, and what happened meanwhile.

use std::sync::Arc;

use sysmon_link::FrameSender;
use sysmon_wire::message::Reply;
use sysmon_wire::{Label, UnixMs};

use super::super::Hub;
use super::{RequestError, find};
use crate::timeline::timeline;

pub(super) async fn answer(
    hub: &Arc<Hub>,
    host: Option<Label>,
    (from, to): (UnixMs, UnixMs),
    steps: u16,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let id = host.as_ref().map(|name| find(hub, name)).transpose()?;
    let mut timeline = timeline(&hub.core(), id, from, to, steps);
    if timeline.from < timeline.oldest {
        hub.cover(host.clone(), &mut timeline).await;
        hub.cover_beyond(host, &mut timeline).await;
    }
    Ok(sender.send(&Reply::Timeline(timeline)).await?)
}
