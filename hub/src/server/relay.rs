//! Showing the fleet to edges: the hub dials out, and what it says has been redacted before.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sysmon_certs::{Identity, Role};
use sysmon_link::{Backoff, CloseCode, Connector, FrameSender, LinkError, Shown};
use sysmon_wire::message::{AlertLine, FleetUpdate, HostHealth, HostLine, Purpose, Reply};
use sysmon_wire::metrics::SUMMARY;
use sysmon_wire::{HostFacts, Label};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::subscriber::send_fleet;
use super::trust::REVOKED;
use super::{Hub, now, renewal};
use crate::VERSION;
use crate::alerts::rule::Hosts;
use crate::view::{SparkRequest, fleet_changes, fleet_picture};

/// How often an edge is told what changed.
const INTERVAL: Duration = Duration::from_secs(1);

/// History that an edge gets when it is connected: an hour.
const HISTORY_POINTS: u16 = 360;
const HISTORY_STEP_MS: u32 = 10_000;

/// Which edges there are, and what they may show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeOptions {
    /// Edges as `HOST:PORT`.
    pub edges: Vec<String>,
    /// Hosts that are shown; the first that fits counts.
    pub share: Vec<Share>,
}

/// A host, or several, that edges show: `NAME`, with `*` for any letters, or `#TAG`; and `=PUBLIC` for
/// another name in public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    hosts: Hosts,
    public: Option<String>,
}

impl FromStr for Share {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hosts, public) = match text.split_once('=') {
            Some((hosts, public)) => (hosts, Some(public.trim().to_owned())),
            None => (text, None),
        };
        Ok(Self {
            hosts: Hosts::of(hosts.trim()),
            public,
        })
    }
}

impl EdgeOptions {
    /// What a host is called in public; none if it is not shown.
    fn public_name(&self, line: &HostLine) -> Option<Label> {
        let tags = || line.facts.tags.iter().map(Label::as_str);
        let share = self
            .share
            .iter()
            .find(|share| share.hosts.include(line.name.as_str(), tags()))?;
        Some(
            share
                .public
                .as_deref()
                .map_or_else(|| line.name.clone(), Label::new),
        )
    }
}

/// What an edge has been told: which hosts it may see.
#[derive(Debug)]
struct Redaction<'a> {
    options: &'a EdgeOptions,
    shown: Vec<u32>,
}

impl Redaction<'_> {
    /// Leaves only what may be seen in public: no facts, tags, notes, or words of alerts, which may hold
    /// mount points and the like; only numbers, states and names of rules.
    fn redact(&mut self, update: FleetUpdate) -> FleetUpdate {
        let mut lines = Vec::new();
        for line in update.lines {
            let Some(name) = self.options.public_name(&line) else {
                self.shown.retain(|index| *index != line.index);
                continue;
            };
            if !self.shown.contains(&line.index) {
                self.shown.push(line.index);
            }
            let alert = |alert: &AlertLine| AlertLine {
                summary: Label::new(""),
                ..alert.clone()
            };
            lines.push(HostLine {
                index: line.index,
                name,
                facts: HostFacts::unknown(),
                health: HostHealth::default(),
                notes: Vec::new(),
                alerts: line.alerts.iter().map(alert).collect(),
            });
        }
        let is_shown = |index: u32| self.shown.contains(&index);
        FleetUpdate {
            now: update.now,
            lines,
            ticks: update
                .ticks
                .into_iter()
                .filter(|tick| is_shown(tick.index))
                .collect(),
            sparks: update
                .sparks
                .into_iter()
                .filter(|spark| is_shown(spark.index))
                .collect(),
        }
    }
}

/// Shows the fleet to every edge, for as long as this is awaited. When other options come, all are told
/// anew: what they may no longer show goes with the connection.
pub(super) async fn run(
    hub: &Arc<Hub>,
    mut options: watch::Receiver<EdgeOptions>,
    mut identity: watch::Receiver<Identity>,
) {
    loop {
        let present = Arc::new(options.borrow_and_update().clone());
        let own = identity.borrow_and_update().clone();
        // Dropped, and so ended, before the next round.
        let mut edges = JoinSet::new();
        if !present.edges.is_empty() {
            match Connector::new(&own, VERSION) {
                Ok(connector) => {
                    for edge in present.edges.iter().cloned() {
                        let (hub, present) = (Arc::clone(hub), Arc::clone(&present));
                        edges.spawn(keep_shown(hub, edge, present, connector.clone()));
                    }
                }
                Err(error) => tracing::error!("edges are not shown anything: {error}"),
            }
        }
        let is_alive = tokio::select! {
            changed = options.changed() => changed.is_ok(),
            changed = identity.changed() => changed.is_ok(),
        };
        if !is_alive {
            return std::future::pending().await;
        }
    }
}

