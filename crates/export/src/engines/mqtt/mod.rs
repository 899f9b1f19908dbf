//! MQTT with Home Assistant's discovery: a device for each host, its values as retained JSON.

mod session;
mod topics;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sysmon_wire::message::HostState;
use sysmon_wire::{Label, UnixMs};
use tokio::time::Instant;

use super::address::{Address, Scheme};
use super::stream::{Dialer, Waiter};
use super::values::{Texts, present_values};
use super::{DestinationError, prefix, refuse_unused};
use crate::destination::{DestinationOptions, Secret};
use crate::{Batch, Engine, EngineError, HostNow, Present, Sent};
use session::{Introduction, Message, Session};
use topics::{Topics, topic_name};

const INTERVAL: Duration = Duration::from_secs(10);

/// The broker counts the hub as gone after one and a half times this.
const KEEP_ALIVE_MIN: Duration = Duration::from_secs(60);

/// Hosts whose messages are made at once.
const CHUNK: usize = 100;

/// Time for one round; what remains is first in the next.
const ROUND_MAX: Duration = Duration::from_secs(10);

const SCHEMES: [Scheme; 2] = [
    Scheme {
        name: "mqtt",
        port: 1883,
        is_tls: false,
    },
    Scheme {
        name: "mqtts",
        port: 8883,
        is_tls: true,
    },
];

/// A client.
pub struct Mqtt {
    waiter: Waiter,
    client: Client,
    interval: Duration,
}

impl std::fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mqtt").finish_non_exhaustive()
    }
}

/// What the broker has of a host.
#[derive(Debug)]
struct Written {
    /// Its name in topics.
    name: String,
    state: HostState,
    time: UnixMs,
    /// The values that Home Assistant knows of, a bit each.
    sensors: u32,
    /// The round in which the host was last among those of the hub.
    seen: u32,
}

struct Client {
    dialer: Dialer,
    address: Address,
    login: Option<(String, Secret)>,
    topics: Topics,
    keep_alive: Duration,
    session: Option<Session>,
    /// Tells this hub from others.
    id: String,
    /// Hosts of which the broker has something, by their names in topics, since the last look.
    known: Vec<String>,
    written: HashMap<Label, Written>,
    round: u32,
    /// The host to begin with, where a round ended early.
    first: usize,
    texts: Texts,
}

impl Mqtt {
    /// A client for a destination.
    ///
    /// # Errors
    /// A setting is wrong, or a file cannot be read.
    pub fn new(options: &DestinationOptions) -> Result<Self, DestinationError> {
        refuse_unused(options)?;
        let setting = |text: &str| DestinationError::Setting(text.to_owned());
        let mut address = Address::of(options, &SCHEMES)?;
        if !address.path.is_empty() || address.servers.len() > 1 {
            return Err(setting(
                "url: it has to end with one host and port; topics begin with prefix",
            ));
        }
        let discovery = match options.options.get("discovery").map(String::as_str) {
            None | Some("true") => Some("homeassistant".to_owned()),
            Some("false") => None,
            Some(prefix) if prefix.contains(['+', '#', ' ']) || prefix.is_empty() => {
                return Err(setting(
                    "discovery: give Home Assistant's prefix such as homeassistant, or false",
                ));
            }
            Some(prefix) => Some(prefix.to_owned()),
        };
        let interval = options.every.unwrap_or(INTERVAL);
        let of_url = address.login.take();
        Ok(Self {
            waiter: Waiter::default(),
            client: Client {
                dialer: Dialer::new(options, address.is_tls, b"")?,
                address,
                login: options.login.clone().or(of_url),
                topics: Topics::new(prefix(options, "+#$")?, discovery),
                keep_alive: KEEP_ALIVE_MIN.max(interval * 3),
                session: None,
                id: String::new(),
                known: Vec::new(),
                written: HashMap::new(),
                round: 0,
                first: 0,
                texts: Texts::default(),
            },
            interval,
        })
    }
}

