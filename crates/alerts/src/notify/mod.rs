//! Notifications: the firing alerts, a delivery queue for each route, and a thread that sends each queue.
//!
//! A receiver that hangs delays no other. Alerts and queues are in a state file, so that a restart neither loses a
//! notification nor repeats one that was delivered.

mod capacity;
mod delivery;
mod error;
mod lines;
#[cfg_attr(not(feature = "mail"), path = "no_mail.rs")]
mod mail;
mod notification;
mod queue;
mod receivers;
mod route;
mod send;
mod state_file;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sysmon_clock::Clock;
use sysmon_wire::UnixMs;
use sysmon_wire::alerts::Acknowledgement;

use crate::active::{ActiveAlert, ActiveAlerts, AlertMarks};
use crate::silence::{
    self, MaintenanceWindow, NewSilence, Scope, Silence, SilenceError, SilenceFile, Suppressions,
};
use crate::{Alert, Transition};
use delivery::Delivery;
pub use delivery::RouteHealth;
pub use error::SendError;
pub use notification::Notification;
use queue::DeliveryQueue;
pub use route::{Route, RouteError};
pub use send::send;
pub use state_file::NotifierState;

/// Time between two checks whether a silence of a pending alert has ended.
const SILENCE_POLL: Duration = Duration::from_secs(1);

/// Longest wait of a thread that has nothing to do.
const IDLE: Duration = Duration::from_secs(3600);

/// How long a stopping hub waits for attempts under way.
const FINISH_MAX: Duration = Duration::from_secs(3);

/// Where notifications are sent, what suppresses them, and where their state is stored.
#[derive(Clone, Debug, Default)]
pub struct NotifierOptions {
    /// Where notifications are sent.
    pub routes: Vec<Route>,
    /// The state file; without one, nothing survives a restart.
    pub path: Option<PathBuf>,
    /// The file with the silences.
    pub silences: Option<SilenceFile>,
    /// Recurring silences.
    pub maintenance: Vec<MaintenanceWindow>,
}

/// Sends notifications on threads of its own.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
    path: Option<PathBuf>,
    /// Version of the state that was written last; locked while one is written.
    written: Mutex<u64>,
}

#[derive(Debug)]
struct State {
    active: ActiveAlerts,
    suppressions: Suppressions,
    silences: Option<SilenceFile>,
    silences_modified: Option<SystemTime>,
    deliveries: Vec<Delivery>,
    next_id: u64,
    /// Rises with every change that the state file has to follow.
    version: u64,
    is_stopping: bool,
}

