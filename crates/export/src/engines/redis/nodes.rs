//! Connections to Redis: to one server, to what Sentinel says is the master, or to each master of a cluster.
//!
//! Pipelines of the `redis` crate for clusters have no PUBLISH, so they are split by slot here.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value, cmd};
use sysmon_wire::Label;

use crate::EngineError;
use crate::engines::address::Server;
use crate::engines::stream::Dialer;

/// Longest time for the answer to a pipeline.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Masters of a cluster.
const NODES_MAX: usize = 1_000;

/// Characters of a server's message.
const MESSAGE_MAX: usize = 160;

/// Which servers have the data.
#[derive(Debug)]
pub(super) enum Topology {
    Single,
    /// The master of this name, which any of the Sentinels knows.
    Sentinel(String),
    Cluster,
}

/// How to connect.
pub(super) struct Access {
    pub(super) dialer: Dialer,
    pub(super) servers: Vec<Server>,
    pub(super) topology: Topology,
    /// Credentials and database of the servers with the data.
    pub(super) login: RedisConnectionInfo,
    /// Credentials of the Sentinels.
    pub(super) sentinel_login: RedisConnectionInfo,
}

/// Connections to all servers with the data.
pub(super) struct Nodes {
    connections: Vec<MultiplexedConnection>,
    /// First and last slot, and the node that has them; empty unless it is a cluster.
    slots: Vec<(u16, u16, usize)>,
}

impl Access {
    pub(super) async fn connect(&self) -> Result<Nodes, EngineError> {
        let mut failed = None;
        for server in &self.servers {
            let connected = match &self.topology {
                Topology::Single => self.open(server, &self.login).await.map(Nodes::single),
                Topology::Sentinel(name) => self.master(server, name).await.map(Nodes::single),
                Topology::Cluster => self.cluster(server).await,
            };
            match connected {
                Ok(nodes) => return Ok(nodes),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| EngineError::unavailable("no address")))
    }

    async fn open(
        &self,
        server: &Server,
        login: &RedisConnectionInfo,
    ) -> Result<MultiplexedConnection, EngineError> {
        let stream = self.dialer.dial(server).await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER_MAX));
        let opened = MultiplexedConnection::new_with_config(login, stream, config).await;
        let (connection, driver) = opened.map_err(|error| failed(&error))?;
        tokio::spawn(driver);
        Ok(connection)
    }

    async fn master(
        &self,
        sentinel: &Server,
        name: &str,
    ) -> Result<MultiplexedConnection, EngineError> {
        let mut connection = self.open(sentinel, &self.sentinel_login).await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let answer = connection.send_packed_command(&question).await;
        let unknown = || {
            EngineError::Misconfigured(format!(
                "the Sentinel {sentinel} knows no master {name:?}; check sentinel"
            ))
        };
        let server = match answer.map_err(|error| failed(&error))? {
            Value::Array(parts) => match parts.as_slice() {
                [host, port] => address(host, port).ok_or_else(unknown)?,
                _ => return Err(unknown()),
            },
            Value::ServerError(error) => return Err(failed(&error.into())),
            _ => return Err(unknown()),
        };
        self.open(&server, &self.login).await
    }

    async fn cluster(&self, seed: &Server) -> Result<Nodes, EngineError> {
        let mut connection = self.open(seed, &self.login).await?;
        let mut question = cmd("CLUSTER");
        question.arg("SLOTS");
        let answer = connection.send_packed_command(&question).await;
        let (servers, slots) = match answer.map_err(|error| failed(&error))? {
            Value::Array(ranges) => masters(&ranges, seed),
            Value::ServerError(error) => return Err(failed(&error.into())),
            _ => Default::default(),
        };
        let slot_count: usize = slots
            .iter()
            .map(|(first, last, _)| usize::from(*last) + 1 - usize::from(*first))
            .sum();
        if slot_count != usize::from(SLOTS) {
            return Err(EngineError::unavailable(format!(
                "the cluster of {seed} serves {slot_count} of {SLOTS} slots: check the cluster's state"
            )));
        }
        let mut connections = Vec::with_capacity(servers.len());
        for server in &servers {
            connections.push(self.open(server, &self.login).await?);
        }
        Ok(Nodes { connections, slots })
    }
}

