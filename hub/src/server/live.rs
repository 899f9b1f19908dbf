//! Which agents are connected: one of each identity. A second one is a copy, of a cloned machine for example, and its
//! rows would mix two machines into one host.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use sysmon_link::{CloseCode, Connection};
use sysmon_wire::Label;
use tokio::time::timeout;

use crate::lock;

/// Time that a connected agent has to answer, besides four round trips: enough for a delayed acknowledgement (25 ms) and
/// a packet to be sent again. An agent that was killed, or has another address, waits as long for its old connection.
const ANSWER: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
pub(super) struct LiveAgents(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    agents: HashMap<Label, Live>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Live {
    number: u64,
    connection: Connection,
    address: SocketAddr,
}

/// The connection that an agent's identity is used by, until it is dropped.
#[derive(Debug)]
pub(super) struct LiveAgent<'a> {
    agents: &'a LiveAgents,
    name: Label,
    number: u64,
}

impl LiveAgents {
    /// Admits a connection of `name`, or returns the address of the agent that is connected and answers. A connection
    /// that no longer answers is closed: the agent was restarted, or its address has changed.
    pub(super) async fn admit(
        &self,
        name: &Label,
        connection: &Connection,
        address: SocketAddr,
    ) -> Result<LiveAgent<'_>, SocketAddr> {
        loop {
            let other = match self.enter(name, connection, address) {
                Ok(admitted) => return Ok(admitted),
                Err(other) => other,
            };
            if is_answering(&other.connection).await {
                return Err(other.address);
            }
            let reason = b"this agent has connected again";
            other.connection.close(CloseCode::Done.into(), reason);
        }
    }

    fn enter(
        &self,
        name: &Label,
        connection: &Connection,
        address: SocketAddr,
    ) -> Result<LiveAgent<'_>, Live> {
        let mut table = lock(&self.0);
        let is_open = |live: &&Live| live.connection.close_reason().is_none();
        if let Some(other) = table.agents.get(name).filter(is_open) {
            return Err(other.clone());
        }
        table.next += 1;
        let live = Live {
            number: table.next,
            connection: connection.clone(),
            address,
        };
        table.agents.insert(name.clone(), live);
        Ok(LiveAgent {
            agents: self,
            name: name.clone(),
            number: table.next,
        })
    }
}

impl Drop for LiveAgent<'_> {
    fn drop(&mut self) {
        let mut table = lock(&self.agents.0);
        let present = table.agents.get(&self.name);
        if present.is_some_and(|live| live.number == self.number) {
            table.agents.remove(&self.name);
        }
    }
}

/// Whether the peer still acknowledges what is sent to it, here an empty stream.
async fn is_answering(connection: &Connection) -> bool {
    let answer = async {
        let mut stream = connection.open_uni().await.ok()?;
        stream.finish().ok()?;
        stream.stopped().await.ok()
    };
    let time = ANSWER + 4 * connection.rtt().min(ANSWER);
    timeout(time, answer)
        .await
        .is_ok_and(|answer| answer.is_some())
}
