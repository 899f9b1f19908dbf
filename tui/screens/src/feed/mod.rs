//! What the hub tells, as messages for the screen: connects, asks, and connects again.

mod comparison;
mod replies;

use std::path::Path;
use std::time::{Duration, Instant};

use sysmon_link::{Backoff, Connector, HubSession, LinkError, Replies};
use sysmon_wire::message::{Purpose, Reply, Request};
use sysmon_wire::{Label, UnixMs};
use tokio::sync::mpsc;

use crate::state::Feed;
use crate::state::burst::{BURST_INTERVAL_MS, BURST_MS};
use crate::state::compare::Question;
use crate::state::fleet::{CPU, RECEIVED, SPARK_POINTS, SPARK_STEP_MS};
use crate::state::host::WINDOW_MS;
use crate::state::timeline::STEPS;
use crate::update::Effect;
use comparison::Comparison;
pub use replies::{
    of_alerts, of_burst, of_changes, of_fleet, of_host, of_processes, of_timeline, of_top,
};

/// Messages that wait for the screen; when it is full the hub's stream waits, and coalesces.
const QUEUE: usize = 64;

/// A connection that lasted this long begins a new back-off when it is lost.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// The longest wait before the next attempt: somebody is looking.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Processes of that list asked for: at a second each 20 kB at most over a slow line.
pub(crate) const TOP_LIMIT: u16 = 200;

/// Changes asked for: more than anybody goes through.
const CHANGES_MAX: u16 = 200;

/// What is on screen, and so is asked for.
#[derive(Debug, Default)]
struct Wanted {
    at: Option<UnixMs>,
    host: Option<Request>,
    processes: Option<Request>,
    changes: Option<Request>,
    timeline: Option<Request>,
    top: Option<Request>,
    alerts: Option<Request>,
    preview: Option<Request>,
    preview_processes: Option<Request>,
    compare: Option<Question>,
    burst: Option<Request>,
}

impl Wanted {
    fn fleet(&self) -> Request {
        Request::Fleet {
            at: self.at,
            once: false,
            spark_points: SPARK_POINTS,
            spark_step_ms: SPARK_STEP_MS,
            sparks: vec![CPU as u8, RECEIVED as u8],
        }
    }
}

/// The screen is gone.
#[derive(Debug)]
struct Closed;

/// Why a session ended.
enum End {
    Lost(LinkError),
    Closed,
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> Self {
        Self::Lost(error)
    }
}

impl From<Closed> for End {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

/// The screen's end of the connection.
#[derive(Debug)]
pub struct Screen {
    /// What the hub tells.
    pub feed: mpsc::Receiver<Feed>,
    /// What is wanted from it.
    pub effects: mpsc::UnboundedSender<Effect>,
}

/// The hub's end.
#[derive(Debug)]
pub struct Feeder {
    feed: mpsc::Sender<Feed>,
    effects: mpsc::UnboundedReceiver<Effect>,
    wanted: Wanted,
}

/// A screen and a feeder, connected.
pub fn channel() -> (Screen, Feeder) {
    let (feed, feed_out) = mpsc::channel(QUEUE);
    // Unbounded, but only a person's keys fill it.
    let (effects, effects_out) = mpsc::unbounded_channel();
    let screen = Screen {
        feed: feed_out,
        effects,
    };
    let feeder = Feeder {
        feed,
        effects: effects_out,
        wanted: Wanted::default(),
    };
    (screen, feeder)
}

impl Feeder {
    /// Feeds the screen from the hub at `hub` until the screen is gone. `identity` is where the connector's identity
    /// is kept when it has been renewed.
    pub async fn run(mut self, connector: &Connector, hub: &str, identity: Option<&Path>) {
        let mut backoff = Backoff::new(Duration::from_millis(250), WAIT_MAX);
        loop {
            let start = Instant::now();
            let error = match self.session(connector, hub, identity).await {
                End::Closed => return,
                End::Lost(error) => error,
            };
            if start.elapsed() > STEADY_AFTER {
                backoff.reset();
            }
            let wait = backoff.next(fastrand::f64());
            let lost = Feed::Lost {
                reason: error.to_string(),
                retry_in_ms: wait.as_millis() as i64,
            };
            if self.tell(lost).await.is_err() || self.wait(wait).await.is_err() {
                return;
            }
        }
    }

    async fn session(&mut self, connector: &Connector, hub: &str, identity: Option<&Path>) -> End {
        let connecting = Feed::Connecting { to: hub.to_owned() };
        if let Err(closed) = self.tell(connecting).await {
            return closed.into();
        }
        let session = match connector.connect(hub, Purpose::View).await {
            Ok(session) => session,
            Err(error) => return error.into(),
        };
        tokio::select! {
            ended = self.connected(&session) => match ended {
                Ok(never) => match never {},
                Err(end) => end,
            },
            never = connector.renew_periodically(&session.connection, session.clock_offset_ms, identity) => match never {},
        }
    }

