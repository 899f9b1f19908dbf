//! One metric over time.

use std::sync::Arc;
use std::time::Duration;

use sysmon_link::FrameSender;
use sysmon_wire::message::{Query, Reply};

use super::super::Hub;
use super::super::history::Hosts;
use super::RequestError;
use crate::query::{Plan, RATE_REACH_MS, combine, frames};

/// Answers host by host; between two, other tasks run, so that rows are accepted meanwhile.
pub(super) async fn answer(
    hub: &Arc<Hub>,
    query: Query,
    sender: &mut FrameSender,
) -> Result<(), RequestError> {
    let mut limits = hub.history_limits();
    if hub.beyond.is_set() {
        // An engine has minutes of any time.
        limits.minutes = Duration::MAX;
    }
    let plan = Plan::new(&query, &hub.core().fleet, &limits, hub.now())?;
    let is_combined = query.group.is_some() || query.top > 0;
    let mut all = Vec::new();
    for (id, series) in &plan.hosts {
        let past = hub.buckets(*id, series, &plan).await;
        if series.is_empty() && past.gone.is_empty() {
            continue;
        }
        let from = past.rows_from.max(plan.resample.from) - RATE_REACH_MS;
        let rows = hub.rows_between(Hosts::One(*id), from, plan.to).await;
        let points = {
            let core = hub.core();
            let view = rows.view(&core.fleet);
            let host = view.host(*id);
            host.map_or_else(|| Ok(Vec::new()), |host| plan.of_host(host, series, &past))?
        };
        if is_combined {
            all.extend(points);
        } else {
            for part in frames(points) {
                sender.send(&Reply::Points(part)).await?;
            }
        }
        tokio::task::yield_now().await;
    }
    for part in frames(combine(all, query.group.as_ref(), query.top.into())) {
        sender.send(&Reply::Points(part)).await?;
    }
    Ok(sender.send(&Reply::Complete).await?)
}
