//! Complete mutual TLS handshakes per second that a hub performs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use sysmon_certs::{PeerName, Role};
use sysmon_wire::message::Purpose;
use tokio::task::JoinSet;

use crate::hub_status::HubStatus;
use crate::report::Lines;
use crate::{connector, hub_state};

const STATUS_DELAY: Duration = Duration::from_millis(1_500);

pub async fn handshakes(
    hub: &str,
    at_once: usize,
    length: Duration,
    state: &Path,
) -> anyhow::Result<String> {
    let authority = hub_state(state)
        .existing_authority()
        .with_context(|| format!("{} is not the state directory of a hub", state.display()))?;
    let status = HubStatus::new(hub, state)?;
    let (done, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let before = status.read().await?;
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..at_once {
        let name = PeerName::nearest(&format!("bench-{number}"));
        let identity = authority.issue(Role::Operator, &name, SystemTime::now(), 1)?;
        let connector = connector(&identity)?;
        let (hub, done, failed) = (hub.to_owned(), Arc::clone(&done), Arc::clone(&failed));
        workers.spawn(async move {
            while start.elapsed() < length {
                let count = match connector.connect(&hub, Purpose::View).await {
                    Ok(_) => &done,
                    Err(_) => &failed,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while workers.join_next().await.is_some() {}
    let seconds = start.elapsed().as_secs_f64();
    tokio::time::sleep(STATUS_DELAY).await;
    let after = status.read().await?;
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let (done, failed) = (done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    let mut lines = Lines::default();
    lines.add("handshakes, both sides verified", done);
    lines.add("  failed", failed);
    lines.add("  per second", format!("{:.0}", done as f64 / seconds));
    let per_core = done as f64 / cpu.max(f64::EPSILON);
    lines.add("  per CPU second of the hub", format!("{per_core:.0}"));
    Ok(lines.to_string())
}