impl Notifier {
    /// Starts the threads, with the state from before a restart.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(
        options: NotifierOptions,
        restored: NotifierState,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (active, mut queues) = restored.into_parts();
        let mut state = State {
            active: ActiveAlerts::new(active),
            suppressions: Suppressions {
                silences: Vec::new(),
                maintenance: options.maintenance,
            },
            silences: options.silences,
            silences_modified: None,
            deliveries: Vec::new(),
            next_id: 0,
            version: 1,
            is_stopping: false,
        };
        for route in options.routes {
            let queue = queues.remove(&route.id).unwrap_or_default();
            state.add_delivery(route, queue, &clock);
        }
        let ids: Vec<u64> = state.deliveries.iter().map(|one| one.id).collect();
        let shared = Arc::new(Shared {
            clock,
            state: Mutex::new(state),
            changed: Condvar::new(),
            path: options.path,
            written: Mutex::new(0),
        });
        let keeper = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("alerts".to_owned());
        builder.spawn(move || keeper.keep_state_file())?;
        ids.into_iter()
            .try_for_each(|id| spawn_delivery(&shared, id))?;
        Ok(Self { shared })
    }

    /// Applies transitions, and queues the notifications that are due.
    pub fn apply(&self, transitions: Vec<Transition>) {
        let mut state = self.shared.lock();
        for transition in transitions {
            log(&transition);
            if let Some(resolved) = state.active.apply(transition) {
                state.queue(&resolved, &self.shared.clock);
            }
        }
        state.queue_due(&self.shared.clock);
        self.shared.changed(state);
    }

    /// Replaces routes and maintenance windows. A route that stays keeps its queue.
    pub fn reconfigure(&self, routes: Vec<Route>, maintenance: Vec<MaintenanceWindow>) {
        let mut state = self.shared.lock();
        state.suppressions.maintenance = maintenance;
        let mut new = Vec::new();
        let mut old = std::mem::take(&mut state.deliveries);
        for route in routes {
            match old.iter().position(|delivery| delivery.route == route) {
                Some(at) => state.deliveries.push(old.swap_remove(at)),
                None => {
                    let queue = DeliveryQueue::default();
                    new.push(state.add_delivery(route, queue, &self.shared.clock));
                }
            }
        }
        state.queue_due(&self.shared.clock);
        self.shared.changed(state);
        for id in new {
            if let Err(error) = spawn_delivery(&self.shared, id) {
                tracing::error!(%error, "cannot start the thread of a notification route");
            }
        }
    }

    /// Acknowledges the alerts in `scope`, or withdraws that with none; returns how many alerts that changes.
    pub fn acknowledge(&self, scope: &Scope, acknowledgement: Option<&Acknowledgement>) -> usize {
        let mut state = self.shared.lock();
        let count = state.active.acknowledge(scope, acknowledgement);
        self.shared.changed(state);
        count
    }

    /// Adds a silence, which takes effect at once.
    ///
    /// # Errors
    /// The silence is refused, or its file cannot be written.
    pub fn silence(&self, new: NewSilence) -> Result<Silence, SilenceError> {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        let silence = match state.silences.clone() {
            Some(file) => {
                let (silence, all) = file.add(new, now)?;
                state.set_silences(&file, all);
                silence
            }
            None => silence::add(&mut state.suppressions.silences, new, now)?,
        };
        self.shared.changed(state);
        Ok(silence)
    }

    /// Ends a silence before its time; alerts that are still firing are notified.
    ///
    /// # Errors
    /// There is no such silence, or the file cannot be written.
    pub fn end_silence(&self, id: &str) -> Result<Silence, SilenceError> {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        let silence = match state.silences.clone() {
            Some(file) => {
                let (silence, all) = file.end(id, now)?;
                state.set_silences(&file, all);
                silence
            }
            None => silence::end(&mut state.suppressions.silences, id)?,
        };
        state.queue_due(&self.shared.clock);
        self.shared.changed(state);
        Ok(silence)
    }

    /// The silences that have not ended at `now`.
    pub fn silences(&self, now: UnixMs) -> Vec<Silence> {
        let mut state = self.shared.lock();
        state.read_silences(now);
        let silences = state.suppressions.silences.iter();
        let open = silences.filter(|silence| silence.until > now);
        open.cloned().collect()
    }

    /// What operators did about the firing alerts.
    pub fn marks(&self, now: UnixMs) -> AlertMarks {
        let mut state = self.shared.lock();
        state.read_silences(now);
        state.active.marks(&state.suppressions, now)
    }

    /// A host is called otherwise from now on; its alerts go on, with who acknowledged them.
    pub fn rename_host(&self, from: &str, to: &str) {
        let mut state = self.shared.lock();
        let known = state.active.iter().filter(|active| active.notified);
        let alerts = known.map(|active| active.alert.clone());
        let alerts: Vec<Alert> = alerts.filter(|alert| alert.host == from).collect();
        let now = self.shared.clock.instant();
        let deliveries = state.deliveries.iter_mut();
        deliveries.for_each(|delivery| delivery.rename_host(&alerts, to, now));
        state.active.rename_host(from, to);
        self.shared.changed(state);
    }

    /// All firing alerts, each with the reason for which it is silenced.
    pub fn active(&self, now: UnixMs) -> Vec<(ActiveAlert, Option<String>)> {
        let mut state = self.shared.lock();
        state.read_silences(now);
        let active = state.active.iter().cloned();
        active
            .map(|active| {
                let reason = state.suppressions.reason(&active.alert, now);
                let reason = reason.map(str::to_owned);
                (active, reason)
            })
            .collect()
    }

    /// The maintenance windows.
    pub fn maintenance(&self) -> Vec<MaintenanceWindow> {
        self.shared.lock().suppressions.maintenance.clone()
    }

    /// The state of each route.
    pub fn health(&self) -> Vec<RouteHealth> {
        let state = self.shared.lock();
        state.deliveries.iter().map(Delivery::health).collect()
    }

    /// Stops the threads, waits for attempts under way, and writes the state file.
    pub fn finish(&self) {
        let end = self.shared.clock.instant() + FINISH_MAX;
        let mut state = self.shared.lock();
        state.is_stopping = true;
        self.shared.changed.notify_all();
        while state.deliveries.iter().any(|one| one.is_sending) {
            let left = end.saturating_duration_since(self.shared.clock.instant());
            if left.is_zero() {
                break;
            }
            state = self.shared.wait(state, left);
        }
        self.shared.save(state);
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shared.lock().is_stopping = true;
        self.shared.changed.notify_all();
    }
}

fn log(Transition { alert, firing }: &Transition) {
    let (host, rule, summary) = (&alert.host, &alert.rule, &alert.summary);
    let severity = alert.severity.as_str();
    if *firing {
        tracing::warn!(%host, %rule, severity, %summary, "alert firing");
    } else {
        tracing::info!(%host, %rule, severity, %summary, "alert resolved");
    }
}

fn spawn_delivery(shared: &Arc<Shared>, id: u64) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    let builder = std::thread::Builder::new().name("alert route".to_owned());
    builder.spawn(move || shared.deliver(id)).map(drop)
}

