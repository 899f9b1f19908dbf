//! A connection to a broker (MQTT 3.1.1). The packets are those of `rumqttc`; its event loop is left out, because it brings
//! outdated crates for TLS.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rumqttc::{
    Codec, Connect, ConnectReturnCode, LastWill, Packet, Publish, QoS, Subscribe,
    SubscribeReasonCode,
};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use crate::EngineError;
use crate::destination::Secret;
use crate::engines::stream::Stream;

/// Messages under way until the broker has acknowledged them.
const WINDOW: usize = 100;

/// Longest time for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Largest packet, in either direction.
const PACKET_BYTES_MAX: usize = 64 << 10;

/// Retained messages that are remembered until they are taken.
const RECEIVED_MAX: usize = 50_000;

/// A message to publish.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) is_retained: bool,
}

impl Message {
    pub(super) fn retained(topic: String, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            is_retained: true,
        }
    }
}

/// What a session begins with.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) id: String,
    pub(super) login: Option<(String, Secret)>,
    pub(super) keep_alive: Duration,
    /// The topic that the broker sets to `offline` once the connection is gone.
    pub(super) will: Option<String>,
}

pub(super) struct Session {
    packets: Framed<Box<dyn Stream>, Codec>,
    received: Vec<(String, Vec<u8>)>,
    packet_id: u16,
}

impl Session {
    pub(super) async fn begin(
        stream: Box<dyn Stream>,
        introduction: &Introduction,
    ) -> Result<Self, EngineError> {
        let codec = Codec {
            max_incoming_size: PACKET_BYTES_MAX,
            max_outgoing_size: PACKET_BYTES_MAX,
        };
        let mut session = Self {
            packets: Framed::new(stream, codec),
            received: Vec::new(),
            packet_id: 0,
        };
        let mut connect = Connect::new(&introduction.id);
        connect.keep_alive = u16::try_from(introduction.keep_alive.as_secs()).unwrap_or(u16::MAX);
        if let Some((user, password)) = &introduction.login {
            connect.set_login(user, password.reveal());
        }
        if let Some(topic) = &introduction.will {
            connect.last_will = Some(LastWill::new(topic, "offline", QoS::AtLeastOnce, true));
        }
        session.send([Packet::Connect(connect)]).await?;
        match session.next().await? {
            Packet::ConnAck(answer) => match answer.code {
                ConnectReturnCode::Success => Ok(session),
                ConnectReturnCode::ServiceUnavailable => {
                    Err(EngineError::unavailable("the broker is not available now"))
                }
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                    Err(EngineError::Misconfigured(
                        "the broker refuses user or password; check user and password".to_owned(),
                    ))
                }
                code => Err(EngineError::Misconfigured(format!(
                    "the broker refuses the connection ({code:?}); it has to speak MQTT 3.1.1"
                ))),
            },
            _ => Err(unexpected()),
        }
    }

    /// Subscribes to topics; what is retained in them is received afterwards.
    pub(super) async fn subscribe(&mut self, topics: &[String]) -> Result<(), EngineError> {
        let filters = topics
            .iter()
            .map(|topic| rumqttc::SubscribeFilter::new(topic.clone(), QoS::AtMostOnce));
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = self.next_id();
        self.send([Packet::Subscribe(subscribe)]).await?;
        loop {
            match self.next().await? {
                Packet::SubAck(answer) => {
                    let is_refused = answer.return_codes.contains(&SubscribeReasonCode::Failure);
                    return match is_refused {
                        true => Err(EngineError::Misconfigured(format!(
                            "the broker does not let the user read {}; check its access list",
                            topics.join(" and ")
                        ))),
                        false => Ok(()),
                    };
                }
                other => self.receive(other)?,
            }
        }
    }

    /// Waits until the broker has handled all that was sent before.
    pub(super) async fn settle(&mut self) -> Result<(), EngineError> {
        self.send([Packet::PingReq]).await?;
        loop {
            match self.next().await? {
                Packet::PingResp => return Ok(()),
                other => self.receive(other)?,
            }
        }
    }

    /// Waits for a message in one of the topics.
    pub(super) async fn wait_for(&mut self, topic: &str) -> Result<(), EngineError> {
        while !self.received.iter().any(|(received, _)| received == topic) {
            let packet = self.next().await?;
            self.receive(packet)?;
        }
        Ok(())
    }

    /// Publishes messages; the broker has acknowledged all of them afterwards.
    pub(super) async fn publish(&mut self, messages: Vec<Message>) -> Result<(), EngineError> {
        let mut messages = messages.into_iter().peekable();
        while messages.peek().is_some() {
            let mut waiting = Vec::with_capacity(WINDOW);
            let mut packets = Vec::with_capacity(WINDOW);
            for message in messages.by_ref().take(WINDOW) {
                let mut publish = Publish::new(message.topic, QoS::AtLeastOnce, message.payload);
                publish.retain = message.is_retained;
                publish.pkid = self.next_id();
                waiting.push(publish.pkid);
                packets.push(Packet::Publish(publish));
            }
            self.send(packets).await?;
            while !waiting.is_empty() {
                match self.next().await? {
                    Packet::PubAck(answer) => waiting.retain(|id| *id != answer.pkid),
                    other => self.receive(other)?,
                }
            }
        }
        Ok(())
    }

    /// What came in the topics subscribed to, since the last time.
    pub(super) fn take_received(&mut self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.received)
    }

    fn next_id(&mut self) -> u16 {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        self.packet_id
    }

    fn receive(&mut self, packet: Packet) -> Result<(), EngineError> {
        match packet {
            Packet::Publish(publish) => {
                if self.received.len() < RECEIVED_MAX {
                    self.received
                        .push((publish.topic, publish.payload.to_vec()));
                }
                Ok(())
            }
            Packet::PingResp => Ok(()),
            _ => Err(unexpected()),
        }
    }

    async fn send(&mut self, packets: impl IntoIterator<Item = Packet>) -> Result<(), EngineError> {
        let packets_out = &mut self.packets;
        let send = async {
            for packet in packets {
                packets_out.feed(packet).await?;
            }
            packets_out.flush().await
        };
        match timeout(ANSWER_MAX, send).await {
            Ok(sent) => sent.map_err(|error| failed(&error)),
            Err(_) => Err(EngineError::unavailable("the broker does not read in time")),
        }
    }

    async fn next(&mut self) -> Result<Packet, EngineError> {
        match timeout(ANSWER_MAX, self.packets.next()).await {
            Ok(Some(packet)) => packet.map_err(|error| failed(&error)),
            Ok(None) => Err(EngineError::unavailable("the broker closed the connection")),
            Err(_) => Err(EngineError::unavailable(
                "the broker does not answer in time",
            )),
        }
    }
}

fn unexpected() -> EngineError {
    EngineError::unavailable("the broker sent something else than MQTT 3.1.1 allows here")
}

fn failed(error: &rumqttc::Error) -> EngineError {
    EngineError::unavailable(format!("the connection to the broker failed: {error}"))
}
