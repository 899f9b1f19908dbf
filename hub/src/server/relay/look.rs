//! Looks up what is known of the shared checks, for all edges together.

use std::sync::Arc;
use std::time::Duration;

use sysmon_wire::limits::SERVICE_DAYS;
use sysmon_wire::message::{Aggregate, Points, Query, Services};
use sysmon_wire::metrics::CHECK_UP;
use sysmon_wire::{Label, UnixMs};
use tokio::sync::watch;

use super::policy::EdgeOptions;
use super::services::{self, DAY_MS, Known};
use crate::incidents::IncidentFile;
use crate::server::Hub;
use crate::server::subscriber::points;

/// Between two looks at the present state.
const EVERY: Duration = Duration::from_secs(5);

/// Between two looks at the last day, and at all days.
const DAY_EVERY_MS: i64 = 60_000;
const DAYS_EVERY_MS: i64 = 600_000;

/// A check that was not tried for this long is unknown.
const PRESENT_MS: i64 = 180_000;

const MINUTE_MS: i64 = 60_000;

/// Looks again and again, and passes on what has changed, as long as this is awaited.
pub(super) async fn keep_looking(
    hub: &Arc<Hub>,
    options: &EdgeOptions,
    shown: &watch::Sender<Arc<Services>>,
) {
    let file = hub
        .access
        .as_ref()
        .map(|access| IncidentFile::new(access.state_dir()));
    let mut known = Known::default();
    let (mut day_at, mut days_at) = (UnixMs(0), UnixMs(0));
    loop {
        let now = hub.now();
        if !options.checks.is_empty() {
            known.present = query(hub, (now - PRESENT_MS, now), 5_000, Aggregate::Last).await;
            if is_due(day_at, now, DAY_EVERY_MS) {
                day_at = now;
                let step_ms = 10 * MINUTE_MS;
                known.day = query(hub, (now - DAY_MS, now), step_ms, Aggregate::Mean).await;
            }
            let every = match known.days.is_empty() {
                true => DAY_EVERY_MS,
                false => DAYS_EVERY_MS,
            };
            if is_due(days_at, now, every) {
                days_at = now;
                let days = i64::try_from(SERVICE_DAYS).unwrap_or(0);
                let first = now.floor(DAY_MS) - (days - 1) * DAY_MS;
                known.days = query(hub, (first, now), DAY_MS, Aggregate::Mean).await;
            }
        }
        let stored = file.as_ref().map(IncidentFile::load).transpose();
        let stored = stored.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot show incidents");
            None
        });
        let new = services::all(options, &known, &stored.unwrap_or_default(), now);
        shown.send_if_modified(|old| {
            let is_new = **old != new;
            if is_new {
                *old = Arc::new(new);
            }
            is_new
        });
        tokio::time::sleep(EVERY).await;
    }
}

/// Also after the clock was set back.
fn is_due(last: UnixMs, now: UnixMs, every_ms: i64) -> bool {
    now - last >= every_ms || now < last
}

async fn query(
    hub: &Arc<Hub>,
    (from, to): (UnixMs, UnixMs),
    step_ms: i64,
    aggregate: Aggregate,
) -> Vec<Points> {
    let query = Query {
        aggregate,
        ..Query::new(Label::new(CHECK_UP.name), from, to - 1, step_ms)
    };
    match points(hub, &query).await {
        Ok(points) => points,
        Err(error) => {
            tracing::warn!(%error, "cannot look up the shared checks");
            Vec::new()
        }
    }
}
