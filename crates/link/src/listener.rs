//! The side that listens: the hub, and the edge towards its hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use quinn::{Connection, Endpoint, EndpointConfig, Incoming, TokioRuntime};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use sysmon_certs::{Identity, Peer, peer_of, serial_of, validity_of};
use sysmon_wire::limits::FRAME_BYTES_MAX;
use sysmon_wire::message::{Hello, JoinReply, JoinRequest, Purpose, Welcome};
use sysmon_wire::{Label, MINOR, UnixMs};
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::loopback_of;
use crate::transport::{
    HELLO_TIMEOUT, STRANGER_FRAME_BYTES_MAX, bind, farewell, open_up, server_config,
};
use crate::{CloseCode, FrameReceiver, FrameSender, LinkError};

/// How long a refusal or answer has to arrive before the connection closes.
const DELIVERY_MAX: Duration = Duration::from_secs(2);

/// A clock that is further away than a hundred years is as good as one that is so far away.
const CLOCK_OFFSET_MS_MAX: i64 = 100 * 365 * 24 * 3_600_000;

/// A socket that peers with certificates of our authority can connect to.
#[derive(Clone, Debug)]
pub struct Listener {
    endpoint: Endpoint,
}

/// Somebody at the door, not yet known.
#[derive(Debug)]
pub struct IncomingConnection(Incoming);

/// A connection that has said hello and waits for its welcome.
#[derive(Debug)]
pub enum NewSession {
    /// From a peer with a certificate of our authority.
    Peer(PeerSession),
    /// From somebody without a certificate.
    Join(JoinSession),
}

/// A connection from somebody without a certificate.
#[derive(Debug)]
pub struct JoinSession {
    connection: Connection,
    hello: Hello,
    sender: FrameSender,
    receiver: FrameReceiver,
}

/// A connection from a known peer that has said hello and waits for its welcome.
#[derive(Debug)]
pub struct PeerSession {
    /// The connection.
    pub connection: Connection,
    /// Who it is, from its certificate.
    pub certificate: PeerCertificate,
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

    /// Shows another identity to those who come from now on.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), LinkError> {
        self.endpoint
            .set_server_config(Some(server_config(identity)?));
        Ok(())
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
    pub async fn accept(&self) -> Option<IncomingConnection> {
        self.endpoint.accept().await.map(IncomingConnection)
    }

    /// Closes every connection and waits, for a moment, until the peers have been told.
    pub async fn close(&self) {
        farewell(&self.endpoint, b"the hub is stopping").await;
    }
}

impl IncomingConnection {
    /// Whether whoever it is has shown to be where it says; see [`IncomingConnection::require_retry`].
    pub fn is_validated(&self) -> bool {
        self.0.remote_address_validated()
    }

    /// Has whoever it is show first to be where it says, which costs nothing to remember (RFC 9000, 8.1.2).
    pub fn require_retry(self) {
        // One that has shown it already is let be: it comes again if it means it.
        let _ = self.0.retry();
    }

    /// Pays no attention: no answer, no memory.
    pub fn ignore(self) {
        self.0.ignore();
    }

    /// Where it comes from; not proven yet.
    pub fn address(&self) -> SocketAddr {
        let address = self.0.remote_address();
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// Does the handshake and hears the hello.
    pub async fn handshake(self) -> Result<NewSession, LinkError> {
        let deadline = Instant::now() + HELLO_TIMEOUT;
        let connecting = self.0.accept()?;
        let connection = timeout_at(deadline, connecting)
            .await
            .map_err(|_| LinkError::HelloTimeout)??;
        let heard = timeout_at(deadline, Self::hear(connection.clone())).await;
        // Whoever is turned away hears why.
        let heard = heard.unwrap_or(Err(LinkError::HelloTimeout));
        heard.inspect_err(|error| turn_away(&connection, error))
    }

    async fn hear(connection: Connection) -> Result<NewSession, LinkError> {
        let known = peer_certificate(&connection)?;
        let (send, recv) = connection.accept_bi().await?;
        let sender = FrameSender::new(send);
        let mut receiver = FrameReceiver::new(recv);
        receiver.limit(STRANGER_FRAME_BYTES_MAX);
        let hello = receiver
            .next::<Hello>()
            .await?
            .ok_or(LinkError::StreamEnded)?;
        Ok(match known {
            Some(certificate) => NewSession::Peer(PeerSession {
                connection,
                certificate,
                hello,
                sender,
                receiver,
            }),
            None => NewSession::Join(JoinSession {
                connection,
                hello,
                sender,
                receiver,
            }),
        })
    }
}

impl JoinSession {
    /// Whether it wants to join; there is nothing else it may do.
    pub fn wants_to_join(&self) -> bool {
        self.hello.purpose == Purpose::Join
    }

