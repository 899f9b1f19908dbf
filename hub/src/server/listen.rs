//! A hub with its sockets: starting it, accepting connections, and stopping it.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use sysmon_alerts::notify::{Notifier, NotifierState};
use sysmon_certs::{Identity, ResetSecret};
use sysmon_link::{AdmissionLimits, LinkError, ListenOptions, Listener, Slots};
use sysmon_store::store::StoreError;
use tokio::sync::{Semaphore, watch};

use super::access::{AccessControl, REVIEW_INTERVAL};
use super::beyond::Beyond;
use super::budget::RowBudgets;
use super::demand::Demand;
use super::exports::Exports;
use super::gauge::Gauge;
use super::history::PAGING_MAX;
use super::live::LiveAgents;
#[cfg(feature = "otlp")]
use super::otlp::{OtlpListener, Protocol};
use super::{
    ExportOptions, Hub, HubOptions, StartError, baselines, certificates, connection, heartbeat,
    metrics, persistence, relay, self_monitoring,
};
use crate::core::Core;

/// Which alerts are silenced is reviewed every so many reviews: once a second.
const MARKS_EVERY: u64 = 2;

/// Idle rows are sealed every so many reviews: once a minute.
const SETTLE_EVERY: u64 = 120;

/// What the hub admits before it knows the peer.
const ADMISSION: AdmissionLimits = AdmissionLimits {
    // Every host of a full fleet, and its subscribers.
    connections: sysmon_wire::limits::HOSTS_MAX + 1_000,
    // Machines behind one address connect one after the other; more at once is an attempt to keep others out.
    handshakes_per_network: 128,
    challenge_from: 64,
};

/// Connections of one certificate at once: an operator has a few terminals, an agent has one connection.
pub(super) const CONNECTIONS_PER_CERTIFICATE_MAX: usize = 64;

/// Why a hub no longer serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// The next start recovers the history; agents send again what was not acknowledged.
    HistoryDamaged,
}

/// The register is compacted every so many reviews: once a day, and at the start.
const COMPACT_EVERY: u64 = 172_800;

#[derive(Debug)]
pub struct BoundHub {
    pub hub: Arc<Hub>,
    listener: Listener,
    identity: Identity,
    metrics: Option<metrics::Bound>,
    #[cfg(feature = "otlp")]
    otlp: Vec<OtlpListener>,
    exports: Vec<ExportOptions>,
    heartbeat: Option<String>,
}

