//! Telling somebody: the desk, a queue in front of each route, and a thread for each that sends.
//!
//! A receiver that hangs holds up nobody but itself. What waits is kept in a file, so that a restart neither
//! forgets it nor tells it twice.

mod kept;
mod mail;
mod message;
mod queue;
mod route;
mod send;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use sysmon_wire::UnixMs;

use super::desk::{Acknowledged, Desk, Open};
use super::engine::Transition;
use super::silence::{Maintenance, Quiet, Scope, SilenceFile};
pub use kept::Kept;
pub use message::{Message, Told};
pub use queue::Queue;
pub use route::{Route, RouteError};
pub use send::send;

/// Waits between attempts: doubled each time between these.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// What happens within this is told together.
const COLLECT: Duration = Duration::from_millis(50);

/// Time between two messages over one route, in which what happens is collected.
const PAUSE: Duration = Duration::from_secs(5);

/// How often it is looked at whether what was silenced is not any more.
const REVIEW: Duration = Duration::from_secs(1);

/// How long a hub that stops waits for attempts that are under way.
const FINISH_MAX: Duration = Duration::from_secs(3);

/// Something that happened.
#[derive(Debug)]
pub struct News {
    /// What became of alerts.
    pub transitions: Vec<Transition>,
}

/// Who is told, who is not, and where that is kept.
#[derive(Clone, Debug, Default)]
pub struct NotifierOptions {
    /// Where alerts are told.
    pub routes: Vec<Route>,
    /// Where what fires and waits is kept; nowhere if not set.
    pub path: Option<PathBuf>,
    /// Where silences are.
    pub silences: Option<SilenceFile>,
    /// When nobody is told of what.
    pub maintenance: Vec<Maintenance>,
}

/// How a route does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The route, without secrets.
    pub route: String,
    /// Alerts that wait.
    pub waiting: usize,
    /// Alerts that were dropped because too many waited.
    pub dropped: u64,
    /// When something was told over it last, since the hub started.
    pub told: Option<UnixMs>,
    /// Since when every attempt has failed, and why the last one did.
    pub failing: Option<(UnixMs, String)>,
}

/// Tells alerts on threads of its own.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    office: Mutex<Office>,
    changed: Condvar,
    path: Option<PathBuf>,
    /// The version that was written last; held while another is.
    written: Mutex<u64>,
}

#[derive(Debug)]
struct Office {
    desk: Desk,
    quiet: Quiet,
    silences: Option<SilenceFile>,
    silences_written: Option<SystemTime>,
    lanes: Vec<Lane>,
    next_lane: u64,
    version: u64,
    ends: bool,
}

/// A route, what waits for it, and when it is tried again.
#[derive(Debug)]
struct Lane {
    number: u64,
    route: Route,
    queue: Queue,
    is_sending: bool,
    wait: Duration,
    next: Instant,
    health: Health,
}

impl Notifier {
    /// Starts the threads, with what was kept.
    pub fn start(options: NotifierOptions, kept: Kept) -> std::io::Result<Self> {
        let (open, mut queues) = kept.into_parts();
        let mut office = Office {
            desk: Desk::new(open),
            quiet: Quiet {
                silences: Vec::new(),
                maintenance: options.maintenance,
            },
            silences: options.silences,
            silences_written: None,
            lanes: Vec::new(),
            next_lane: 0,
            version: 1,
            ends: false,
        };
        for route in options.routes {
            let queue = queues.remove(&route.id()).unwrap_or_default();
            office.open_lane(route, queue);
        }
        let shared = Arc::new(Shared {
            office: Mutex::new(office),
            changed: Condvar::new(),
            path: options.path,
            written: Mutex::new(0),
        });
        let keeper = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name("alerts".to_owned());
        builder.spawn(move || keeper.keep())?;
        let lanes: Vec<u64> = shared.lock().lanes.iter().map(|lane| lane.number).collect();
        lanes
            .into_iter()
            .try_for_each(|lane| spawn_lane(&shared, lane))?;
        Ok(Self { shared })
    }

