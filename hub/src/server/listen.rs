//! A hub with its sockets: starting it, accepting connections, and stopping it.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use sysmon_alerts::notify::{Notifier, NotifierState};
use sysmon_certs::Identity;
use sysmon_link::{Listener, NewSession};
use sysmon_store::store::StoreError;
use tokio::sync::{Semaphore, watch};

use super::access::{AccessControl, REVIEW_INTERVAL};
use super::demand::Demand;
use super::gauge::Gauge;
use super::history::PAGING_MAX;
use super::limits::Slots;
use super::{
    Hub, HubOptions, StartError, baselines, certificates, connection, metrics, persistence, relay,
    self_monitoring,
};
use crate::core::Core;

/// Idle rows are sealed every so many reviews: once a minute.
const SETTLE_EVERY: u64 = 120;

/// Connections at once: every host of a full fleet, and its subscribers.
const CONNECTIONS_MAX: usize = sysmon_wire::limits::HOSTS_MAX + 1_000;

/// Handshakes of one address at once. Machines behind one address connect one after the other; more at once is
/// an attempt to keep other addresses out.
const HANDSHAKES_PER_ADDRESS_MAX: usize = 128;

/// Handshakes at once from which on a peer has to prove its address first (QUIC's Retry), so that spoofed
/// addresses cost nothing. A real peer pays one round trip.
const CHALLENGE_FROM: usize = 64;

/// Connections of one certificate at once: an operator has a few terminals, an agent has one connection.
pub(super) const CONNECTIONS_PER_CERTIFICATE_MAX: usize = 64;

#[derive(Debug)]
pub struct BoundHub {
    pub hub: Arc<Hub>,
    listener: Listener,
    identity: Identity,
    metrics: Option<TcpListener>,
}

impl BoundHub {
    /// Opens the sockets and restores what the history holds; peers can connect from here on.
    pub fn bind(options: HubOptions, identity: &Identity) -> Result<Self, StartError> {
        let listener = Listener::bind(options.listen, identity, &options.clock)?;
        let listen = |address| {
            metrics::bind(address).map_err(|source| StartError::Metrics { address, source })
        };
        let metrics = options.metrics.map(listen).transpose()?;
        let mut core = Core::new(options.fleet);
        let notifier = options.alerts.notifier;
        let kept = notifier
            .path
            .as_deref()
            .map(NotifierState::load)
            .unwrap_or_default();
        core.set_rules(options.alerts.rules, kept.firing());
        let notifier =
            Notifier::start(notifier, kept, options.clock.clone()).map_err(StoreError::from)?;
        let history = match &options.history {
            Some(history) => Some(persistence::open(history, &mut core, &options.clock)?),
            None => None,
        };
        let durable_at_once = watch::Sender::new(0);
        let durable = match &history {
            Some(worker) => worker.durable(),
            None => durable_at_once.subscribe(),
        };
        let access = |access| AccessControl::new(access, options.clock.clone());
        let hub = Hub {
            name: options.name,
            started: options.clock.instant(),
            core: Mutex::new(core),
            history: history.map(Mutex::new),
            readers: Arc::default(),
            paging: Arc::new(Semaphore::new(PAGING_MAX)),
            durable,
            durable_at_once,
            changed: watch::Sender::new(0),
            demand: Demand::new(options.clock.clone()),
            access: options.access.map(access),
            notifier,
            edges: watch::Sender::new(options.edges),
            certificates: Slots::new(CONNECTIONS_PER_CERTIFICATE_MAX),
            subscribers: Gauge::default(),
            agents: Gauge::default(),
            refused: AtomicU64::new(0),
            clock: options.clock,
            random: options.random,
        };
        // Alerts that began during the restart are sent now.
        hub.update(|_| {});
        Ok(Self {
            hub: Arc::new(hub),
            listener,
            identity: identity.clone(),
            metrics,
        })
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.address()
    }

    pub fn loopback(&self) -> Option<SocketAddr> {
        self.listener.loopback()
    }

    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// Serves until `stop` completes, then closes every connection and commits what is unsaved.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let hub = &self.hub;
        let identity = watch::Sender::new(self.identity);
        persistence::restore_chunks(hub);
        let serve_metrics = async {
            match self.metrics {
                Some(listener) => metrics::serve(hub, listener).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = accept(hub, &self.listener) => {}
            () = serve_metrics => {}
            () = review(hub) => {}
            () = persistence::commit_every_second(hub) => {}
            () = self_monitoring::record(hub) => {}
            () = baselines::keep_current(hub) => {}
            () = relay::run(hub, hub.edges.subscribe(), identity.subscribe()) => {}
            () = certificates::renew_own(hub, &self.listener, &identity) => {}
            () = stop => {}
        }
        self.listener.close().await;
        persistence::finish(hub).await;
        hub.notifier.finish();
    }
}

async fn accept(hub: &Arc<Hub>, listener: &Listener) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let handshakes = Slots::new(HANDSHAKES_PER_ADDRESS_MAX);
    while let Some(arrival) = listener.accept().await {
        let address = arrival.address();
        if handshakes.used() >= CHALLENGE_FROM && !arrival.is_validated() {
            arrival.require_retry();
            continue;
        }
        let Some(handshake) = handshakes.acquire(address.ip()) else {
            hub.count_refusal();
            // The peer retries by itself, as after a lost packet.
            arrival.ignore();
            continue;
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            hub.audit_refusal(None, Some(address), "too many connections");
            continue;
        };
        let hub = Arc::clone(hub);
        tokio::spawn(async move {
            let session = arrival.handshake().await;
            // A peer without a certificate keeps its handshake slot until it has joined.
            let is_known = matches!(session, Ok(NewSession::Peer(_)));
            let handshake = Some(handshake).filter(|_| !is_known);
            connection::serve(hub, address, session).await;
            drop(handshake);
            drop(slot);
        });
    }
}

async fn review(hub: &Hub) {
    let mut timer = tokio::time::interval(REVIEW_INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for reviews in 1u64.. {
        timer.tick().await;
        if let Some(access) = &hub.access {
            access.review();
        }
        hub.update(|core| {
            if reviews.is_multiple_of(SETTLE_EVERY) {
                core.fleet.settle(hub.now());
            }
            core.review_silence(hub.now())
        });
    }
}
