//! The busiest processes of one host or of all.

use std::sync::Arc;
use std::time::Duration;

use sysmon_link::{FrameSender, LinkError};
use sysmon_wire::limits::TOP_MAX;
use sysmon_wire::message::{Reply, TopBy};
use sysmon_wire::{Label, UnixMs};

use super::super::Hub;
use super::super::history::Hosts;
use super::{RequestError, find, wait_for_change};
use crate::processes::SentArguments;
use crate::top::top_of_each;
use crate::view::PAST_REACH_MS;

/// Pause between two lists, a little less than a second: agents report on whole seconds, and the next list
/// waits for the next of them.
const PAUSE: Duration = Duration::from_millis(900);

/// Sends a list, and before it the arguments that the subscriber does not have.
async fn send(
    list: Reply,
    sent: &mut SentArguments,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    if let Reply::Top { processes, .. } = &list {
        for reply in sent.of(processes.iter().map(|one| &one.process)) {
            sender.send(&reply).await?;
        }
    }
    sender.send(&list).await
}

pub(super) async fn watch(
    hub: &Arc<Hub>,
    host: Option<&Label>,
    at: Option<UnixMs>,
    (by, limit, each): (TopBy, u16, u16),
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let only = host.map(|name| find(hub, name)).transpose()?;
    let each = match each {
        0 => usize::MAX,
        each => usize::from(each),
    };
    let limits = (usize::from(limit.min(TOP_MAX)), each);
    if let Some(at) = at {
        let of = only.map_or(Hosts::All, Hosts::One);
        let rows = hub.rows_between(of, at - PAST_REACH_MS, at).await;
        let list = top_of_each(&rows.view(&hub.core().fleet), only, at, by, limits);
        send(list, &mut SentArguments::default(), sender).await?;
        return Ok(sender.send(&Reply::Complete).await?);
    }
    let mut changes = hub.changed.subscribe();
    let list = || top_of_each(&hub.core().fleet.view(), only, hub.now(), by, limits);
    let mut sent = SentArguments::default();
    send(list(), &mut sent, sender).await?;
    sender.send(&Reply::Complete).await?;
    loop {
        wait_for_change(&mut changes, sender).await?;
        send(list(), &mut sent, sender).await?;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = sender.stopped() => return Err(LinkError::StreamEnded.into()),
        }
        changes.borrow_and_update();
    }
}