    /// Tells news as soon as that can be.
    pub fn tell(&self, news: News) {
        let mut office = self.shared.lock();
        for transition in news.transitions {
            let told = Told::from(transition.clone());
            if told.firing {
                tracing::warn!("{}", told.line());
            } else {
                tracing::info!("{}", told.line());
            }
            let over = office.desk.take(transition);
            over.into_iter().for_each(|told| office.say(&told));
        }
        office.review(now());
        self.shared.changed(office);
    }

    /// Tells over other routes from now on, and leaves out what falls into other windows. What waits for a
    /// route that stays goes on waiting.
    pub fn reroute(&self, routes: Vec<Route>, maintenance: Vec<Maintenance>) {
        let mut office = self.shared.lock();
        office.quiet.maintenance = maintenance;
        let mut new = Vec::new();
        let mut old = std::mem::take(&mut office.lanes);
        for route in routes {
            match old.iter().position(|lane| lane.route == route) {
                Some(at) => office.lanes.push(old.swap_remove(at)),
                None => new.push(office.open_lane(route, Queue::default())),
            }
        }
        office.review(now());
        self.shared.changed(office);
        for lane in new {
            if let Err(error) = spawn_lane(&self.shared, lane) {
                tracing::error!("a route for alerts is not served: {error}");
            }
        }
    }

    /// Somebody takes care of some alerts, or nobody does any more; how many that are.
    pub fn acknowledge(&self, scope: &Scope, acknowledged: Option<&Acknowledged>) -> usize {
        let mut office = self.shared.lock();
        let count = office.desk.acknowledge(scope, acknowledged);
        self.shared.changed(office);
        count
    }

    /// All alerts that fire, with why nobody is told of them.
    pub fn open(&self, now: UnixMs) -> Vec<(Open, Option<String>)> {
        let mut office = self.shared.lock();
        office.read_silences(now);
        let open = office.desk.open().cloned();
        open.map(|open| {
            let reason = office.quiet.reason(&open.alert, now).map(str::to_owned);
            (open, reason)
        })
        .collect()
    }

    /// How the routes do.
    pub fn health(&self) -> Vec<Health> {
        let office = self.shared.lock();
        let health = |lane: &Lane| {
            let (waiting, dropped) = lane.queue.figures();
            Health {
                waiting,
                dropped,
                ..lane.health.clone()
            }
        };
        office.lanes.iter().map(health).collect()
    }

    /// Waits for attempts that are under way, and keeps what is to be kept.
    pub fn finish(&self) {
        let end = Instant::now() + FINISH_MAX;
        let mut office = self.shared.lock();
        office.ends = true;
        self.shared.changed.notify_all();
        while office.lanes.iter().any(|lane| lane.is_sending) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            office = self.shared.wait(office, left);
        }
        self.shared.save(office);
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.changed.notify_all();
    }
}

fn spawn_lane(shared: &Arc<Shared>, number: u64) -> std::io::Result<()> {
    let shared = Arc::clone(shared);
    let builder = std::thread::Builder::new().name("alert route".to_owned());
    builder.spawn(move || shared.serve(number)).map(drop)
}

fn now() -> UnixMs {
    UnixMs::from_system(SystemTime::now())
}

impl Office {
    fn open_lane(&mut self, route: Route, queue: Queue) -> u64 {
        let number = self.next_lane;
        self.next_lane += 1;
        self.lanes.push(Lane {
            number,
            queue,
            is_sending: false,
            wait: RETRY.0,
            next: Instant::now(),
            health: Health {
                route: route.to_string(),
                ..Health::default()
            },
            route,
        });
        number
    }

    /// Has every route tell something that takes it.
    fn say(&mut self, told: &Told) {
        let takes = |lane: &&mut Lane| lane.route.takes(told.alert.severity);
        for lane in self.lanes.iter_mut().filter(takes) {
            if lane.queue.figures().0 == 0 {
                lane.next = lane.next.max(Instant::now() + COLLECT);
            }
            lane.queue.add(told.clone());
        }
    }

