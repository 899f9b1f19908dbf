//! The shell of the hub: its state under a lock, its socket and its tasks.

mod access;
mod agent;
mod alerts;
mod baselines;
mod beyond;
mod budget;
mod certificates;
mod connection;
mod demand;
mod exports;
mod gauge;
mod heartbeat;
mod history;
mod incomplete;
mod limits;
mod listen;
mod live;
mod metrics;
mod options;
#[cfg(feature = "otlp")]
mod otlp;
mod persistence;
mod relay;
mod requests;
mod self_monitoring;
mod silences;
mod subscriber;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use sysmon_alerts::notify::Notifier;
use sysmon_alerts::silence::MaintenanceWindow;
use sysmon_certs::{Peer, PeerName};
use sysmon_clock::{Clock, Random};
use sysmon_link::Slots;
use sysmon_store::worker::Worker;
use sysmon_wire::limits::LIMITS_MAX;
use sysmon_wire::message::{EdgeState, HostLimit, HubStatus, MaintenanceState};
use sysmon_wire::{Label, UnixMs};
use tokio::sync::{Semaphore, watch};

use crate::VERSION;
use crate::audit::Entry;
use crate::core::Core;
use crate::lock;
use access::AccessControl;
pub use access::AccessOptions;
use beyond::Beyond;
use budget::RowBudgets;
use demand::Demand;
use exports::Exports;
pub use exports::{ExportError, ExportOptions, ExportSettingError, ExportState};
use gauge::Gauge;
use history::Readers;
pub use listen::{BoundHub, Ended};
use live::LiveAgents;
pub use metrics::{MetricsError, MetricsOptions};
pub use options::{AlertOptions, HistoryOptions, HubOptions, StartError};
pub use persistence::open as open_history;
pub use relay::{EdgeOptions, Share};

#[derive(Debug)]
pub struct Hub {
    name: String,
    clock: Clock,
    random: Random,
    started: Instant,
    core: Mutex<Core>,
    /// The fleet's generation, for tasks that wait for the next.
    changed: watch::Sender<u64>,
    demand: Demand,
    access: Option<AccessControl>,
    notifier: Notifier,
    edges: watch::Sender<EdgeOptions>,
    /// Edges, each with why there is no connection; none if there is one.
    edge_errors: Mutex<BTreeMap<String, Option<String>>>,
    history: Option<Mutex<Worker>>,
    readers: Arc<Readers>,
    paging: Arc<Semaphore>,
    /// The generation up to which rows are durable.
    durable: watch::Receiver<u64>,
    /// Feeds `durable` where there is no history: then every row is as durable as it gets.
    durable_at_once: watch::Sender<u64>,
    certificates: Arc<Slots<String>>,
    budgets: RowBudgets,
    #[cfg(feature = "otlp")]
    otlp: otlp::Otlp,
    subscribers: Gauge,
    agents: Gauge,
    live: LiveAgents,
    exports: Exports,
    beyond: Beyond,
    refused: AtomicU64,
    /// Where peers send their datagrams to.
    port: Option<u16>,
}

