//! What is written: hosts that changed, in pipelines by node; what of it Redis has, as long as the connection holds.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use redis::{Arg, Cmd, Pipeline, Value, cmd};
use sysmon_wire::message::HostState;
use sysmon_wire::metrics::{ALIASES, SUMMARY};
use sysmon_wire::timeline::{Event, EventKind};
use sysmon_wire::{Label, UnixMs};
use tokio::time::Instant;

use super::events::{entry, stream_id};
use super::nodes::{Access, Nodes, refusal};
use super::version;
use crate::engines::values::{Texts, present_values};
use crate::{Batch, EngineError, EventPosition, HostNow, Present, Sent};

/// Hosts in one pipeline.
const PIPELINE: usize = 500;

/// Time for one round; what remains is first in the next.
const ROUND_MAX: Duration = Duration::from_secs(10);

/// Rounds after which all is written again, whatever Redis is believed to have: a node of a cluster may have lost its part.
const REFRESH: u32 = 300;

/// Names that are read at once.
const SCAN: usize = 1_000;

/// Names that are read in all.
const NAMES_MAX: usize = 1_000_000;

/// The keys of one prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// Without the name.
    host: String,
    /// Without the name.
    live: String,
    hosts: String,
    events: String,
    hub: String,
    test: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        let key = |name: &str| format!("{prefix}:{name}");
        Self {
            host: key("host:"),
            live: key("live:"),
            hosts: key("hosts"),
            events: key("events"),
            hub: key("hub"),
            test: key("test"),
        }
    }
}

#[derive(Debug)]
pub(super) struct ClientOptions {
    pub(super) keys: Keys,
    /// Entries of the stream, about.
    pub(super) events: i64,
    pub(super) lease: Duration,
}

/// What Redis has of a host.
#[derive(Clone, Copy, Debug)]
struct Written {
    state: HostState,
    time: UnixMs,
    values: u32,
    /// Whether Redis refuses it, so that it is not tried again before all is written again.
    is_refused: bool,
    /// The round in which the host was last among those of the hub.
    seen: u32,
}

pub(super) struct Client {
    access: Access,
    options: ClientOptions,
    nodes: Option<Nodes>,
    /// What the key of the hub was last set to.
    owner: String,
    written: HashMap<Label, Written>,
    round: u32,
    /// The host to begin with, where a round ended early.
    first: usize,
    position: Option<EventPosition>,
    texts: Texts,
}

/// Commands for each node, with the host of each.
struct Plan {
    pipelines: Vec<(Pipeline, Vec<usize>)>,
    bytes: u64,
}

impl Plan {
    fn new(nodes: &Nodes) -> Self {
        let pipelines = (0..nodes.count()).map(|_| (Pipeline::new(), Vec::new()));
        Self {
            pipelines: pipelines.collect(),
            bytes: 0,
        }
    }

    fn add(&mut self, node: usize, host: usize, command: Cmd) {
        if let Some((pipeline, hosts)) = self.pipelines.get_mut(node) {
            self.bytes += command
                .args_iter()
                .map(|argument| length(&argument))
                .sum::<u64>();
            pipeline.add_command(command);
            hosts.push(host);
        }
    }

    /// Sends all of it; the hosts of which something is refused for good, with the reason.
    async fn send(&self, nodes: &mut Nodes) -> Result<HashMap<usize, String>, EngineError> {
        let mut refused = HashMap::new();
        for (node, (pipeline, hosts)) in self.pipelines.iter().enumerate() {
            if pipeline.is_empty() {
                continue;
            }
            let answers = nodes.send(node, pipeline).await?;
            for (answer, host) in answers.into_iter().zip(hosts) {
                if let Value::ServerError(error) = answer {
                    refused.insert(*host, refusal(&error.into())?);
                }
            }
        }
        Ok(refused)
    }
}

fn length(argument: &Arg<&[u8]>) -> u64 {
    match argument {
        Arg::Simple(bytes) => bytes.len() as u64,
        _ => 0,
    }
}