    /// Tells what fires and is not silenced.
    fn review(&mut self, now: UnixMs) {
        if !self.desk.has_untold() {
            return;
        }
        self.read_silences(now);
        let told = self.desk.review(&self.quiet, now);
        if !told.is_empty() {
            self.version += 1;
        }
        told.iter().for_each(|told| self.say(told));
    }

    /// Reads the silences, if they were written since.
    fn read_silences(&mut self, now: UnixMs) {
        let Some(file) = &self.silences else { return };
        let written = file.written();
        if written == self.silences_written {
            return;
        }
        match file.read(now) {
            Ok(silences) => self.quiet.silences = silences,
            // What was silenced before stays so.
            Err(error) => tracing::warn!("silences cannot be read: {error}"),
        }
        self.silences_written = written;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Office> {
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        office: MutexGuard<'a, Office>,
        at_most: Duration,
    ) -> MutexGuard<'a, Office> {
        let waited = self.changed.wait_timeout(office, at_most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Something is another: the threads look at it.
    fn changed(&self, mut office: MutexGuard<'_, Office>) {
        office.version += 1;
        drop(office);
        self.changed.notify_all();
    }

    /// Writes what is to be kept, if that was not written yet.
    fn save(&self, office: MutexGuard<'_, Office>) {
        let Some(path) = &self.path else { return };
        let version = office.version;
        let queues = office
            .lanes
            .iter()
            .map(|lane| (lane.route.id(), &lane.queue));
        let text = Kept::to_text(office.desk.open(), queues);
        drop(office);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written < version {
            kept::write(path, &text);
            *written = version;
        }
    }

    /// The keeper's thread: keeps what changed, and looks whether silences are over.
    fn keep(&self) {
        let mut saved = 0;
        loop {
            let mut office = self.lock();
            if office.ends {
                return;
            }
            if office.version == saved {
                let pause = match office.desk.has_untold() {
                    true => REVIEW,
                    false => Duration::from_secs(3600),
                };
                office = self.wait(office, pause);
            }
            let before = office.version;
            office.review(now());
            if office.version != before {
                self.changed.notify_all();
            }
            if office.version != saved {
                saved = office.version;
                self.save(office);
            }
        }
    }

    /// The thread of one route: sends what waits for it.
    fn serve(&self, number: u64) {
        let find = |office: &mut Office| office.lanes.iter().position(|lane| lane.number == number);
        let mut office = self.lock();
        loop {
            let at = find(&mut office).filter(|_| !office.ends);
            let Some(lane) = at.and_then(|at| office.lanes.get_mut(at)) else {
                return;
            };
            let left = lane.next.saturating_duration_since(Instant::now());
            if lane.queue.figures().0 == 0 || !left.is_zero() {
                let pause = match lane.queue.figures().0 {
                    0 => Duration::from_secs(3600),
                    _ => left,
                };
                office = self.wait(office, pause);
                continue;
            }
            let Some(message) = lane.queue.send() else {
                continue;
            };
            lane.is_sending = true;
            let route = lane.route.clone();
            drop(office);
            let sent = send(&route, &message);
            office = self.lock();
            if let Some(lane) = find(&mut office).and_then(|at| office.lanes.get_mut(at)) {
                lane.take_result(sent, now());
            }
            self.changed(office);
            office = self.lock();
        }
    }
}

impl Lane {
    fn take_result(&mut self, sent: Result<(), String>, now: UnixMs) {
        self.is_sending = false;
        match sent {
            Ok(()) => {
                self.queue.arrived();
                self.wait = RETRY.0;
                self.next = Instant::now() + PAUSE;
                self.health.told = Some(now);
                self.health.failing = None;
            }
            Err(why) => {
                self.queue.failed();
                tracing::warn!("{} was not told: {why}; trying again", self.route);
                self.next = Instant::now() + self.wait;
                self.wait = (self.wait * 2).min(RETRY.1);
                let since = self
                    .health
                    .failing
                    .as_ref()
                    .map_or(now, |(since, _)| *since);
                self.health.failing = Some((since, why));
            }
        }
    }
}
