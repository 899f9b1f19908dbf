//! The connection to the hub: connects, keeps requests open, passes replies on, and connects again.

use std::convert::Infallible;
use std::future::poll_fn;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use sysmon_clock::Random;
use sysmon_link::{Backoff, Connector, HubSession, LinkError, Replies};
use sysmon_wire::Label;
use sysmon_wire::message::{Purpose, Reply};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::subscriptions::Change;

/// Events that wait for the screen; when the queue is full the hub's streams wait, and coalesce.
const QUEUE: usize = 64;

/// A connection that lasted this long resets the back-off.
const STEADY_AFTER: Duration = Duration::from_secs(10);

/// The longest wait before the next attempt: somebody is waiting for it.
const WAIT_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub enum HubEvent {
    Connecting {
        to: String,
    },
    Connected {
        hub: Label,
        /// Milliseconds that this machine's clock is ahead of the hub's.
        clock_offset_ms: i64,
    },
    Lost {
        reason: String,
        retry_in_ms: i64,
    },
    /// A reply to an open request; `None` after the last one.
    Reply {
        serial: u32,
        reply: Option<Reply>,
    },
}

#[derive(Debug)]
struct Closed;

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

#[derive(Debug)]
pub struct ScreenEnd {
    pub events: mpsc::Receiver<HubEvent>,
    pub changes: mpsc::UnboundedSender<Change>,
}

#[derive(Debug)]
pub struct Feeder {
    events: mpsc::Sender<HubEvent>,
    changes: mpsc::UnboundedReceiver<Change>,
}

pub fn channel() -> (ScreenEnd, Feeder) {
    let (events, events_out) = mpsc::channel(QUEUE);
    // Unbounded, but only keys and the clock fill it.
    let (changes, changes_out) = mpsc::unbounded_channel();
    let screen = ScreenEnd {
        events: events_out,
        changes,
    };
    let feeder = Feeder {
        events,
        changes: changes_out,
    };
    (screen, feeder)
}

struct Open {
    serial: u32,
    replies: Replies,
}

impl Feeder {
    /// Serves the screen from the hub at `hub` until the screen is gone. A renewed identity is saved in `identity`.
    pub async fn run(
        mut self,
        connector: &Connector,
        hub: &str,
        identity: Option<&Path>,
        random: &Random,
    ) {
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
            let wait = backoff.next(random.f64());
            let lost = HubEvent::Lost {
                reason: error.to_string(),
                retry_in_ms: wait.as_millis() as i64,
            };
            if self.send(lost).await.is_err() || self.wait(wait).await.is_err() {
                return;
            }
        }
    }

    async fn session(&mut self, connector: &Connector, hub: &str, identity: Option<&Path>) -> End {
        let connecting = HubEvent::Connecting { to: hub.to_owned() };
        if let Err(closed) = self.send(connecting).await {
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

    async fn connected(&mut self, session: &HubSession) -> Result<Infallible, End> {
        self.send(HubEvent::Connected {
            hub: session.hub.clone(),
            clock_offset_ms: session.clock_offset_ms,
        })
        .await?;
        let mut open: Vec<Open> = Vec::new();
        loop {
            tokio::select! {
                (serial, reply) = next(&mut open) => {
                    let reply = reply?;
                    if reply.is_none() {
                        open.retain(|open| open.serial != serial);
                    }
                    self.send(HubEvent::Reply { serial, reply }).await?;
                },
                change = self.changes.recv() => match change.ok_or(Closed)? {
                    Change::Open { serial, request } => {
                        let replies = session.request(&request).await?;
                        open.push(Open { serial, replies });
                    }
                    Change::Close { serial } => open.retain(|open| open.serial != serial),
                    Change::CloseAll => open.clear(),
                },
                error = session.connection.closed() => return Err(LinkError::from(error).into()),
            }
        }
    }

    /// Waits; requests made meanwhile are made again on the next connection.
    async fn wait(&mut self, wait: Duration) -> Result<(), Closed> {
        let sleep = tokio::time::sleep(wait);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                change = self.changes.recv() => drop(change.ok_or(Closed)?),
            }
        }
    }

    async fn send(&self, event: HubEvent) -> Result<(), Closed> {
        self.events.send(event).await.map_err(|_| Closed)
    }
}

/// The next reply to any of the requests, in turn; waits forever if there is none.
async fn next(open: &mut [Open]) -> (u32, Result<Option<Reply>, LinkError>) {
    let reply = poll_fn(|context| {
        let ready = open.iter_mut().enumerate().find_map(|(at, open)| {
            // Dropping the future between two polls loses nothing: `Replies` keeps what it has read.
            match pin!(open.replies.next()).poll(context) {
                Poll::Ready(reply) => Some((at, open.serial, reply)),
                Poll::Pending => None,
            }
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    });
    let (at, serial, reply) = reply.await;
    // A request that always has a reply must not hold up the others.
    open.get_mut(at..).unwrap_or_default().rotate_left(1);
    (serial, reply)
}