impl BoundHub {
    /// Opens the sockets and restores what the history holds; peers can connect from here on.
    pub fn bind(options: HubOptions, identity: &Identity) -> Result<Self, StartError> {
        let listen = ListenOptions {
            clock: options.clock.clone(),
            reset: reset_secret(&options)?,
            limits: ADMISSION,
            accepts_joins: true,
        };
        let listener = Listener::bind(options.listen, identity, listen)?;
        #[cfg(feature = "otlp")]
        let otlp = bind_otlp(&options)?;
        let metrics = options.metrics.map(metrics::Bound::bind).transpose()?;
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
            Some(history) => Some(persistence::open(
                history,
                &options.name,
                &mut core,
                &options.clock,
            )?),
            None => None,
        };
        let durable_at_once = watch::Sender::new(0);
        let durable = match &history {
            Some(worker) => worker.durable(),
            None => durable_at_once.subscribe(),
        };
        let access = |access| AccessControl::new(access, options.clock.clone());
        let mut hub = Hub {
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
            edge_errors: Mutex::default(),
            certificates: Slots::new(CONNECTIONS_PER_CERTIFICATE_MAX),
            budgets: RowBudgets::default(),
            #[cfg(feature = "otlp")]
            otlp: super::otlp::Otlp::default(),
            subscribers: Gauge::default(),
            agents: Gauge::default(),
            live: LiveAgents::default(),
            exports: Exports::default(),
            beyond: Beyond::default(),
            refused: AtomicU64::new(0),
            port: listener.address().map(|address| address.port()),
            clock: options.clock,
            random: options.random,
        };
        hub.beyond = hub.start_beyond(options.history_beyond.as_ref());
        hub.review_access();
        // Alerts that began during the restart are sent now.
        hub.update(|_| {});
        Ok(Self {
            hub: Arc::new(hub),
            listener,
            identity: identity.clone(),
            metrics,
            #[cfg(feature = "otlp")]
            otlp,
            exports: options.exports,
            heartbeat: options.heartbeat,
        })
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.address()
    }

    pub fn loopback(&self) -> Option<SocketAddr> {
        self.listener.loopback()
    }

    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(metrics::Bound::address)
    }

    /// The URL of `/metrics`.
    pub fn metrics_url(&self) -> Option<String> {
        self.metrics.as_ref().map(metrics::Bound::url)
    }

    /// Where OTLP is received, over gRPC and over HTTP.
    #[cfg(feature = "otlp")]
    pub fn otlp_addresses(&self) -> [Option<SocketAddr>; 2] {
        [Protocol::Grpc, Protocol::Http].map(|protocol| {
            let listener = self.otlp.iter().find(|otlp| otlp.protocol() == protocol);
            listener.and_then(OtlpListener::address)
        })
    }

    /// Serves until `stop` completes or the history turns out to be damaged, then closes every connection and commits
    /// what is unsaved.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Ended {
        let hub = &self.hub;
        let identity = watch::Sender::new(self.identity);
        persistence::restore_chunks(hub);
        hub.set_exports(self.exports, &tokio::runtime::Handle::current());
        let serve_metrics = async {
            match self.metrics {
                Some(bound) => bound.serve(hub, identity.subscribe()).await,
                None => std::future::pending().await,
            }
        };
        #[cfg(feature = "otlp")]
        let receive_otlp = super::otlp::serve_all(hub, self.otlp, identity.subscribe());
        #[cfg(not(feature = "otlp"))]
        let receive_otlp = std::future::pending::<()>();
        let mut ended = Ended::Stopped;
        tokio::select! {
            () = accept(hub, &self.listener) => {}
            () = serve_metrics => {}
            () = receive_otlp => {}
            () = review(hub) => {}
            () = persistence::commit_every_second(hub) => {}
            () = self_monitoring::record(hub) => {}
            () = baselines::keep_current(hub) => {}
            () = heartbeat::keep_sending(hub, self.heartbeat.as_deref()) => {}
            () = relay::run(hub, hub.edges.subscribe(), identity.subscribe()) => {}
            () = certificates::renew_own(hub, &self.listener, &identity) => {}
            () = hub.history_damaged() => ended = Ended::HistoryDamaged,
            () = stop => {}
        }
        self.listener.close().await;
        hub.stop_exports();
        persistence::finish(hub).await;
        hub.notifier.finish();
        ended
    }
}

#[cfg(feature = "otlp")]
fn bind_otlp(options: &HubOptions) -> Result<Vec<OtlpListener>, StartError> {
    let ports = [
        (options.otlp, Protocol::Grpc),
        (options.otlp_http, Protocol::Http),
    ];
    let ports = ports
        .into_iter()
        .filter_map(|(address, protocol)| Some((address?, protocol)));
    ports
        .map(|(address, protocol)| {
            let bound = OtlpListener::bind(address, protocol);
            bound.map_err(|source| StartError::Otlp { address, source })
        })
        .collect()
}

fn reset_secret(options: &HubOptions) -> Result<ResetSecret, LinkError> {
    Ok(match &options.access {
        Some(access) => access.state.reset_secret(&options.random)?,
        None => ResetSecret::generate(&options.random)?,
    })
}

async fn accept(hub: &Arc<Hub>, listener: &Listener) {
    while let Some(arrival) = listener.accept().await {
        let arrival = match arrival {
            Ok(arrival) => arrival,
            Err(refusal) => {
                hub.audit_refusal(None, Some(refusal.address), refusal.reason);
                continue;
            }
        };
        let (hub, address) = (Arc::clone(hub), arrival.address());
        tokio::spawn(async move {
            let session = arrival.handshake().await;
            connection::serve(hub, address, session).await;
        });
    }
}

async fn review(hub: &Hub) {
    let mut timer = tokio::time::interval(REVIEW_INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for reviews in 1u64.. {
        timer.tick().await;
        if let Some(access) = &hub.access
            && access.review()
        {
            hub.review_revoked();
        }
        hub.review_edges();
        if reviews.is_multiple_of(MARKS_EVERY) {
            // Silences and maintenance windows begin and end by themselves.
            hub.review_marks();
        }
        if reviews.is_multiple_of(SETTLE_EVERY) {
            hub.review_revoked();
            hub.forget_gone();
        }
        if reviews % COMPACT_EVERY == 1
            && let Some(access) = &hub.access
        {
            access.compact_register();
        }
        hub.update(|core| {
            if reviews.is_multiple_of(SETTLE_EVERY) {
                core.fleet.settle(hub.now());
            }
            core.fleet.forget_copies(hub.now());
            core.review_silence(hub.now())
        });
    }
}
