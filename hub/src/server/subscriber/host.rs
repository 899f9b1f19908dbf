//! One host: its line, series and rows, then what is new.

use std::sync::Arc;

use sysmon_link::FrameSender;
use sysmon_wire::message::Reply;
use sysmon_wire::{Label, UnixMs};

use super::super::Hub;
use super::super::history::{Borrowed, Hosts};
use super::{PastUpdates, RequestError, find, send_resolution, wait_for_change};
use crate::view::HostWatch;

/// Time for which rows are sent at most: terminals show minutes, and a day of rows would be hundreds of megabytes.
const ROWS_MS_MAX: i64 = 6 * 3_600_000;

pub(super) async fn watch(
    hub: &Arc<Hub>,
    name: &Label,
    from: UnixMs,
    until: Option<UnixMs>,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let id = find(hub, name)?;
    let mut changes = hub.changed.subscribe();
    let from = from.max(until.unwrap_or_else(|| hub.now()) - ROWS_MS_MAX);
    let mut watch = HostWatch::new(id, from);
    let mut is_complete = false;
    let mut past = PastUpdates::new(hub);
    loop {
        let starts_over = watch.is_past_changed(&hub.core().fleet) && past.is_due(hub);
        let rows = match (starts_over || !is_complete, until) {
            (true, Some(until)) => {
                let count = (until - from) / 1_000;
                let rows = hub.rows_before(Hosts::One(id), count, until).await;
                send_resolution(&rows, sender).await?;
                if rows.tier.is_some() {
                    let reach = count * rows.step_ms();
                    watch = HostWatch::new(id, until.floor(rows.step_ms()) - reach);
                }
                rows
            }
            (true, None) => hub.rows_between(Hosts::One(id), from, hub.now()).await,
            (false, _) => Borrowed::default(),
        };
        if starts_over {
            watch.restart();
        }
        let replies = watch.updates(&rows.view(&hub.core().fleet), until);
        drop(rows);
        for reply in replies {
            sender.send(&reply).await?;
        }
        if !is_complete {
            sender.send(&Reply::Complete).await?;
            is_complete = true;
        }
        if until.is_some() {
            return Ok(());
        }
        wait_for_change(&mut changes, sender).await?;
    }
}
