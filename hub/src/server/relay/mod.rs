//! Sends the redacted fleet to edges: the hub connects to them, so that the LAN opens no port.

mod look;
mod policy;
mod redaction;
mod schedule;
mod services;
#[cfg(test)]
mod testing;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use sysmon_certs::{Identity, Role};
use sysmon_link::{
    Backoff, CloseCode, Connector, FrameSender, HubSession, LinkError, PeerCertificate,
};
use sysmon_wire::alerts::{AlertState, Alerts};
use sysmon_wire::message::{FleetUpdate, Purpose, Reply, Services};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::access::REVOKED;
use super::subscriber::send_fleet;
use super::{Hub, certificates};
use crate::VERSION;
use crate::fleet::HostId;
use crate::lock;
use crate::view::{SparkRequest, empty, fleet_changes, fleet_picture};
pub use policy::{EdgeOptions, Share};
use redaction::{Redaction, Withdrawn};
use schedule::Schedule;

const INTERVAL: Duration = Duration::from_secs(1);

const PIECES_PER_UPDATE: usize = 10;

/// The minor version of the protocol since which edges know services.
const SERVICES_MINOR: u16 = 1;

/// Serves every edge for as long as this is awaited. Other options or another identity start all sessions over:
/// what edges may no longer show goes with the connection.
pub(super) async fn run(
    hub: &Arc<Hub>,
    mut options: watch::Receiver<EdgeOptions>,
    mut identity: watch::Receiver<Identity>,
) {
    loop {
        let present = Arc::new(options.borrow_and_update().clone());
        let own = identity.borrow_and_update().clone();
        // Dropping it at the end of the round aborts the sessions.
        let mut sessions = JoinSet::new();
        let (shown, services) = watch::channel(Arc::default());
        let edges: BTreeSet<String> = present
            .edges
            .iter()
            .chain(&present.paired)
            .cloned()
            .collect();
        let unknown = |edge: &String| (edge.clone(), Some("connecting".to_owned()));
        *lock(&hub.edge_errors) = edges.iter().map(unknown).collect();
        let edges_are_none = edges.is_empty();
        if !edges_are_none {
            match Connector::new(&own, VERSION, &hub.clock) {
                Ok(connector) => {
                    for edge in edges {
                        let (hub, present) = (Arc::clone(hub), Arc::clone(&present));
                        let shared = (present, services.clone());
                        sessions.spawn(stay_connected(hub, edge, shared, connector.clone()));
                    }
                }
                Err(error) => tracing::error!(%error, "cannot connect to edges"),
            }
        }
        let is_alive = tokio::select! {
            () = look::keep_looking(hub, &present, &shown), if !edges_are_none => true,
            changed = options.changed() => changed.is_ok(),
            changed = identity.changed() => changed.is_ok(),
        };
        if !is_alive {
            return std::future::pending().await;
        }
    }
}