    /// Hears its request to join.
    pub async fn request(&mut self, hub: &str, version: &str) -> Result<JoinRequest, LinkError> {
        let heard = async {
            let welcome = welcome(&self.hello, hub, version);
            self.sender.send(&welcome).await?;
            self.receiver.next().await
        };
        let request = timeout(HELLO_TIMEOUT, heard).await;
        let request = request.unwrap_or(Err(LinkError::HelloTimeout));
        let request = request.and_then(|request| request.ok_or(LinkError::StreamEnded));
        request.inspect_err(|error| turn_away(&self.connection, error))
    }

    /// Answers, and waits until the answer has arrived.
    pub async fn answer(mut self, reply: &JoinReply) {
        deliver(&mut self.sender, reply).await;
        self.connection.close(CloseCode::Done.into(), b"");
    }

    /// Turns it away with a reason.
    pub async fn refuse(self, reason: &str) {
        refuse(&self.connection, self.sender, reason).await;
    }
}

/// Sends a last message, and waits for a moment until it is there. Some never take it.
async fn deliver(sender: &mut FrameSender, message: &impl Serialize) {
    let delivered = async {
        if sender.send(message).await.is_ok() {
            sender.delivered().await;
        }
    };
    let _ = timeout(DELIVERY_MAX, delivered).await;
}

/// Closes a connection on which something else came than what is spoken here, and says so.
fn turn_away(connection: &Connection, error: &LinkError) {
    connection.close(CloseCode::Protocol.into(), error.to_string().as_bytes());
}

fn welcome(hello: &Hello, hub: &str, version: &str) -> Welcome {
    Welcome::Accepted {
        minor: MINOR.min(hello.minor),
        version: Label::new(version),
        name: Label::new(hub),
        now: UnixMs::from_system(SystemTime::now()),
    }
}

async fn refuse(connection: &Connection, mut sender: FrameSender, reason: &str) {
    let refused = Welcome::Refused {
        reason: Label::new(reason),
    };
    deliver(&mut sender, &refused).await;
    connection.close(CloseCode::Refused.into(), reason.as_bytes());
}

/// What a certificate that was shown says.
#[derive(Clone, Debug)]
pub struct PeerCertificate {
    /// Whose it is.
    pub peer: Peer,
    /// Its serial number.
    pub serial: String,
    /// All of it, in DER.
    pub der: CertificateDer<'static>,
    /// When it expires.
    pub expires: SystemTime,
}

/// The certificates that the other end has shown, its own first; empty if none.
pub(crate) fn chain(connection: &Connection) -> Vec<CertificateDer<'static>> {
    connection
        .peer_identity()
        .and_then(|any| any.downcast::<Vec<CertificateDer<'static>>>().ok())
        .map_or_else(Vec::new, |chain| *chain)
}

/// What the certificate at the other end says; none for who showed no certificate.
pub fn peer_certificate(connection: &Connection) -> Result<Option<PeerCertificate>, LinkError> {
    let chain = chain(connection);
    let Some(end) = chain.first() else {
        return Ok(None);
    };
    Ok(Some(PeerCertificate {
        peer: peer_of(end)?,
        serial: serial_of(end)?,
        der: end.clone(),
        expires: validity_of(end)?.1,
    }))
}

impl PeerSession {
    /// Lets the peer in.
    pub async fn accept(&mut self, hub: &str, version: &str) -> Result<(), LinkError> {
        self.receiver.limit(FRAME_BYTES_MAX);
        open_up(&self.connection);
        let welcome = welcome(&self.hello, hub, version);
        let sent = timeout(HELLO_TIMEOUT, self.sender.send(&welcome)).await;
        let sent = sent.unwrap_or(Err(LinkError::HelloTimeout));
        sent.inspect_err(|error| turn_away(&self.connection, error))
    }

    /// Turns the peer away with a reason, which reaches it before the connection closes.
    pub async fn refuse(self, reason: &str) {
        refuse(&self.connection, self.sender, reason).await;
    }

    /// How far the peer's clock is ahead of ours, give or take half a round trip.
    pub fn clock_offset_ms(&self, now: UnixMs) -> i64 {
        let half = self.connection.rtt().as_millis() as i64 / 2;
        let offset = self.hello.now + half - now;
        offset.clamp(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX)
    }
}