impl Hub {
    /// Locks the core. Hold it for a moment only, never across an await; change it with [`Hub::update`].
    pub fn core(&self) -> MutexGuard<'_, Core> {
        lock(&self.core)
    }

    /// Changes the core; then wakes the tasks that wait for changes and sends notifications.
    pub fn update<T>(&self, change: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.core();
        let result = change(&mut core);
        let (generation, transitions) = (core.fleet.generation(), core.take_transitions());
        drop(core);
        self.changed
            .send_if_modified(|known| std::mem::replace(known, generation) != generation);
        if !transitions.is_empty() {
            self.notifier.apply(transitions);
        }
        result
    }

    /// Applies changes of tokens, certificates and silences in the state directory now rather than at the next review.
    pub fn review_access(&self) {
        if let Some(access) = &self.access {
            access.review();
        }
        self.review_edges();
        self.review_revoked();
    }

    /// Connects to edges that were paired since the last call, and leaves those that were removed.
    fn review_edges(&self) {
        if let Some(paired) = self.access.as_ref().and_then(AccessControl::changed_edges) {
            self.edges.send_if_modified(|edges| {
                std::mem::replace(&mut edges.paired, paired.clone()) != paired
            });
        }
    }

    /// Forgets a host that is not live, with its history.
    pub fn forget_host(&self, name: &str) -> bool {
        if let Some(access) = &self.access {
            access.close_agent(name);
        }
        self.update(|core| core.forget(name))
    }

    /// Gives a host that is not live another name, under which its history and its alerts go on. False if there is no
    /// such host.
    pub fn rename_host(&self, from: &str, to: &PeerName) -> bool {
        if let Some(access) = &self.access {
            access.close_agent(from);
        }
        self.update(|core| {
            let is_renamed = core.rename(from, &Label::new(to.as_str()));
            if is_renamed {
                // While the core is locked, so that no transition comes between.
                self.notifier.rename_host(from, to.as_str());
            }
            is_renamed
        })
    }

    /// Forgets hosts of which nothing is stored any more.
    fn forget_gone(&self) {
        let gone = self
            .core()
            .gone_hosts(self.emptied_hosts().as_deref(), self.now());
        for name in gone {
            tracing::info!(host = %name, "host forgotten: its history is past the retention");
            self.forget_host(name.as_str());
        }
    }

    /// Passes on which hosts are silent because their certificates are revoked.
    fn review_revoked(&self) {
        let Some(access) = &self.access else { return };
        match access.registered_agents() {
            Ok(agents) => self.update(|core| core.set_revoked(&agents)),
            Err(error) => tracing::error!(%error, "cannot read the register of certificates"),
        }
    }

    fn now(&self) -> UnixMs {
        self.clock.now()
    }

    /// Applies those of other options that a running hub can: limits, rules, routes, edges, and the validity of
    /// certificates that it issues from now on.
    pub fn reload(self: &Arc<Self>, options: HubOptions) {
        self.update(|core| {
            core.fleet.set_options(options.fleet, self.now());
            core.replace_rules(options.alerts.rules);
        });
        self.set_history_limits(options.history.map(|history| history.limits));
        let notifier = options.alerts.notifier;
        self.notifier
            .reconfigure(notifier.routes, notifier.maintenance);
        if let (Some(access), Some(options)) = (&self.access, options.access) {
            access.days.store(options.days, Ordering::Relaxed);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.set_exports(options.exports, &runtime);
        }
        self.edges.send_if_modified(|edges| {
            let new = EdgeOptions {
                paired: std::mem::take(&mut edges.paired),
                ..options.edges
            };
            std::mem::replace(edges, new.clone()) != new
        });
    }

    pub fn status(&self) -> HubStatus {
        // Locked before the core: a thread that holds the history may wait for the core, never the reverse.
        let (history_bytes, _) = self.history_figures();
        let limits = self.limits();
        let exports = self.exports().iter().map(ExportState::line).collect();
        let core = self.core();
        let (rows, values) = core.fleet.totals();
        let (ring_bytes, ring_values) = core.fleet.ring_size();
        HubStatus {
            name: Label::new(&self.name),
            version: Label::new(VERSION),
            now: self.now(),
            uptime_ms: self.uptime_ms(),
            ingest_rows_total: rows,
            ingest_values_total: values,
            ring_bytes,
            ring_values,
            history_bytes,
            subscribers: self.subscribers.get(),
            refused_total: self.refused.load(Ordering::Relaxed),
            limits,
            edges: self.edge_states(),
            exports,
            maintenance: self.maintenance(),
        }
    }

    fn edge_states(&self) -> Vec<EdgeState> {
        let states = lock(&self.edge_errors);
        let state = |(address, error): (&String, &Option<String>)| EdgeState {
            address: Label::new(address),
            error: error.as_deref().map(Label::new),
        };
        states.iter().take(LIMITS_MAX).map(state).collect()
    }

    fn maintenance(&self) -> Vec<MaintenanceState> {
        let (windows, now) = (self.notifier.maintenance(), self.now());
        let state = |window: &MaintenanceWindow| MaintenanceState {
            window: Label::new(&window.to_string()),
            is_open: window.is_open(now),
        };
        windows.iter().take(LIMITS_MAX).map(state).collect()
    }

    /// The hub's own limits, and those of hosts that were reached: the reached ones first.
    fn limits(&self) -> Vec<HostLimit> {
        let mut limits = self.enforced_limits();
        limits.extend(self.core().fleet.reported_limits());
        limits.sort_by_key(|limit| (limit.host.is_some(), !limit.state.is_reached()));
        limits.truncate(LIMITS_MAX);
        limits
    }

    /// The limits that the hub enforces; those of a host once they were reached.
    fn enforced_limits(&self) -> Vec<HostLimit> {
        self.core().fleet.limits()
    }

    fn uptime_ms(&self) -> u64 {
        (self.clock.instant() - self.started).as_millis() as u64
    }

    fn audit_refusal(&self, peer: Option<&Peer>, from: Option<SocketAddr>, reason: &str) {
        self.count_refusal();
        let peer = peer.map(ToString::to_string).unwrap_or_default();
        let entry = Entry::new(self.now(), "refused", &peer).what(reason);
        let entry = match from {
            Some(address) => entry.from(address),
            None => entry,
        };
        match &self.access {
            Some(access) => access.audit.refused(entry, self.clock.instant()),
            None => tracing::warn!(peer = %entry.who, from = %entry.from, reason, "refused"),
        }
    }

    /// Notes what an operator did; nowhere in a hub without a state directory.
    fn audit(&self, event: &str, who: &str, what: &str) {
        if let Some(access) = &self.access {
            let entry = Entry::new(self.now(), event, &who).what(what);
            access.audit.note(&entry);
        }
    }

    fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}
