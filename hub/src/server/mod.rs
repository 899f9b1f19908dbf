//! The shell of the hub: its socket, clock and tasks.

mod agent;
mod alerts;
mod bounds;
mod demand;
mod keep;
mod limits;
mod metrics;
mod own;
mod past;
mod relay;
mod renewal;
mod subscriber;
mod top;
mod trust;
mod weeks;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sysmon_certs::{Identity, Peer, Role};
use sysmon_link::{CloseCode, JoinSession, LinkError, Listener, NewSession, PeerSession};
use sysmon_wire::message::{HubStatus, Purpose};
use sysmon_wire::{Label, UnixMs};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use crate::VERSION;
use crate::audit::Entry;
use crate::fleet::{Fleet, FleetOptions};
use demand::Demands;
use limits::Places;
use past::{PAGING_MAX, Readers};
pub use relay::{AlertWords, EdgeOptions, Share};
use sysmon_alerts::Transition;
use sysmon_alerts::notify::{Notifier, NotifierOptions, NotifierState};
use sysmon_alerts::rule::Rule;
use sysmon_clock::Clock;
use sysmon_store::Limits;
use sysmon_store::store::StoreError;
use sysmon_store::worker::Worker;
pub use trust::TrustOptions;
use trust::{REVOKED, Trust};

/// How often silent hosts are looked for.
const REVIEW_INTERVAL: Duration = Duration::from_millis(500);

/// Every how many of those looks rows are sealed that wait for no others: once a minute.
const SETTLE_EVERY: u64 = 120;

/// Connections at once: every host of a full fleet, and those who look at them.
const CONNECTIONS_MAX: usize = sysmon_wire::limits::HOSTS_MAX + 1_000;

/// Handshakes of one address at once. Machines behind one address come one after the other; who asks for more
/// wants to keep the others out.
const HANDSHAKES_PER_ADDRESS_MAX: usize = 128;

/// Handshakes at once from which on whoever comes has to show first that he is where he says: those who only pretend
/// cost nothing then (QUIC's Retry). A machine that is there pays one round trip.
const CHALLENGE_FROM: usize = 64;

/// Connections of one certificate at once: an operator has some screens, an agent has one.
const CONNECTIONS_PER_CERTIFICATE_MAX: usize = 64;

/// Requests open at once, of all who look.
const SUBSCRIBERS_MAX: u64 = 4_096;

const EXPIRED: &str = "this certificate has expired";

const TOO_MANY: &str = "this certificate already has 64 connections open, the limit";

/// What a hub needs to know.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What it is called.
    pub name: String,
    /// How it keeps hosts.
    pub fleet: FleetOptions,
    /// Where it keeps them for good; nowhere if not set.
    pub history: Option<HistoryOptions>,
    /// How machines join; not at all if not set.
    pub trust: Option<TrustOptions>,
    /// What is watched, and who is told.
    pub alerts: AlertOptions,
    /// Which edges are shown what.
    pub edges: EdgeOptions,
    /// Where programs on this machine get its metrics over HTTP; nowhere if not set.
    pub metrics: Option<SocketAddr>,
}

/// What is watched, and who is told.
#[derive(Clone, Debug, Default)]
pub struct AlertOptions {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Who is told, and who is not.
    pub telling: NotifierOptions,
}

/// Where and how much history is kept on disk.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// The file.
    pub path: PathBuf,
    /// How much of the past it keeps.
    pub limits: Limits,
}