impl Client {
    pub(super) fn new(access: Access, options: ClientOptions) -> Self {
        Self {
            access,
            options,
            nodes: None,
            owner: String::new(),
            written: HashMap::new(),
            round: 0,
            first: 0,
            position: None,
            texts: Texts::default(),
        }
    }

    pub(super) fn takes_events(&self) -> bool {
        self.options.events > 0
    }

    pub(super) fn event_position(&self) -> Option<EventPosition> {
        self.position
    }

    pub(super) fn disconnect(&mut self) {
        self.nodes = None;
        self.position = None;
    }

    /// Makes what Redis has of hosts equal to the present.
    pub(super) async fn write(&mut self, present: &Present<'_>) -> Result<Sent, EngineError> {
        let (mut nodes, is_new) = match self.nodes.take() {
            Some(nodes) => (nodes, false),
            None => (self.access.connect().await?, true),
        };
        let is_lost = self.renew_lease(&mut nodes, present.created).await?;
        self.round = self.round.wrapping_add(1);
        let mut forgotten = Vec::new();
        if is_new || is_lost || self.round.is_multiple_of(REFRESH) {
            self.written.clear();
            forgotten = self.unknown_names(&mut nodes, present).await?;
        }
        if is_new || is_lost {
            self.position = self.read_position(&mut nodes).await?;
        }
        let changed = self.changed(present.hosts);
        let round = self.round;
        forgotten.extend(
            self.written
                .iter()
                .filter(|(_, written)| written.seen != round)
                .map(|(host, _)| host.clone()),
        );
        let mut sent = Sent::default();
        for hosts in forgotten.chunks(PIPELINE) {
            self.forget(&mut nodes, hosts).await?;
        }
        let start = Instant::now();
        for (at, chunk) in changed.chunks(PIPELINE).enumerate() {
            if start.elapsed() > ROUND_MAX {
                let next = changed.get(at * PIPELINE).copied();
                self.first = next.unwrap_or_default();
                break;
            }
            self.write_hosts(&mut nodes, present.hosts, chunk, &mut sent)
                .await?;
        }
        self.nodes = Some(nodes);
        Ok(sent)
    }

    /// Takes or renews the key of the hub; true if it was not there.
    async fn renew_lease(
        &mut self,
        nodes: &mut Nodes,
        created: UnixMs,
    ) -> Result<bool, EngineError> {
        let key = self.options.keys.hub.as_str();
        let owner = created.0.to_string();
        let known = nodes.ask(key, cmd("GET").arg(key)).await?;
        let is_lost = matches!(known, Value::Nil);
        let is_own = match &known {
            Value::BulkString(known) => known == owner.as_bytes() || known == self.owner.as_bytes(),
            _ => is_lost,
        };
        let mut set = cmd("SET");
        set.arg(key).arg(&owner);
        set.arg("EX").arg(self.options.lease.as_secs());
        if is_lost {
            set.arg("NX");
        }
        if !is_own || matches!(nodes.ask(key, &set).await?, Value::Nil) {
            return Err(EngineError::Misconfigured(format!(
                "another hub writes to {key}: give one of the two another prefix, or wait {} s if that hub is gone",
                self.options.lease.as_secs()
            )));
        }
        self.owner = owner;
        Ok(is_lost)
    }

    /// Hosts in Redis that the hub does not have.
    async fn unknown_names(
        &self,
        nodes: &mut Nodes,
        present: &Present<'_>,
    ) -> Result<Vec<Label>, EngineError> {
        let own: HashSet<&str> = present
            .hosts
            .iter()
            .map(|host| host.host.as_str())
            .collect();
        let key = self.options.keys.hosts.as_str();
        let (mut unknown, mut cursor, mut seen) = (Vec::new(), b"0".to_vec(), 0);
        loop {
            let mut scan = cmd("SSCAN");
            scan.arg(key).arg(&cursor).arg("COUNT").arg(SCAN);
            let answer = nodes.ask(key, &scan).await?;
            let Value::Array(parts) = answer else { break };
            let [Value::BulkString(next), Value::Array(names)] = parts.as_slice() else {
                break;
            };
            seen += names.len();
            for name in names {
                if let Value::BulkString(name) = name
                    && let Ok(name) = std::str::from_utf8(name)
                    && !own.contains(name)
                {
                    unknown.push(Label::new(name));
                }
            }
            if next == b"0" || seen > NAMES_MAX {
                break;
            }
            cursor.clone_from(next);
        }
        Ok(unknown)
    }