impl Engine for Mqtt {
    fn batch_cells(&self) -> usize {
        0
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn wants_past(&self) -> bool {
        false
    }

    fn send(&mut self, _batch: &Batch<'_>) -> Result<Sent, EngineError> {
        Ok(Sent::default())
    }

    fn send_present(&mut self, present: &Present<'_>) -> Result<Sent, EngineError> {
        self.waiter.wait(self.client.write(present))
    }

    fn test(&mut self) -> Result<String, EngineError> {
        self.waiter.wait(self.client.test())
    }
}

impl Client {
    async fn open(&self, id: &str, will: Option<String>) -> Result<Session, EngineError> {
        let no_address = || EngineError::unavailable("no address");
        let server = self.address.servers.first().ok_or_else(no_address)?;
        let stream = self.dialer.dial(server).await?;
        let introduction = Introduction {
            id: id.to_owned(),
            login: self.login.clone(),
            keep_alive: self.keep_alive,
            will,
        };
        Session::begin(stream, &introduction).await
    }

    /// Makes what the broker has of hosts equal to the present. The session is lost with an error, and then begins anew.
    async fn write(&mut self, present: &Present<'_>) -> Result<Sent, EngineError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.begin(present.created).await?,
        };
        self.receive(session.take_received())?;
        self.round = self.round.wrapping_add(1);
        let changed = self.changed(present.hosts);
        // Something is published each time, so that a connection that is gone shows.
        let mut messages = vec![Message::retained(self.topics.hub_availability(), "online")];
        let (start, mut sent) = (Instant::now(), Sent::default());
        for (at, chunk) in changed.chunks(CHUNK).enumerate() {
            if start.elapsed() > ROUND_MAX {
                self.first = changed.get(at * CHUNK).copied().unwrap_or_default();
                break;
            }
            let hosts = || chunk.iter().filter_map(|at| present.hosts.get(*at));
            for host in hosts() {
                self.plan_host(host, &mut messages);
            }
            sent.bytes += bytes(&messages);
            session.publish(std::mem::take(&mut messages)).await?;
            for host in hosts() {
                sent.samples += u64::from(present_values(host).count_ones());
                self.note(host);
            }
        }
        // What the broker has of others is known to be forgotten once all hosts of the hub are in it.
        if self.first == 0 {
            self.forget(&mut messages);
        }
        sent.bytes += bytes(&messages);
        session.publish(messages).await?;
        self.session = Some(session);
        Ok(sent)
    }

    /// Begins a session, in which all is published again; not while another hub has the prefix.
    async fn begin(&mut self, created: UnixMs) -> Result<Session, EngineError> {
        self.written.clear();
        self.known.clear();
        self.id = format!("sysmon{:x}", created.0);
        let (hub_id, availability) = (self.topics.hub_id(), self.topics.hub_availability());
        let mut session = self.open(&self.id, Some(availability.clone())).await?;
        let hosts = self.topics.availability("+");
        session
            .subscribe(&[hub_id.clone(), availability.clone(), hosts])
            .await?;
        session.settle().await?;
        let received = session.take_received();
        let is_online =
            |(topic, payload): &(String, Vec<u8>)| *topic == availability && payload == b"online";
        match received.iter().any(is_online) {
            true => self.receive(received)?,
            // The hub that had the prefix is gone.
            false => self.receive(received.into_iter().filter(|(topic, _)| *topic != hub_id))?,
        }
        let id = Message::retained(hub_id, self.id.as_str());
        session.publish(vec![id]).await?;
        Ok(session)
    }

    fn receive(
        &mut self,
        received: impl IntoIterator<Item = (String, Vec<u8>)>,
    ) -> Result<(), EngineError> {
        let hub_id = self.topics.hub_id();
        for (topic, payload) in received {
            let is_other = topic == hub_id && payload != self.id.as_bytes();
            if is_other && !payload.is_empty() {
                return Err(EngineError::Misconfigured(format!(
                    "another hub publishes {hub_id}: give one of the two another prefix"
                )));
            }
            if let Some(name) = self.topics.host_of(&topic).filter(|_| !payload.is_empty()) {
                self.known.push(name.to_owned());
            }
        }
        Ok(())
    }