/// Why a hub cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Its socket.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Its history.
    #[error(transparent)]
    History(#[from] StoreError),
    /// The port for its metrics.
    #[error("cannot listen on {address} for metrics: {source}")]
    Metrics {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// The state all connections share.
#[derive(Debug)]
pub struct Hub {
    name: String,
    started: Instant,
    fleet: Mutex<Fleet>,
    /// The fleet's generation, for those who wait for the next.
    changed: watch::Sender<u64>,
    demands: Demands,
    trust: Option<Trust>,
    notifier: Notifier,
    edges: watch::Sender<EdgeOptions>,
    history: Option<Mutex<Worker>>,
    readers: Arc<Readers>,
    /// Answers that read rows of the past.
    paging: Arc<Semaphore>,
    /// The generation up to which rows are durable.
    durable: watch::Receiver<u64>,
    /// Says so where there is no history: then having a row is all there is.
    durable_at_once: watch::Sender<u64>,
    /// Connections of each certificate, by its serial number.
    certificates: Arc<Places<String>>,
    subscribers: AtomicU64,
    /// Agents connected.
    agents: AtomicU64,
    refused: AtomicU64,
}

/// A hub that listens but does not serve yet.
#[derive(Debug)]
pub struct BoundHub {
    hub: Arc<Hub>,
    listener: Listener,
    identity: Identity,
    metrics: Option<TcpListener>,
}

impl Hub {
    /// The fleet, for a moment: nothing may be awaited while it is held.
    pub fn fleet(&self) -> MutexGuard<'_, Fleet> {
        // A panic elsewhere leaves the fleet as whole as it was between two rows.
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the fleet has changed.
    fn announce(&self, generation: u64) {
        self.changed.send_replace(generation);
    }

    /// Tells of alerts, if there is news.
    fn tell_news(&self, news: Vec<Transition>) {
        if !news.is_empty() {
            self.notifier.apply(news);
        }
    }

    /// Takes what of other options a running hub can: how long hosts and rows are kept, alerts and who is
    /// told, edges and what they show, and how long certificates are valid from now on.
    pub fn reload(&self, options: HubOptions) {
        let mut fleet = self.fleet();
        fleet.set_options(options.fleet, now());
        fleet.rewatch(options.alerts.rules);
        let (generation, news) = (fleet.generation(), fleet.take_news());
        drop(fleet);
        self.announce(generation);
        self.set_history_limits(options.history.map(|history| history.limits));
        let telling = options.alerts.telling;
        self.notifier
            .reconfigure(telling.routes, telling.maintenance);
        self.tell_news(news);
        if let (Some(trust), Some(options)) = (&self.trust, options.trust) {
            trust.set_days(options.days);
        }
        self.edges.send_if_modified(|edges| {
            let is_new = *edges != options.edges;
            *edges = options.edges;
            is_new
        });
    }

    /// The hub about itself.
    pub fn status(&self) -> HubStatus {
        // Before the fleet: who holds the history may wait for the fleet, so never the other way round.
        let (history_bytes, _) = self.history_figures();
        let fleet = self.fleet();
        let (rows, values) = fleet.totals();
        let (ring_bytes, ring_values) = fleet.ring_size();
        HubStatus {
            name: Label::new(&self.name),
            version: Label::new(VERSION),
            now: now(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            ingest_rows_total: rows,
            ingest_values_total: values,
            ring_bytes,
            ring_values,
            history_bytes,
            subscribers: self.subscribers.load(Ordering::Relaxed),
            refused_total: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Counts that somebody was turned away, and notes who and why.
    fn refused(&self, who: Option<&Peer>, from: Option<SocketAddr>, reason: &str) {
        self.count_refusal();
        let who = who.map(ToString::to_string).unwrap_or_default();
        let entry = Entry::new(now(), "refused", &who).what(reason);
        let entry = match from {
            Some(address) => entry.from(address),
            None => entry,
        };
        match &self.trust {
            Some(trust) => trust.audit().refused(entry),
            None => tracing::warn!("refused {} {}: {reason}", entry.who, entry.from),
        }
    }

    fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// The present, by this machine's clock.
fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

impl BoundHub {
    /// Takes the socket; from here on peers can arrive.
    pub fn bind(options: HubOptions, identity: &Identity) -> Result<Self, StartError> {
        let listener = Listener::bind(options.listen, identity, &sysmon_clock::Clock::system())?;
        let listen = |address| {
            metrics::bind(address).map_err(|source| StartError::Metrics { address, source })
        };
        let metrics = options.metrics.map(listen).transpose()?;
        let mut fleet = Fleet::new(options.fleet);
        let telling = options.alerts.telling;
        let kept = telling
            .path
            .as_deref()
            .map(NotifierState::load)
            .unwrap_or_default();
        fleet.watch(options.alerts.rules, kept.firing());
        let notifier = Notifier::start(telling, kept, Clock::system()).map_err(StoreError::from)?;
        let history = match &options.history {
            Some(history) => Some(keep::open_history(history, &mut fleet)?),
            None => None,
        };
        let durable_at_once = watch::Sender::new(0);
        let durable = match &history {
            Some(worker) => worker.durable(),
            None => durable_at_once.subscribe(),
        };
        let hub = Hub {
            name: options.name,
            started: Instant::now(),
            fleet: Mutex::new(fleet),
            history: history.map(Mutex::new),
            readers: Arc::default(),
            paging: Arc::new(Semaphore::new(PAGING_MAX)),
            durable,
            durable_at_once,
            changed: watch::Sender::new(0),
            demands: Demands::new(),
            trust: options.trust.map(Trust::new),
            notifier,
            edges: watch::Sender::new(options.edges),
            certificates: Places::new(CONNECTIONS_PER_CERTIFICATE_MAX),
            subscribers: AtomicU64::new(0),
            agents: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        };
        let news = hub.fleet().take_news();
        hub.tell_news(news);
        Ok(Self {
            hub: Arc::new(hub),
            listener,
            identity: identity.clone(),
            metrics,
        })
    }

    /// The state its connections share.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.address()
    }

    /// Where programs on this machine reach it.
    pub fn loopback(&self) -> Option<SocketAddr> {
        self.listener.loopback()
    }

    /// Where its metrics are served over HTTP.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref()?.local_addr().ok()
    }

    /// Serves until `stop` is done, then tells every peer.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let handshakes = Places::new(HANDSHAKES_PER_ADDRESS_MAX);
        let accept = async {
            while let Some(arrival) = self.listener.accept().await {
                let address = arrival.address();
                if handshakes.taken() >= CHALLENGE_FROM && !arrival.is_validated() {
                    arrival.require_retry();
                    continue;
                }
                let Some(handshake) = handshakes.take(address.ip()) else {
                    self.hub.count_refusal();
                    // It tries again by itself, as it would after a lost packet.
                    arrival.ignore();
                    continue;
                };
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    self.hub
                        .refused(None, Some(address), "too many connections");
                    continue;
                };
                let hub = Arc::clone(&self.hub);
                tokio::spawn(async move {
                    let greeted = arrival.handshake().await;
                    // Who has no certificate stays where he is counted until he has joined.
                    let is_known = matches!(greeted, Ok(NewSession::Peer(_)));
                    let handshake = Some(handshake).filter(|_| !is_known);
                    welcome(hub, address, greeted).await;
                    drop(handshake);
                    drop(place);
                });
            }
        };
        let hub = &self.hub;
        let identity = watch::Sender::new(self.identity);
        keep::restore_chunks(hub);
        let serve_metrics = async {
            match self.metrics {
                Some(listener) => metrics::serve(hub, listener).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = accept => {}
            () = serve_metrics => {}
            () = review(hub) => {}
            () = keep::keep(hub) => {}
            () = own::record(hub) => {}
            () = weeks::learn(hub) => {}
            () = relay::run(hub, hub.edges.subscribe(), identity.subscribe()) => {}
            () = renewal::follow(hub, &self.listener, &identity) => {}
            () = stop => {}
        }
        self.listener.close().await;
        keep::finish(hub).await;
        hub.notifier.finish();
    }
}

/// Looks for hosts that have fallen silent.
async fn review(hub: &Hub) {
    let mut timer = tokio::time::interval(REVIEW_INTERVAL);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looks = 0u64;
    loop {
        timer.tick().await;
        if let Some(trust) = &hub.trust {
            trust.review();
        }
        let mut fleet = hub.fleet();
        looks += 1;
        if looks.is_multiple_of(SETTLE_EVERY) {
            fleet.settle(now());
        }
        if fleet.review_states(now()) {
            let (generation, news) = (fleet.generation(), fleet.take_news());
            drop(fleet);
            hub.announce(generation);
            hub.tell_news(news);
        }
    }
}

async fn welcome(hub: Arc<Hub>, address: SocketAddr, greeted: Result<NewSession, LinkError>) {
    let mut session = match greeted {
        Ok(NewSession::Peer(session)) => session,
        Ok(NewSession::Join(stranger)) => return join(&hub, address, stranger).await,
        Err(error) => {
            hub.refused(None, Some(address), &error.to_string());
            return;
        }
    };
    let peer = session.certificate.peer.clone();
    // Before it is looked: who is revoked from here on is cut off.
    let _entry = hub
        .trust
        .as_ref()
        .map(|trust| trust.enter(&session.certificate.serial, &session.connection));
    let is_revoked = hub
        .trust
        .as_ref()
        .is_some_and(|trust| trust.is_revoked(&session.certificate.serial));
    if let Some(reason) = is_revoked.then_some(REVOKED).or_else(|| refusal(&session)) {
        hub.refused(Some(&peer), Some(address), reason);
        session.refuse(reason).await;
        return;
    }
    let Some(_place) = hub.certificates.take(session.certificate.serial.clone()) else {
        hub.refused(Some(&peer), Some(address), TOO_MANY);
        session.refuse(TOO_MANY).await;
        return;
    };
    if let Err(error) = session.accept(&hub.name, VERSION).await {
        tracing::warn!("{peer} at {address} left: {error}");
        return;
    }
    let purpose = session.hello.purpose;
    let version = &session.hello.version;
    tracing::info!("{peer} connected from {address}, version {version}");
    let connection = session.connection.clone();
    let expires = session
        .certificate
        .expires
        .duration_since(SystemTime::now());
    let served = async {
        match purpose {
            Purpose::Push => {
                hub.agents.fetch_add(1, Ordering::Relaxed);
                let ended = agent::serve(&hub, session).await;
                hub.agents.fetch_sub(1, Ordering::Relaxed);
                ended
            }
            // Others are refused above.
            _ => subscriber::serve(&hub, session).await,
        }
    };
    let ended = tokio::select! {
        ended = served => ended,
        // Whoever has renewed it comes again at once with the new one.
        () = tokio::time::sleep(expires.unwrap_or_default()) => {
            connection.close(CloseCode::Refused.into(), EXPIRED.as_bytes());
            LinkError::Refused(EXPIRED.to_owned())
        }
    };
    // Streams that are still open would go on by themselves: nothing could cut them off any more.
    connection.close(CloseCode::Protocol.into(), ended.to_string().as_bytes());
    tracing::info!("{peer} at {address} disconnected: {ended}");
}

async fn join(hub: &Hub, address: SocketAddr, stranger: JoinSession) {
    let joined = match &hub.trust {
        _ if !stranger.wants_to_join() => {
            stranger
                .refuse("no certificate was shown: only joining is open to those who have none")
                .await;
            Err("no certificate was shown".to_owned())
        }
        Some(trust) => trust.join(stranger, address.ip(), &hub.name, VERSION).await,
        None => {
            stranger.refuse("nobody can join this hub").await;
            Err("nobody can join this hub".to_owned())
        }
    };
    match joined {
        Ok(who) => {
            tracing::info!("{} {} joined from {address}", who.role, who.name);
            if let Some(trust) = &hub.trust {
                let entry = Entry::new(now(), "joined", &format!("{} {}", who.role, who.name));
                trust.audit().note(&entry.from(address));
            }
        }
        Err(reason) => hub.refused(None, Some(address), &reason),
    }
}

/// Why a peer may not do what it says it wants; its role stands in its certificate.
fn refusal(session: &PeerSession) -> Option<&'static str> {
    match (session.hello.purpose, session.certificate.peer.role) {
        (Purpose::Push, Role::Agent) | (Purpose::View, Role::Operator) => None,
        (Purpose::Push, _) => Some("only a certificate of role agent may push rows"),
        (Purpose::View, _) => Some("only a certificate of role operator may view the fleet"),
        (Purpose::Join, _) => Some("whoever has a certificate has joined already"),
        (Purpose::Mirror, _) => Some("a hub shows itself to edges, not to those who ask"),
    }
}
