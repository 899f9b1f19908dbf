//! The busiest processes of all hosts, told while somebody looks.

use std::sync::Arc;
use std::time::Duration;

use sysmon_link::{FrameSender, LinkError};
use sysmon_wire::limits::TOP_MAX;
use sysmon_wire::message::{Reply, TopBy};
use sysmon_wire::{Label, UnixMs};

use super::past::Of;
use super::subscriber::{refuse, wait_for_change};
use super::{Hub, now};
use crate::top::top;
use crate::view::PAST_REACH_MS;

/// Time between two lists, a little less than a second: agents report on whole seconds, and what comes
/// with the next of them is waited for.
const REST: Duration = Duration::from_millis(900);

/// Tells the busiest of a moment once, or of now again and again.
pub(super) async fn watch_top(
    hub: &Arc<Hub>,
    host: Option<&Label>,
    at: Option<UnixMs>,
    by: TopBy,
    limit: u16,
    sender: &mut FrameSender,
) -> Result<(), LinkError> {
    let only = match host {
        Some(name) => {
            let found = hub.fleet().find(name.as_str());
            let Some(id) = found else {
                return refuse(sender, &format!("there is no host {name:?}")).await;
            };
            Some(id)
        }
        None => None,
    };
    let limit = usize::from(limit.min(TOP_MAX));
    if let Some(at) = at {
        let of = only.map_or(Of::All, Of::One);
        let rows = hub.past(of, at - PAST_REACH_MS, at).await;
        let list = hub
            .fleet()
            .with_past(&rows.chunks, |fleet| top(fleet, only, at, by, limit));
        sender.send(&list).await?;
        return sender.send(&Reply::Complete).await;
    }
    let mut changes = hub.changed.subscribe();
    let list = || top(&hub.fleet(), only, now(), by, limit);
    sender.send(&list()).await?;
    sender.send(&Reply::Complete).await?;
    loop {
        wait_for_change(&mut changes, sender).await?;
        sender.send(&list()).await?;
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = sender.stopped() => return Err(LinkError::StreamEnded),
        }
        changes.borrow_and_update();
    }
}
