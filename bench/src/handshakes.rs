//! How many peers a hub can greet: whole handshakes with certificates on both sides, one after the other.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use sysmon_certs::{HubState, PeerName, Role};
use sysmon_link::Connector;
use sysmon_wire::message::Purpose;
use tokio::task::JoinSet;

use crate::VERSION;
use crate::hub_figures::Asked;

/// Time that the figures which the hub tells of itself are behind.
const FIGURES_LAG: Duration = Duration::from_millis(1_500);

/// Handshakes for `length`, so many at the same time.
pub async fn handshakes(
    hub: &str,
    at_once: usize,
    length: Duration,
    state: &Path,
) -> anyhow::Result<String> {
    let authority = HubState::new(state, &sysmon_clock::Random::system())
        .existing_authority()
        .with_context(|| format!("{} is not the state directory of a hub", state.display()))?;
    let asked = Asked::new(hub, state)?;
    let (done, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let before = asked.figures().await?;
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..at_once {
        let name = PeerName::nearest(&format!("bench-{number}"));
        let identity = authority.issue(Role::Operator, &name, SystemTime::now(), 1)?;
        let connector = Connector::new(&identity, VERSION, &sysmon_clock::Clock::system())?;
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
    let took = start.elapsed().as_secs_f64();
    tokio::time::sleep(FIGURES_LAG).await;
    let after = asked.figures().await?;
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let (done, failed) = (done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    let mut out = String::new();
    writeln!(out, "{:<34} {done}", "handshakes, with certificates")?;
    writeln!(out, "{:<34} {failed}", "  failed")?;
    writeln!(out, "{:<34} {:.0}", "  a second", done as f64 / took)?;
    let per_core = done as f64 / cpu.max(f64::EPSILON);
    writeln!(out, "{:<34} {per_core:.0}", "  a second of the hub's CPU")?;
    Ok(out)
}
