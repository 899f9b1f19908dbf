//! Redis and Valkey: the newest values of every host as a hash, changes by PUBLISH, events as a stream.
//!
//! Redis is never asked to hold what it lost: on a new connection, or when the key of the hub is gone, all is written
//! again. That key, which expires, also keeps a second hub from the same prefix.

mod client;
mod events;
mod nodes;

use std::time::Duration;

use redis::{RedisConnectionInfo, Value};

use super::address::{Address, Scheme};
use super::stream::{Dialer, Waiter};
use super::{DestinationError, prefix, refuse_unused};
use crate::destination::{DestinationOptions, Secret};
use crate::{Batch, Engine, EngineError, EventPosition, Present, Sent};
use client::{Client, ClientOptions, Keys};
use nodes::{Access, Topology};

const INTERVAL: Duration = Duration::from_secs(1);

/// Without a word of the hub for so long its key expires.
const LEASE_MIN: Duration = Duration::from_secs(30);

/// Entries of the stream unless configured.
const EVENTS: i64 = 10_000;
const EVENTS_MAX: i64 = 10_000_000;

const SCHEMES: [Scheme; 2] = [
    Scheme {
        name: "redis",
        port: 6379,
        is_tls: false,
    },
    Scheme {
        name: "rediss",
        port: 6379,
        is_tls: true,
    },
];

/// A client.
pub struct Redis {
    waiter: Waiter,
    client: Client,
    interval: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

impl Redis {
    /// A client for a destination.
    ///
    /// # Errors
    /// A setting is wrong, or a file cannot be read.
    pub fn new(options: &DestinationOptions) -> Result<Self, DestinationError> {
        refuse_unused(options)?;
        let setting = |text: &str| DestinationError::Setting(text.to_owned());
        let address = Address::of(options, &SCHEMES)?;
        let topology = match (options.options.get("sentinel"), options.is_set("cluster")) {
            (Some(_), true) => return Err(setting("sentinel and cluster exclude each other")),
            (Some(name), false) => Topology::Sentinel(name.clone()),
            (None, true) => Topology::Cluster,
            (None, false) if address.servers.len() > 1 => {
                return Err(setting(
                    "url: several addresses are for cluster = true, or for sentinel = the master's name",
                ));
            }
            (None, false) => Topology::Single,
        };
        let db: i64 = match address.path.as_str() {
            "" => 0,
            path => path
                .parse()
                .ok()
                .filter(|db| (0..1 << 16).contains(db))
                .ok_or_else(|| {
                    setting(
                        "url: what follows the address is the number of the database, such as /2",
                    )
                })?,
        };
        let events = match options.options.get("events").map(String::as_str) {
            None | Some("true") => EVENTS,
            Some("false") => 0,
            Some(events) => events
                .parse()
                .ok()
                .filter(|events| (0..=EVENTS_MAX).contains(events))
                .ok_or_else(|| {
                    setting("events: give the length of the stream, such as 10000, or false")
                })?,
        };
        let is_sentinel = matches!(topology, Topology::Sentinel(_));
        let own = options.login.as_ref();
        let of_url = address.login.as_ref();
        let login = own.or(of_url.filter(|_| !is_sentinel));
        let sentinel_login = of_url.filter(|_| is_sentinel);
        let interval = options.every.unwrap_or(INTERVAL);
        let access = Access {
            dialer: Dialer::new(options, address.is_tls, b"")?,
            servers: address.servers,
            topology,
            login: info(login).set_db(db),
            sentinel_login: info(sentinel_login),
        };
        Ok(Self {
            waiter: Waiter::default(),
            client: Client::new(
                access,
                ClientOptions {
                    keys: Keys::new(&prefix(options, "")?),
                    events,
                    lease: LEASE_MIN.max(interval * 3),
                },
            ),
            interval,
        })
    }
}

fn info(login: Option<&(String, Secret)>) -> RedisConnectionInfo {
    let info = RedisConnectionInfo::default().set_skip_set_lib_name();
    let Some((user, password)) = login else {
        return info;
    };
    let info = info.set_password(password.reveal());
    match user.as_str() {
        "" => info,
        user => info.set_username(user),
    }
}

impl Engine for Redis {
    fn batch_cells(&self) -> usize {
        0
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn takes_events(&self) -> bool {
        self.client.takes_events()
    }

    fn wants_past(&self) -> bool {
        false
    }

    fn send(&mut self, batch: &Batch<'_>) -> Result<Sent, EngineError> {
        let sent = self.waiter.wait(self.client.add_events(batch));
        sent.inspect_err(|_| self.client.disconnect())
    }

    fn send_present(&mut self, present: &Present<'_>) -> Result<Sent, EngineError> {
        let sent = self.waiter.wait(self.client.write(present));
        sent.inspect_err(|_| self.client.disconnect())
    }

    fn event_position(&self) -> Option<EventPosition> {
        self.client.event_position()
    }

    fn test(&mut self) -> Result<String, EngineError> {
        let tested = self.waiter.wait(self.client.test());
        self.client.disconnect();
        tested
    }
}

/// `HELLO` without arguments answers with names and values in turn.
fn version(hello: &Value) -> Option<String> {
    let Value::Array(parts) = hello else {
        return None;
    };
    let position = |name: &[u8]| {
        let at = parts
            .iter()
            .position(|part| matches!(part, Value::BulkString(text) if text == name))?;
        match parts.get(at + 1)? {
            Value::BulkString(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    };
    let text = format!("{} {}", position(b"server")?, position(b"version")?);
    Some(sysmon_wire::Label::new(&text).to_string())
}

#[cfg(test)]
mod tests;