    /// Marks hosts as seen; those that the broker does not have like this, the ones left over from the last round first.
    fn changed(&mut self, hosts: &[HostNow]) -> Vec<usize> {
        let round = self.round;
        let mut is_changed = |host: &HostNow| match self.written.get_mut(&host.host) {
            Some(written) => {
                written.seen = round;
                (written.state, written.time) != (host.state, host.time)
            }
            None => true,
        };
        let mut changed: Vec<usize> = (0..)
            .zip(hosts)
            .filter_map(|(at, host)| is_changed(host).then_some(at))
            .collect();
        let first = std::mem::take(&mut self.first);
        let left_over = changed.partition_point(|at| *at < first);
        changed.rotate_left(left_over);
        changed
    }

    fn plan_host(&mut self, host: &HostNow, messages: &mut Vec<Message>) {
        let written = self.written.get(&host.host);
        let made = topic_name(host.host.as_str());
        let name = written.map_or(made.as_str(), |written| written.name.as_str());
        let known = written.map_or(0, |written| written.sensors);
        let sensors = known | present_values(host);
        if sensors != known
            && let Some(topic) = self.topics.discovery(name)
        {
            let device = self.topics.device(name, host.host.as_str(), sensors);
            messages.push(Message::retained(topic, device));
        }
        self.texts.set(host);
        let mut json = Vec::with_capacity(320);
        self.texts.put_json(host, &mut json);
        messages.push(Message::retained(self.topics.state(name), json));
        let availability = availability(host.state);
        if written.is_none_or(|written| self::availability(written.state) != availability) {
            messages.push(Message::retained(
                self.topics.availability(name),
                availability,
            ));
        }
    }

    fn note(&mut self, host: &HostNow) {
        let written = self.written.entry(host.host.clone());
        let written = written.or_insert_with(|| Written {
            name: topic_name(host.host.as_str()),
            state: host.state,
            time: host.time,
            sensors: 0,
            seen: 0,
        });
        (written.state, written.time) = (host.state, host.time);
        written.sensors |= present_values(host);
        written.seen = self.round;
    }

    /// Removes what is retained of hosts that are forgotten: Home Assistant's device first.
    fn forget(&mut self, messages: &mut Vec<Message>) {
        let round = self.round;
        let gone: Vec<Written> = self
            .written
            .extract_if(|_, written| written.seen != round)
            .map(|(_, written)| written)
            .collect();
        let mut names: HashSet<String> = gone.into_iter().map(|written| written.name).collect();
        if !self.known.is_empty() {
            let own: HashSet<&str> = self.written.values().map(|one| one.name.as_str()).collect();
            let unknown = self
                .known
                .drain(..)
                .filter(|name| !own.contains(name.as_str()));
            names.extend(unknown);
        }
        for name in names {
            let topics = [
                self.topics.discovery(&name),
                Some(self.topics.state(&name)),
                Some(self.topics.availability(&name)),
            ];
            messages.extend(
                topics
                    .into_iter()
                    .flatten()
                    .map(|topic| Message::retained(topic, "")),
            );
        }
    }

    async fn test(&mut self) -> Result<String, EngineError> {
        let topic = self.topics.test();
        let mut session = self.open("sysmontest", None).await?;
        session.subscribe(std::slice::from_ref(&topic)).await?;
        let message = Message {
            topic: topic.clone(),
            payload: b"test".to_vec(),
            is_retained: false,
        };
        session.publish(vec![message]).await?;
        session.wait_for(&topic).await.map_err(|_| {
            EngineError::Misconfigured(format!(
                "what was published in {topic} did not come back: let the user read and write the topics below its prefix"
            ))
        })?;
        Ok("is a broker for MQTT 3.1.1".to_owned())
    }
}

fn availability(state: HostState) -> &'static str {
    match state {
        HostState::Live | HostState::Stale => "online",
        HostState::Offline => "offline",
    }
}

fn bytes(messages: &[Message]) -> u64 {
    let each = messages
        .iter()
        .map(|message| message.topic.len() + message.payload.len());
    each.sum::<usize>() as u64
}

#[cfg(test)]
mod tests;