    async fn connected(&mut self, session: &HubSession) -> Result<std::convert::Infallible, End> {
        self.tell(Feed::Connected {
            hub: session.hub.clone(),
            version: session.version.clone(),
            clock_offset_ms: session.clock_offset_ms,
        })
        .await?;
        let mut fleet = self.watch_fleet(session).await?;
        let mut host = self.open_host(session).await?;
        let mut processes = ask(session, self.wanted.processes.as_ref()).await?;
        let mut changes = self.ask_changes(session).await?;
        let mut timeline = self.ask_timeline(session).await?;
        // These are asked for again by whoever shows them.
        let (mut preview, mut preview_processes, mut top) = (None, None, None);
        let mut alerts = None;
        let mut compare = Comparison::default();
        // The hub ends a burst when nobody waits for it any more.
        let mut burst = None;
        loop {
            tokio::select! {
                reply = next(&mut fleet) => match reply? {
                    Some(reply) => self.tell_all(of_fleet(reply)).await?,
                    // A moment of the past is told once.
                    None => fleet = None,
                },
                reply = next(&mut host) => match reply? {
                    Some(reply) => self.tell_all(of_host(reply)).await?,
                    None => host = None,
                },
                reply = next(&mut processes) => match reply? {
                    Some(reply) => self.tell_all(of_processes(reply)).await?,
                    None => processes = None,
                },
                reply = next(&mut changes) => match reply? {
                    Some(reply) => self.tell_all(of_changes(reply)).await?,
                    None => changes = None,
                },
                reply = next(&mut timeline) => match reply? {
                    Some(reply) => self.tell_all(of_timeline(reply)).await?,
                    None => timeline = None,
                },
                reply = next(&mut top) => match reply? {
                    Some(reply) => self.tell_all(of_top(reply)).await?,
                    None => top = None,
                },
                reply = next(&mut alerts) => match reply? {
                    Some(reply) => self.tell_all(of_alerts(reply)).await?,
                    None => alerts = None,
                },
                reply = next(&mut preview) => match reply? {
                    Some(reply) => self.tell_all(preview_of(of_host(reply))).await?,
                    None => preview = None,
                },
                reply = next(&mut preview_processes) => match reply? {
                    Some(reply) => self.tell_all(preview_of(of_processes(reply))).await?,
                    None => preview_processes = None,
                },
                reply = compare.next() => {
                    let told = compare.take(reply?);
                    self.tell_all(told).await?;
                },
                reply = next(&mut burst) => match reply? {
                    Some(reply) => self.tell_all(of_burst(reply)).await?,
                    None => burst = None,
                },
                effect = self.effects.recv() => match self.want(effect.ok_or(Closed)?) {
                    Changed::Fleet => fleet = self.watch_fleet(session).await?,
                    Changed::Host => {
                        host = self.open_host(session).await?;
                        processes = ask(session, self.wanted.processes.as_ref()).await?;
                    }
                    Changed::Changes => changes = self.ask_changes(session).await?,
                    Changed::Timeline => timeline = self.ask_timeline(session).await?,
                    Changed::Alerts => alerts = self.ask_alerts(session).await?,
                    Changed::Top => top = self.ask_top(session).await?,
                    Changed::Preview => {
                        preview = ask(session, self.wanted.preview.take().as_ref()).await?;
                        if preview.is_some() {
                            self.tell_all(preview_of(Some(Feed::HostBegin))).await?;
                        }
                        let wanted = self.wanted.preview_processes.take();
                        preview_processes = ask(session, wanted.as_ref()).await?;
                    }
                    Changed::Compare => {
                        let wanted = self.wanted.compare.take();
                        compare = Comparison::ask(session, wanted).await?;
                    }
                    Changed::PreviewProcesses => {
                        let wanted = self.wanted.preview_processes.take();
                        preview_processes = ask(session, wanted.as_ref()).await?;
                    }
                    Changed::Burst => {
                        burst = ask(session, self.wanted.burst.take().as_ref()).await?;
                    }
                    Changed::Nothing => {}
                },
                error = session.connection.closed() => return Err(LinkError::from(error).into()),
            }
        }
    }

    async fn watch_fleet(&mut self, session: &HubSession) -> Result<Option<Replies>, End> {
        let replies = session.request(&self.wanted.fleet()).await?;
        self.tell(Feed::FleetBegin).await?;
        Ok(Some(replies))
    }

    async fn open_host(&mut self, session: &HubSession) -> Result<Option<Replies>, End> {
        let replies = ask(session, self.wanted.host.as_ref()).await?;
        if replies.is_some() {
            self.tell(Feed::HostBegin).await?;
        }
        Ok(replies)
    }

    async fn ask_changes(&mut self, session: &HubSession) -> Result<Option<Replies>, End> {
        let asked = ask(session, self.wanted.changes.as_ref()).await?;
        // It is answered once.
        self.wanted.changes = None;
        Ok(asked)
    }