/// Shows the fleet to one edge, again and again.
async fn keep_shown(hub: Arc<Hub>, edge: String, options: Arc<EdgeOptions>, connector: Connector) {
    let mut backoff = Backoff::default();
    let mut told = String::new();
    loop {
        let connected = connector.connect_as(&edge, Role::Edge, Purpose::Mirror);
        let error = match connected.await {
            Ok(session) => {
                tracing::info!("edge {} at {edge} is shown the fleet", session.hub);
                told.clear();
                backoff.reset();
                match sysmon_link::shown(&session.connection) {
                    Ok(Some(edge)) => attend(&hub, &options, &session.connection, &edge).await,
                    Ok(None) => LinkError::StreamEnded,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let text = error.to_string();
        if text != told {
            tracing::warn!("edge {edge} is not shown anything: {text}; trying again");
            told = text;
        }
        tokio::time::sleep(backoff.next(fastrand::f64())).await;
    }
}

/// Shows the fleet to an edge that is connected, and renews its certificate, until it leaves or is revoked.
async fn attend(
    hub: &Arc<Hub>,
    options: &EdgeOptions,
    connection: &sysmon_link::Connection,
    edge: &Shown,
) -> LinkError {
    let _entry = hub
        .trust
        .as_ref()
        .map(|trust| trust.enter(&edge.serial, connection));
    if let Some(trust) = &hub.trust
        && trust.is_revoked(&edge.serial)
    {
        connection.close(CloseCode::Refused.into(), REVOKED.as_bytes());
        return LinkError::Refused(REVOKED.to_owned());
    }
    tokio::select! {
        shown = show(hub, options, connection) => match shown {
            Ok(never) => match never {},
            Err(error) => error,
        },
        error = renewal::serve(hub, connection, edge) => error,
    }
}

async fn show(
    hub: &Hub,
    options: &EdgeOptions,
    connection: &sysmon_link::Connection,
) -> Result<std::convert::Infallible, LinkError> {
    let mut sender = FrameSender::new(connection.open_uni().await?);
    let mut redaction = Redaction {
        options,
        shown: Vec::new(),
    };
    let sparks = SparkRequest {
        points: HISTORY_POINTS,
        step_ms: HISTORY_STEP_MS,
        aliases: (0..SUMMARY as u8).collect(),
    };
    let (frames, mut seen) = {
        let fleet = hub.fleet();
        (
            fleet_picture(&fleet, None, now(), &sparks),
            fleet.generation(),
        )
    };
    let shown = frames.into_iter().map(|frame| redaction.redact(frame));
    send_fleet(&mut sender, shown.collect()).await?;
    sender.send(&Reply::Complete).await?;
    let mut timer = tokio::time::interval(INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            error = connection.closed() => return Err(error.into()),
        }
        let frames = {
            let fleet = hub.fleet();
            let frames = fleet_changes(&fleet, seen, now());
            seen = fleet.generation();
            frames
        };
        let shown = frames.into_iter().map(|frame| redaction.redact(frame));
        send_fleet(&mut sender, shown.collect()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::{fleet, host_with_cpu, row};
    use sysmon_wire::UnixMs;
    use sysmon_wire::message::RunId;

    #[test]
    fn only_chosen_hosts_are_shown_and_nothing_but_numbers_of_them() {
        let mut fleet = fleet();
        for name in ["web-1", "db-1"] {
            let id = host_with_cpu(&mut fleet, name);
            let facts = HostFacts {
                os: "secret-os".into(),
                tags: vec!["secret-tag".into()],
                ..HostFacts::unknown()
            };
            fleet.set_facts(id, facts);
            fleet.set_notes(id, vec!["secret /path".into()]);
            fleet
                .apply(id, RunId(1), &row(1, 9000, 5), UnixMs(9000))
                .unwrap();
        }
        let options = EdgeOptions {
            edges: Vec::new(),
            share: vec!["web-*=Shop".parse().unwrap()],
        };
        let mut redaction = Redaction {
            options: &options,
            shown: Vec::new(),
        };
        let sparks = SparkRequest {
            points: 2,
            step_ms: 1000,
            aliases: vec![0],
        };
        let mut updates = fleet_picture(&fleet, None, UnixMs(9000), &sparks);
        let update = redaction.redact(updates.remove(0));
        assert_eq!(
            (update.lines.len(), update.ticks.len(), update.sparks.len()),
            (1, 1, 1)
        );
        assert_eq!(update.lines[0].name, "Shop");
        assert!(!format!("{update:?}").contains("secret"));
        let later = fleet_changes(&fleet, 0, UnixMs(9000)).remove(0);
        assert_eq!(redaction.redact(later).ticks.len(), 1);
    }
}