    /// The newest event in the stream. Its id has two parts: when the cursor was created, and the event's in the history.
    async fn read_position(&self, nodes: &mut Nodes) -> Result<Option<EventPosition>, EngineError> {
        if !self.takes_events() {
            return Ok(None);
        }
        let key = self.options.keys.events.as_str();
        let empty = EventPosition::Empty {
            room: self.options.events,
        };
        let exists = nodes.ask(key, cmd("EXISTS").arg(key)).await?;
        if matches!(exists, Value::Int(0)) {
            return Ok(Some(empty));
        }
        let mut newest = cmd("XREVRANGE");
        newest.arg(key).arg("+").arg("-").arg("COUNT").arg(1);
        let answer = nodes.ask(key, &newest).await?;
        Ok(Some(stream_id(&answer).unwrap_or(empty)))
    }

    /// Marks hosts as seen; those that Redis does not have like this, the ones left over from the last round first.
    fn changed(&mut self, hosts: &[HostNow]) -> Vec<usize> {
        let round = self.round;
        let mut is_changed = |host: &HostNow| match self.written.get_mut(&host.host) {
            Some(written) => {
                written.seen = round;
                let is_same = (written.state, written.time) == (host.state, host.time)
                    && written.values == present_values(host);
                !is_same && !written.is_refused
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

    async fn write_hosts(
        &mut self,
        nodes: &mut Nodes,
        hosts: &[HostNow],
        chunk: &[usize],
        sent: &mut Sent,
    ) -> Result<(), EngineError> {
        let mut plan = Plan::new(nodes);
        let hosts = || chunk.iter().filter_map(|at| Some((*at, hosts.get(*at)?)));
        for (at, host) in hosts() {
            self.plan_host(&mut plan, nodes, at, host);
        }
        let refused = plan.send(nodes).await?;
        sent.bytes += plan.bytes;
        for (at, host) in hosts() {
            let values = present_values(host);
            let samples = u64::from(values.count_ones());
            match refused.get(&at) {
                Some(reason) => sent.refused.push((reason.clone(), samples)),
                None => sent.samples += samples,
            }
            let written = Written {
                state: host.state,
                time: host.time,
                values,
                is_refused: refused.contains_key(&at),
                seen: self.round,
            };
            self.written.insert(host.host.clone(), written);
        }
        Ok(())
    }

    /// Plans the commands of one host: its hash, that it is there, and what listeners get.
    fn plan_host(&mut self, plan: &mut Plan, nodes: &Nodes, at: usize, host: &HostNow) {
        let (keys, name) = (&self.options.keys, host.host.as_str());
        let key = [keys.host.as_str(), name].concat();
        let node = nodes.of(key.as_bytes());
        let values = present_values(host);
        let before = self.written.get(&host.host).map(|written| written.values);
        let left = before.unwrap_or((1 << SUMMARY) - 1) & !values;
        if left != 0 {
            let mut delete = cmd("HDEL");
            delete.arg(&key);
            for (bit, alias) in ALIASES.iter().take(SUMMARY).enumerate() {
                if left >> bit & 1 == 1 {
                    delete.arg(alias.alias);
                }
            }
            plan.add(node, at, delete);
        }
        self.texts.set(host);
        let mut set = Cmd::with_capacity(6 + 2 * SUMMARY, 320);
        set.arg("HSET").arg(&key);
        set.arg("state").arg(host.state.as_str());
        set.arg("last_sample_ms").arg(host.time.0);
        for (alias, text) in self.texts.iter() {
            set.arg(alias).arg(text);
        }
        plan.add(node, at, set);
        if before.is_none() {
            let mut add = cmd("SADD");
            add.arg(&keys.hosts).arg(name);
            plan.add(nodes.of(keys.hosts.as_bytes()), at, add);
        }
        let mut json = Vec::with_capacity(320);
        self.texts.put_json(host, &mut json);
        let mut publish = Cmd::with_capacity(3, 400);
        publish.arg("PUBLISH");
        publish.arg([keys.live.as_str(), name].concat()).arg(json);
        plan.add(node, at, publish);
    }

    async fn forget(&mut self, nodes: &mut Nodes, hosts: &[Label]) -> Result<(), EngineError> {
        let keys = &self.options.keys;
        let mut plan = Plan::new(nodes);
        for (at, host) in hosts.iter().enumerate() {
            let name = host.as_str();
            let key = [keys.host.as_str(), name].concat();
            let node = nodes.of(key.as_bytes());
            let mut delete = cmd("DEL");
            delete.arg(&key);
            plan.add(node, at, delete);
            let mut remove = cmd("SREM");
            remove.arg(&keys.hosts).arg(name);
            plan.add(nodes.of(keys.hosts.as_bytes()), at, remove);
            let message = serde_json::json!({ "name": name, "state": "forgotten" });
            let mut publish = cmd("PUBLISH");
            publish.arg([keys.live.as_str(), name].concat());
            publish.arg(message.to_string());
            plan.add(node, at, publish);
        }
        plan.send(nodes).await?;
        for host in hosts {
            self.written.remove(host);
        }
        Ok(())
    }

    /// Appends events to the stream. One that is in it already is refused by its id, so that none stands in it twice.
    pub(super) async fn add_events(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        let unavailable = || EngineError::unavailable("there is no connection");
        let nodes = self.nodes.as_mut().ok_or_else(unavailable)?;
        let key = self.options.keys.events.as_str();
        let mut sent = Sent::default();
        for events in batch.events.chunks(PIPELINE) {
            let mut plan = Plan::new(nodes);
            for (at, (id, event)) in events.iter().enumerate() {
                let id = format!("{}-{id}", batch.cursor.created.0);
                let add = entry(key, self.options.events, &id, event);
                plan.add(nodes.of(key.as_bytes()), at, add);
            }
            let refused = plan.send(nodes).await?;
            sent.bytes += plan.bytes;
            let is_known = |reason: &String| reason.contains("equal or smaller");
            let refused = refused.into_values().filter(|reason| !is_known(reason));
            sent.refused.extend(refused.map(|reason| (reason, 1)));
            if let Some((id, _)) = events.last() {
                self.position = Some(EventPosition::Newest {
                    created: batch.cursor.created,
                    id: *id,
                });
            }
        }
        Ok(sent)
    }

    /// Does what needs permissions, without leaving anything.
    pub(super) async fn test(&mut self) -> Result<String, EngineError> {
        let mut nodes = self.access.connect().await?;
        let key = self.options.keys.test.as_str();
        // Redis closes connections that send long commands before they have logged in.
        nodes.ask(key, cmd("EXISTS").arg(key)).await?;
        let hello = nodes.ask(key, &cmd("HELLO")).await.ok();
        let name = hello.as_ref().and_then(version);
        let event = Event {
            time: UnixMs(1),
            host: Label::new("test"),
            kind: EventKind::Joined,
            text: Label::new(""),
        };
        let of_key = |name: &str, arguments: &[&str]| {
            let mut command = cmd(name);
            command.arg(key).arg(arguments);
            command
        };
        let commands = [
            of_key("DEL", &[]),
            of_key("HSET", &["state", "test"]),
            of_key("HDEL", &["state"]),
            of_key("SADD", &["test"]),
            of_key("SREM", &["test"]),
            of_key("SET", &["test", "EX", "1"]),
            of_key("DEL", &[]),
            entry(key, 1, "1-1", &event),
            of_key("DEL", &[]),
            of_key("PUBLISH", &["test"]),
        ];
        let node = nodes.of(key.as_bytes());
        nodes.transact(node, &commands).await?;
        let name = name.unwrap_or_else(|| "Redis".to_owned());
        Ok(match nodes.count() {
            1 => format!("is {name}"),
            count => format!("is {name} with {count} masters"),
        })
    }
}
