//! One metric over time.

use std::sync::Arc;
use std::time::Duration;

use sysmon_link::FrameSender;
use sysmon_wire::message::{Points, Query, Reply};

use super::super::Hub;
use super::super::history::Hosts;
use super::RequestError;
use crate::fleet::HostId;
use crate::query::{Plan, RATE_REACH_MS, combine, frames};

/// All points of a query at once, for the hub's own use.
pub(in super::super) async fn points(
    hub: &Arc<Hub>,
    query: &Query,
) -> Result<Vec<Points>, RequestError> {
    let plan = Plan::new(query, &hub.core().fleet, &hub.history_limits(), hub.now())?;
    let mut all = Vec::new();
    for (id, series) in &plan.hosts {
        all.extend(of_host(hub, &plan, *id, series).await?);
        tokio::task::yield_now().await;
    }
    Ok(all)
}

async fn of_host(
    hub: &Arc<Hub>,
    plan: &Plan,
    id: HostId,
    series: &[u32],
) -> Result<Vec<Points>, RequestError> {
    let past = hub.buckets(id, series, plan).await;
    if series.is_empty() && past.gone.is_empty() {
        return Ok(Vec::new());
    }
    let from = past.rows_from.max(plan.resample.from) - RATE_REACH_MS;
    let rows = hub.rows_between(Hosts::One(id), from, plan.to).await;
    let core = hub.core();
    let view = rows.view(&core.fleet);
    let host = view.host(id);
    Ok(host.map_or_else(|| Ok(Vec::new()), |host| plan.of_host(host, series, &past))?)
}

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
        let points = of_host(hub, &plan, *id, series).await?;
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