async fn stay_connected(
    hub: Arc<Hub>,
    edge: String,
    (options, services): (Arc<EdgeOptions>, watch::Receiver<Arc<Services>>),
    connector: Connector,
) {
    let mut backoff = Backoff::default();
    let mut logged = String::new();
    loop {
        let connected = connector.connect_as(&edge, Role::Edge, Purpose::Mirror);
        let error = match connected.await {
            Ok(session) => {
                tracing::info!(address = %edge, name = %session.hub, "connected to edge");
                logged.clear();
                lock(&hub.edge_errors).insert(edge.clone(), None);
                backoff.reset();
                match sysmon_link::peer_certificate(&session.connection) {
                    Ok(Some(edge)) => serve(&hub, (&options, &services), &session, &edge).await,
                    Ok(None) => LinkError::StreamEnded,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        let text = error.to_string();
        lock(&hub.edge_errors).insert(edge.clone(), Some(text.clone()));
        if text != logged {
            tracing::warn!(address = %edge, error = %text, "not connected to edge, retrying");
            logged = text;
        }
        tokio::time::sleep(backoff.next(hub.random.f64())).await;
    }
}

/// Serves a connected edge and renews its certificate, until it leaves or is revoked.
async fn serve(
    hub: &Arc<Hub>,
    shared: (&EdgeOptions, &watch::Receiver<Arc<Services>>),
    session: &HubSession,
    edge: &PeerCertificate,
) -> LinkError {
    let connection = &session.connection;
    let access = hub.access.as_ref();
    let _registered = access.map(|access| access.register(&edge.serial, connection));
    if access.is_some_and(|access| access.is_revoked(&edge.serial)) {
        connection.close(CloseCode::Refused.into(), REVOKED.as_bytes());
        return LinkError::Refused(REVOKED.to_owned());
    }
    tokio::select! {
        sent = send_streams(hub, shared, session) => match sent {
            Ok(never) => match never {},
            Err(error) => error,
        },
        error = certificates::serve_renewals(hub, connection, edge) => error,
    }
}

/// Sends the fleet. When a host is withdrawn, everything is sent again on a new stream, so that the edge forgets
/// what is not named there.
async fn send_streams(
    hub: &Hub,
    (options, services): (&EdgeOptions, &watch::Receiver<Arc<Services>>),
    session: &HubSession,
) -> Result<Infallible, LinkError> {
    loop {
        let stream = EdgeStream {
            hub,
            sender: FrameSender::new(session.connection.open_uni().await?),
            redaction: Redaction::new(options),
            acknowledged: Vec::new(),
            services: (session.minor >= SERVICES_MINOR).then(|| {
                let mut services = services.clone();
                services.mark_changed();
                services
            }),
        };
        stream.send_until_withdrawn(session).await?;
    }
}

struct EdgeStream<'a> {
    hub: &'a Hub,
    sender: FrameSender,
    redaction: Redaction<'a>,
    acknowledged: Vec<AlertState>,
    /// None for an edge that does not know them.
    services: Option<watch::Receiver<Arc<Services>>>,
}

impl EdgeStream<'_> {
    async fn send_until_withdrawn(mut self, session: &HubSession) -> Result<Withdrawn, LinkError> {
        let hub = self.hub;
        let (picture, mut schedule, mut seen) = {
            let core = hub.core();
            let generation = core.fleet.generation();
            let machines: Vec<HostId> = core.fleet.machines().map(|(id, _)| id).collect();
            let picture = fleet_picture(
                &core.fleet.view(),
                None,
                hub.now(),
                &SparkRequest::default(),
            );
            (picture, Schedule::all(&machines, generation), generation)
        };
        if let Some(withdrawn) = self.send(picture).await? {
            return Ok(withdrawn);
        }
        self.sender.send(&Reply::Complete).await?;
        let mut timer = tokio::time::interval(INTERVAL);
        timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                error = session.connection.closed() => return Err(error.into()),
            }
            let mut updates = {
                let core = hub.core();
                schedule.add_changed(&core.fleet);
                let updates = fleet_changes(&core.fleet, seen, hub.now());
                seen = core.fleet.generation();
                updates
            };
            if updates.is_empty() {
                // Shows the edge that the hub is there.
                updates.push(empty(hub.now()));
            }
            for _ in 0..PIECES_PER_UPDATE {
                let piece = schedule.next(&hub.core().fleet, hub.now());
                let Some(piece) = piece else { break };
                updates.push(piece);
            }
            if let Some(withdrawn) = self.send(updates).await? {
                return Ok(withdrawn);
            }
        }
    }

    /// Sends updates and which alerts are acknowledged, unless a host was withdrawn.
    async fn send(&mut self, updates: Vec<FleetUpdate>) -> Result<Option<Withdrawn>, LinkError> {
        for update in updates {
            match self.redaction.redact(update) {
                Ok(update) => send_fleet(&mut self.sender, vec![update]).await?,
                Err(withdrawn) => return Ok(Some(withdrawn)),
            }
        }
        let present = self.redaction.acknowledged(&self.hub.acknowledged());
        if present != self.acknowledged {
            let alerts = Alerts {
                alerts: present.clone(),
                ..Alerts::default()
            };
            self.sender.send(&Reply::Alerts(alerts)).await?;
            self.acknowledged = present;
        }
        if let Some(services) = &mut self.services
            && services.has_changed().unwrap_or(false)
        {
            let present = Services::clone(&services.borrow_and_update());
            self.sender.send(&Reply::Services(present)).await?;
        }
        Ok(None)
    }
}