impl Nodes {
    fn single(connection: MultiplexedConnection) -> Self {
        Self {
            connections: vec![connection],
            slots: Vec::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.connections.len()
    }

    /// The node that has a key.
    pub(super) fn of(&self, key: &[u8]) -> usize {
        if self.slots.is_empty() {
            return 0;
        }
        let slot = slot(key);
        let at = self.slots.partition_point(|(_, last, _)| *last < slot);
        self.slots.get(at).map_or(0, |(_, _, node)| *node)
    }

    /// Sends commands to a node; there are as many answers.
    pub(super) async fn send(
        &mut self,
        node: usize,
        pipeline: &Pipeline,
    ) -> Result<Vec<Value>, EngineError> {
        let connection = self.connections.get_mut(node);
        let connection = connection.ok_or_else(|| EngineError::unavailable("no such node"))?;
        let count = pipeline.len();
        let answers = connection.send_packed_commands(pipeline, 0, count).await;
        let answers = answers.map_err(|error| failed(&error))?;
        match answers.len() == count {
            true => Ok(answers),
            false => Err(EngineError::unavailable("Redis left commands unanswered")),
        }
    }

    /// Sends commands that belong together. The first error among the answers is an error.
    pub(super) async fn transact(
        &mut self,
        node: usize,
        commands: &[Cmd],
    ) -> Result<(), EngineError> {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("MULTI");
        for command in commands {
            pipeline.add_command(command.clone());
        }
        pipeline.cmd("EXEC");
        for answer in self.send(node, &pipeline).await? {
            if let Value::ServerError(error) = answer {
                return Err(failed(&error.into()));
            }
        }
        Ok(())
    }

    /// Sends one command to the node of a key. An error that the server answers is an error.
    pub(super) async fn ask(&mut self, key: &str, command: &Cmd) -> Result<Value, EngineError> {
        let node = self.of(key.as_bytes());
        let connection = self.connections.get_mut(node);
        let connection = connection.ok_or_else(|| EngineError::unavailable("no such node"))?;
        match connection.send_packed_command(command).await {
            Ok(Value::ServerError(error)) => Err(failed(&error.into())),
            Ok(value) => Ok(value),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Codes of errors that go by themselves, or once the topology is asked for again.
const TEMPORARY: [&str; 11] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "TRYAGAIN",
];

/// Codes of errors that end once somebody mends credentials.
const DENIED: [&str; 4] = ["DENIED", "NOAUTH", "NOPERM", "WRONGPASS"];

/// What a server's error to one command means: what it refuses for good, or an error that is about more than this one.
pub(super) fn refusal(error: &RedisError) -> Result<String, EngineError> {
    let code = error.code().unwrap_or_default();
    let is_general = TEMPORARY.contains(&code) || DENIED.contains(&code) || error.is_io_error();
    match is_general {
        true => Err(failed(error)),
        false => Ok(message(error)),
    }
}

/// An error of a connection, or of what is asked first on one. Its text has no secret: passwords are never part of it.
fn failed(error: &RedisError) -> EngineError {
    let message = message(error);
    let code = error.code().unwrap_or_default();
    if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        return EngineError::unavailable(format!("the connection to Redis failed: {message}"));
    }
    if code == "OOM" {
        return EngineError::unavailable(format!(
            "Redis has no memory left: {message}; raise maxmemory"
        ));
    }
    if TEMPORARY.contains(&code) {
        return EngineError::unavailable(format!("Redis answered {message}"));
    }
    EngineError::Misconfigured(format!(
        "Redis answered {message}; check user, password and what the user may do (ACL)"
    ))
}

fn message(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    };
    Label::new(&text)
        .as_str()
        .chars()
        .take(MESSAGE_MAX)
        .collect()
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn address(host: &Value, port: &Value) -> Option<Server> {
    let port = match port {
        Value::Int(port) => u16::try_from(*port).ok()?,
        other => text(other)?.parse().ok()?,
    };
    Some(Server {
        host: text(host)?.to_owned(),
        port,
    })
}

type SlotMap = (Vec<Server>, Vec<(u16, u16, usize)>);

/// The masters of a cluster and their slots, as `CLUSTER SLOTS` tells them.
fn masters(ranges: &[Value], seed: &Server) -> SlotMap {
    let (mut servers, mut slots): SlotMap = Default::default();
    for range in ranges {
        let Value::Array(parts) = range else { continue };
        let [
            Value::Int(first),
            Value::Int(last),
            Value::Array(master),
            ..,
        ] = parts.as_slice()
        else {
            continue;
        };
        let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(*last)) else {
            continue;
        };
        let [host, port, ..] = master.as_slice() else {
            continue;
        };
        // A node that does not know its own name has none.
        let own = Value::SimpleString(seed.host.clone());
        let is_named = text(host).is_some_and(|host| !host.is_empty());
        let Some(server) = address(if is_named { host } else { &own }, port) else {
            continue;
        };
        let known = servers.iter().position(|known| *known == server);
        let node = known.unwrap_or(servers.len());
        if known.is_none() {
            if servers.len() >= NODES_MAX {
                continue;
            }
            servers.push(server);
        }
        if first <= last && last < SLOTS {
            slots.push((first, last, node));
        }
    }
    slots.sort_unstable();
    (servers, slots)
}

const SLOTS: u16 = 16_384;

/// The slot of a key (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>): the CRC of what
/// stands in the first braces, or of all.
fn slot(key: &[u8]) -> u16 {
    let tag = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let rest = key.get(open + 1..)?;
        let close = rest.iter().position(|byte| *byte == b'}')?;
        rest.get(..close).filter(|tag| !tag.is_empty())
    };
    crc16(tag().unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc, _| {
            let carry = crc & 0x8000 != 0;
            (crc << 1) ^ if carry { 0x1021 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_slots_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{user1000}.following"), slot(b"user1000"));
        assert_eq!(slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot(b"foo{{bar}}zap"), slot(b"{bar"));
    }

    #[test]
    fn masters_are_found_in_the_slots_of_a_cluster() {
        let node = |host: &str, port| {
            Value::Array(vec![
                Value::BulkString(host.into()),
                Value::Int(port),
                Value::BulkString("id".into()),
            ])
        };
        let range = |first, last, master| {
            Value::Array(vec![
                Value::Int(first),
                Value::Int(last),
                master,
                node("replica", 9),
            ])
        };
        let ranges = [
            range(8_000, 16_383, node("", 2)),
            range(0, 99, node("a", 1)),
            range(100, 7_999, node("a", 1)),
            range(5, -1, node("bad", 1)),
            Value::Nil,
        ];
        let seed = Server {
            host: "seed".to_owned(),
            port: 7,
        };
        let (servers, slots) = masters(&ranges, &seed);
        let shown: Vec<_> = servers.iter().map(Server::to_string).collect();
        assert_eq!(shown, ["seed:2", "a:1"]);
        assert_eq!(slots, [(0, 99, 1), (100, 7_999, 1), (8_000, 16_383, 0)]);
    }
}