    async fn ask_timeline(&mut self, session: &HubSession) -> Result<Option<Replies>, End> {
        // It is answered once.
        let wanted = self.wanted.timeline.take();
        Ok(ask(session, wanted.as_ref()).await?)
    }

    async fn ask_top(&mut self, session: &HubSession) -> Result<Option<Replies>, End> {
        let wanted = self.wanted.top.take();
        Ok(ask(session, wanted.as_ref()).await?)
    }

    async fn ask_alerts(&mut self, session: &HubSession) -> Result<Option<Replies>, End> {
        let wanted = self.wanted.alerts.take();
        Ok(ask(session, wanted.as_ref()).await?)
    }

    fn want(&mut self, effect: Effect) -> Changed {
        match effect {
            Effect::WatchFleet { at } => {
                self.wanted.at = at;
                Changed::Fleet
            }
            Effect::OpenHost { name, from, until } => {
                self.wanted.processes = Some(Request::Processes {
                    host: name.clone(),
                    at: until,
                });
                self.wanted.host = Some(Request::Host {
                    host: name,
                    from,
                    until,
                });
                Changed::Host
            }
            Effect::CloseHost => {
                self.wanted.host = None;
                self.wanted.processes = None;
                Changed::Host
            }
            Effect::AskChanges { host, at } => {
                let limit = CHANGES_MAX;
                self.wanted.changes = Some(Request::Changes { host, at, limit });
                Changed::Changes
            }
            Effect::Preview(None) => {
                self.wanted.preview = None;
                self.wanted.preview_processes = None;
                Changed::Preview
            }
            Effect::Preview(Some((host, from, until))) => {
                self.wanted.preview_processes = Some(Request::Processes {
                    host: host.clone(),
                    at: Some(until.unwrap_or(from + WINDOW_MS)),
                });
                self.wanted.preview = Some(Request::Host { host, from, until });
                Changed::Preview
            }
            Effect::PreviewProcesses { host, at } => {
                let at = Some(at);
                self.wanted.preview_processes = Some(Request::Processes { host, at });
                Changed::PreviewProcesses
            }
            Effect::Burst(host) => {
                self.wanted.burst = host.map(|host| Request::Burst {
                    host,
                    interval_ms: BURST_INTERVAL_MS,
                    for_ms: BURST_MS as u32,
                });
                Changed::Burst
            }
            Effect::AskTimeline { host, from, to } => {
                let steps = STEPS;
                self.wanted.timeline = Some(Request::Timeline {
                    host,
                    from,
                    to,
                    steps,
                });
                Changed::Timeline
            }
            Effect::AskAlerts => {
                // What somebody does about them is answered with them.
                self.wanted.alerts.get_or_insert(Request::Alerts);
                Changed::Alerts
            }
            Effect::Acknowledge { host, rule, done } => {
                let rule = Some(rule);
                let note = Label::new("");
                self.wanted.alerts = Some(if done {
                    Request::Acknowledge { host, rule, note }
                } else {
                    Request::Unacknowledge { host, rule }
                });
                Changed::Alerts
            }
            Effect::Compare(question) => {
                self.wanted.compare = Some(question);
                Changed::Compare
            }
            Effect::WatchTop(wanted) => {
                self.wanted.top = wanted.map(|(at, by)| Request::Top {
                    host: None,
                    at,
                    by,
                    limit: TOP_LIMIT,
                });
                Changed::Top
            }
            Effect::Quit
            | Effect::Suspend
            | Effect::Redraw
            | Effect::Copy(_)
            | Effect::Export { .. } => Changed::Nothing,
        }
    }

    /// Waits, and remembers what is wanted meanwhile.
    async fn wait(&mut self, wait: Duration) -> Result<(), Closed> {
        let sleep = tokio::time::sleep(wait);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                effect = self.effects.recv() => {
                    self.want(effect.ok_or(Closed)?);
                }
            }
        }
    }

    async fn tell(&self, feed: Feed) -> Result<(), Closed> {
        self.feed.send(feed).await.map_err(|_| Closed)
    }

    async fn tell_all(&self, feed: Option<Feed>) -> Result<(), Closed> {
        match feed {
            Some(feed) => self.tell(feed).await,
            None => Ok(()),
        }
    }
}

/// What an effect asks the hub anew for.
enum Changed {
    Fleet,
    Host,
    Changes,
    Timeline,
    Top,
    Alerts,
    Preview,
    PreviewProcesses,
    Compare,
    Burst,
    Nothing,
}

fn preview_of(feed: Option<Feed>) -> Option<Feed> {
    feed.map(|feed| Feed::Preview(Box::new(feed)))
}

async fn ask(
    session: &HubSession,
    request: Option<&Request>,
) -> Result<Option<Replies>, LinkError> {
    match request {
        Some(request) => session.request(request).await.map(Some),
        None => Ok(None),
    }
}

/// The next reply of a request; waits for ever where there is no request.
async fn next(replies: &mut Option<Replies>) -> Result<Option<Reply>, LinkError> {
    match replies {
        Some(replies) => replies.next().await,
        None => std::future::pending().await,
    }
}
