//! The side that listens: the hub, and the edge towards its hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quinn::{Connection, Endpoint, EndpointConfig, Incoming, TokioRuntime};
use rustls::pki_types::CertificateDer;
use sysmon_certs::{Identity, Peer, peer_of};
use sysmon_wire::message::{Hello, Welcome};
use sysmon_wire::{Label, MINOR, UnixMs};

use crate::client::loopback_of;
use crate::transport::{HELLO_TIMEOUT, bind, farewell, server_config};
use crate::{CloseCode, FrameReceiver, FrameSender, LinkError};

/// A socket that peers with certificates of our authority can connect to.
#[derive(Clone, Debug)]
pub struct Listener {
    endpoint: Endpoint,
}

/// Somebody at the door, not yet known.
#[derive(Debug)]
pub struct Arrival(Incoming);

/// A connection from a known peer that has said hello and waits for its welcome.
#[derive(Debug)]
pub struct PeerSession {
    /// The connection.
    pub connection: Connection,
    /// Who it is, from its certificate.
    pub peer: Peer,
    /// What it said.
    pub hello: Hello,
    /// Control frames down.
    pub sender: FrameSender,
    /// Control frames up.
    pub receiver: FrameReceiver,
}

impl Listener {
    /// Listens on `address` as `identity`.
    pub fn bind(address: SocketAddr, identity: &Identity) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Listen { address, source };
        let config = Some(server_config(identity)?);
        let socket = bind(address).map_err(failed)?;
        let endpoint = Endpoint::new(
            EndpointConfig::default(),
            config,
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(failed)?;
        Ok(Self { endpoint })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.local_addr().ok()
    }

    /// Where programs on this machine reach it.
    pub fn loopback(&self) -> Option<SocketAddr> {
        self.address().map(loopback_of)
    }

    /// The next arrival; `None` once the listener is closed.
    pub async fn accept(&self) -> Option<Arrival> {
        self.endpoint.accept().await.map(Arrival)
    }

    /// Closes every connection and waits, for a moment, until the peers have been told.
    pub async fn close(&self) {
        farewell(&self.endpoint, b"the hub is stopping").await;
    }
}

impl Arrival {
    /// Where it comes from; not proven yet.
    pub fn address(&self) -> SocketAddr {
        let address = self.0.remote_address();
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// Does the handshake and hears the hello.
    pub async fn greet(self) -> Result<PeerSession, LinkError> {
        match tokio::time::timeout(HELLO_TIMEOUT, self.greet_in_time()).await {
            Ok(session) => session,
            Err(_) => Err(LinkError::HelloTimeout),
        }
    }

    async fn greet_in_time(self) -> Result<PeerSession, LinkError> {
        let connection = self.0.accept()?.await?;
        let peer = peer(&connection)?;
        let (send, recv) = connection.accept_bi().await?;
        let sender = FrameSender::new(send);
        let mut receiver = FrameReceiver::new(recv);
        let hello = receiver
            .next::<Hello>()
            .await?
            .ok_or(LinkError::StreamEnded)?;
        Ok(PeerSession {
            connection,
            peer,
            hello,
            sender,
            receiver,
        })
    }
}

fn peer(connection: &Connection) -> Result<Peer, LinkError> {
    let chain = connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok());
    let end = chain.as_deref().and_then(|chain| chain.first());
    let end = end.ok_or_else(|| LinkError::Certificate("no certificate was shown".to_owned()))?;
    Ok(peer_of(end)?)
}

impl PeerSession {
    /// Lets the peer in.
    pub async fn accept(&mut self, hub: &str, version: &str) -> Result<(), LinkError> {
        let welcome = Welcome::Accepted {
            minor: MINOR.min(self.hello.minor),
            version: Label::new(version),
            name: Label::new(hub),
            now: UnixMs::from_system(SystemTime::now()),
        };
        self.sender.send(&welcome).await
    }

    /// Turns the peer away with a reason, which reaches it before the connection closes.
    pub async fn refuse(mut self, reason: &str) {
        let refused = Welcome::Refused {
            reason: Label::new(reason),
        };
        if self.sender.send(&refused).await.is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(2), self.sender.delivered()).await;
        }
        self.connection
            .close(CloseCode::Refused.into(), reason.as_bytes());
    }

    /// How far the peer's clock is ahead of ours, give or take half a round trip.
    pub fn clock_offset_ms(&self, now: UnixMs) -> i64 {
        let half = self.connection.rtt().as_millis() as i64 / 2;
        self.hello.now + half - now
    }
}