impl State {
    fn add_delivery(&mut self, route: Route, queue: DeliveryQueue, clock: &Clock) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.deliveries
            .push(Delivery::new(id, route, queue, clock.instant()));
        id
    }

    fn delivery(&mut self, id: u64) -> Option<&mut Delivery> {
        self.deliveries
            .iter_mut()
            .find(|delivery| delivery.id == id)
    }

    /// Begins the attempt of a route that is due: all that fires where the receiver forgets it, else its queue.
    fn start(&mut self, id: u64, now: Instant) -> Option<Notification> {
        let mut deliveries = self.deliveries.iter_mut();
        let delivery = deliveries.find(|delivery| delivery.id == id)?;
        if delivery.is_repeat_due(now) {
            let known = self.active.iter().filter(|active| active.notified);
            let known = known.filter(|active| delivery.route.accepts(active.alert.severity));
            let firing = known.map(|active| Transition::fired(active.alert.clone()));
            let repeated = delivery.repeat(firing.collect(), now);
            if repeated.is_some() {
                return repeated;
            }
        }
        delivery.start()
    }

    /// Adds a transition to the queue of each route that accepts it.
    fn queue(&mut self, transition: &Transition, clock: &Clock) {
        let severity = transition.alert.severity;
        let now = clock.instant();
        for delivery in &mut self.deliveries {
            if delivery.route.accepts(severity) {
                delivery.add(transition.clone(), now);
            }
        }
    }

    /// Queues pending alerts that nothing suppresses.
    fn queue_due(&mut self, clock: &Clock) {
        if !self.active.has_pending() {
            return;
        }
        let now = clock.now();
        self.read_silences(now);
        let due = self.active.due(&self.suppressions, now);
        if !due.is_empty() {
            self.version += 1;
        }
        due.iter().for_each(|one| self.queue(one, clock));
    }

    /// What is in the file from now on, which nobody else wrote meanwhile.
    fn set_silences(&mut self, file: &SilenceFile, silences: Vec<Silence>) {
        self.suppressions.silences = silences;
        self.silences_modified = file.modified();
    }

    /// Reads the silences if their file was modified.
    fn read_silences(&mut self, now: UnixMs) {
        let Some(file) = &self.silences else { return };
        let modified = file.modified();
        if modified == self.silences_modified {
            return;
        }
        match file.read(now) {
            Ok(silences) => self.suppressions.silences = silences,
            // The silences read before stay in force.
            Err(error) => tracing::warn!(%error, "cannot read the silences"),
        }
        self.silences_modified = modified;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, at_most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ends a change: the threads wake up, and the state file follows.
    fn changed(&self, mut state: MutexGuard<'_, State>) {
        state.version += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Writes the state file, unless a newer version was written.
    fn save(&self, state: MutexGuard<'_, State>) {
        let Some(path) = &self.path else { return };
        let version = state.version;
        let queues = state
            .deliveries
            .iter()
            .map(|delivery| (delivery.route.id, &delivery.queue));
        let text = NotifierState::to_text(state.active.iter(), queues);
        drop(state);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written < version {
            state_file::write(path, &text);
            *written = version;
        }
    }

    /// Thread that writes the state file, and queues alerts whose silence has ended.
    fn keep_state_file(&self) {
        let mut saved = 0;
        loop {
            let mut state = self.lock();
            if state.is_stopping {
                return;
            }
            if state.version == saved {
                let pause = match state.active.has_pending() {
                    true => SILENCE_POLL,
                    false => IDLE,
                };
                state = self.wait(state, pause);
            }
            let before = state.version;
            state.queue_due(&self.clock);
            if state.version != before {
                self.changed.notify_all();
            }
            if state.version != saved {
                saved = state.version;
                self.save(state);
                // Under the lock, so that a test that waits for the file does not miss it.
                let _state = self.lock();
                self.changed.notify_all();
            }
        }
    }

    /// Thread that sends the queue of one route.
    fn deliver(&self, id: u64) {
        let mut state = self.lock();
        loop {
            if state.is_stopping {
                return;
            }
            let Some(delivery) = state.delivery(id) else {
                return;
            };
            let wait = delivery.wait(self.clock.instant());
            if wait != Some(Duration::ZERO) {
                state = self.wait(state, wait.unwrap_or(IDLE));
                continue;
            }
            let route = delivery.route.clone();
            let Some(notification) = state.start(id, self.clock.instant()) else {
                continue;
            };
            drop(state);
            let sent = send(&route, &notification, self.clock.now());
            state = self.lock();
            if let Some(delivery) = state.delivery(id) {
                delivery.finish(sent, self.clock.now(), self.clock.instant());
            }
            self.changed(state);
            state = self.lock();
        }
    }
}
