//! The listening side: the hub, and the edge towards its hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint, Incoming, TokioRuntime};
use serde::Serialize;
use sysmon_certs::{Identity, ResetSecret};
use sysmon_clock::Clock;
use sysmon_wire::limits::FRAME_BYTES_MAX;
use sysmon_wire::message::{Hello, JoinReply, JoinRequest, Purpose, Welcome};
use sysmon_wire::{Label, MINOR, UnixMs};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use crate::admission::{Admission, AdmissionLimits, Admitted, Refusal, canonical};
use crate::certificate::{PeerCertificate, peer_certificate};
use crate::reset::endpoint_config;
use crate::transport::{
    HELLO_TIMEOUT, UNKNOWN_FRAME_BYTES_MAX, bind, close_endpoint, enlarge_buffer, loopback_of,
    raise_limits, server_config,
};
use crate::{CloseCode, FrameReceiver, FrameSender, LinkError};

/// Time for a last message to be delivered before the connection closes.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// A peer's clock offset is clamped to a hundred years.
const CLOCK_OFFSET_MS_MAX: i64 = 100 * 365 * 24 * 3_600_000;

/// A UDP socket that accepts peers with certificates of our authority.
#[derive(Clone, Debug)]
pub struct Listener {
    endpoint: Endpoint,
    clock: Clock,
    admission: Arc<Admission>,
    accepts_joins: bool,
}

/// How a listener admits peers.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// For the times in hellos.
    pub clock: Clock,
    /// Tells peers of a former process of this listener that their connections are gone.
    pub reset: ResetSecret,
    /// Limits for peers that are not known yet.
    pub limits: AdmissionLimits,
    /// Whether a peer without a certificate is let through TLS, to join.
    pub accepts_joins: bool,
}

/// A connection attempt before the handshake.
#[derive(Debug)]
pub struct IncomingConnection {
    incoming: Incoming,
    clock: Clock,
    admitted: Admitted,
}

/// A connection that sent its hello and waits for the welcome.
#[derive(Debug)]
pub enum NewSession {
    /// The peer presented a certificate of our authority.
    Peer(PeerSession),
    /// The peer has no certificate and may only join.
    Join(JoinSession),
}

/// A connection from a machine without a certificate.
#[derive(Debug)]
pub struct JoinSession {
    clock: Clock,
    connection: Connection,
    hello: Hello,
    sender: FrameSender,
    receiver: FrameReceiver,
    /// Held until the peer has joined.
    _admitted: Admitted,
}

/// A connection from a known peer that sent its hello and waits for the welcome.
#[derive(Debug)]
pub struct PeerSession {
    clock: Clock,
    /// The QUIC connection, for further streams.
    pub connection: Connection,
    /// Role and name of the peer.
    pub certificate: PeerCertificate,
    /// The peer's first frame.
    pub hello: Hello,
    /// Sends control frames to the peer.
    pub sender: FrameSender,
    /// Receives the peer's control frames.
    pub receiver: FrameReceiver,
    /// Counts the connection while it is served.
    _slot: OwnedSemaphorePermit,
}

impl Listener {
    /// Listens on `address` as `identity`.
    ///
    /// # Errors
    /// The address is in use or not allowed, or TLS rejects the identity.
    pub fn bind(
        address: SocketAddr,
        identity: &Identity,
        options: ListenOptions,
    ) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Listen { address, source };
        let config = Some(server_config(identity, options.accepts_joins)?);
        let socket = bind(address).map_err(failed)?;
        enlarge_buffer(&socket);
        let endpoint = Endpoint::new(
            endpoint_config(&options.reset, options.limits.connections, &options.clock),
            config,
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(failed)?;
        Ok(Self {
            endpoint,
            clock: options.clock,
            admission: Arc::new(Admission::new(options.limits)),
            accepts_joins: options.accepts_joins,
        })
    }

    /// Presents another identity to later connections.
    ///
    /// # Errors
    /// TLS rejects the identity.
    pub fn set_identity(&self, identity: &Identity) -> Result<(), LinkError> {
        let config = server_config(identity, self.accepts_joins)?;
        self.endpoint.set_server_config(Some(config));
        Ok(())
    }

    /// The local address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.local_addr().ok()
    }

    /// The address that programs on this machine connect to.
    pub fn loopback(&self) -> Option<SocketAddr> {
        self.address().map(loopback_of)
    }

    /// The next connection attempt, or one that exceeded a limit; `None` once the listener is closed.
    pub async fn accept(&self) -> Option<Result<IncomingConnection, Refusal>> {
        let next = self.admission.next(&self.endpoint).await?;
        Some(next.map(|(incoming, admitted)| IncomingConnection {
            incoming,
            clock: self.clock.clone(),
            admitted,
        }))
    }

    /// Closes every connection and waits briefly for the close frames to leave.
    pub async fn close(&self) {
        close_endpoint(&self.endpoint, b"the hub is stopping").await;
    }
}

impl IncomingConnection {
    /// The peer's address, which may be forged until it is validated.
    pub fn address(&self) -> SocketAddr {
        canonical(self.incoming.remote_address())
    }

    /// Completes the TLS handshake and receives the hello.
    ///
    /// # Errors
    /// TLS fails, the certificate names no peer, or no valid hello arrives in time; the peer learns the reason.
    pub async fn handshake(self) -> Result<NewSession, LinkError> {
        let deadline = Instant::now() + HELLO_TIMEOUT;
        let connecting = self.incoming.accept()?;
        let connection = timeout_at(deadline, connecting)
            .await
            .map_err(|_| LinkError::HelloTimeout)??;
        let hello = receive_hello(connection.clone(), self.clock, self.admitted);
        let session = timeout_at(deadline, hello).await;
        let session = session.unwrap_or(Err(LinkError::HelloTimeout));
        session.inspect_err(|error| close_with(&connection, error))
    }
}

async fn receive_hello(
    connection: Connection,
    clock: Clock,
    admitted: Admitted,
) -> Result<NewSession, LinkError> {
    let known = peer_certificate(&connection)?;
    let (send, recv) = connection.accept_bi().await?;
    let sender = FrameSender::new(send);
    let mut receiver = FrameReceiver::new(recv);
    receiver.limit(UNKNOWN_FRAME_BYTES_MAX);
    let hello = receiver
        .next::<Hello>()
        .await?
        .ok_or(LinkError::StreamEnded)?;
    Ok(match known {
        Some(certificate) => NewSession::Peer(PeerSession {
            clock,
            connection,
            certificate,
            hello,
            sender,
            receiver,
            _slot: admitted.connection,
        }),
        None => NewSession::Join(JoinSession {
            clock,
            connection,
            hello,
            sender,
            receiver,
            _admitted: admitted,
        }),
    })
}

impl JoinSession {
    /// Whether the hello asks to join; nothing else is allowed.
    pub fn wants_to_join(&self) -> bool {
        self.hello.purpose == Purpose::Join
    }

    /// Sends the welcome and receives the join request.
    ///
    /// # Errors
    /// The connection ends, or no valid request arrives in time; the peer learns the reason.
    pub async fn request(&mut self, hub: &str, version: &str) -> Result<JoinRequest, LinkError> {
        let exchange = async {
            let welcome = welcome(&self.hello, hub, version, &self.clock);
            self.sender.send(&welcome).await?;
            self.receiver.next().await
        };
        let request = timeout(HELLO_TIMEOUT, exchange).await;
        let request = request.unwrap_or(Err(LinkError::HelloTimeout));
        let request = request.and_then(|request| request.ok_or(LinkError::StreamEnded));
        request.inspect_err(|error| close_with(&self.connection, error))
    }

    /// Sends the reply, waits for its delivery and closes the connection.
    pub async fn reply(mut self, reply: &JoinReply) {
        deliver(&mut self.sender, reply).await;
        self.connection.close(CloseCode::Done.into(), b"");
    }

    /// Refuses the connection with a reason.
    pub async fn refuse(self, reason: &str) {
        refuse(&self.connection, self.sender, reason).await;
    }
}

/// Sends a last message and waits for its delivery, within a time-out because some peers never read it.
async fn deliver(sender: &mut FrameSender, message: &impl Serialize) {
    let delivered = async {
        if sender.send(message).await.is_ok() {
            sender.delivered().await;
        }
    };
    let _ = timeout(DELIVERY_TIMEOUT, delivered).await;
}

/// Closes the connection with the error as the reason.
fn close_with(connection: &Connection, error: &LinkError) {
    connection.close(CloseCode::Protocol.into(), error.to_string().as_bytes());
}

fn welcome(hello: &Hello, hub: &str, version: &str, clock: &Clock) -> Welcome {
    Welcome::Accepted {
        minor: MINOR.min(hello.minor),
        version: Label::new(version),
        name: Label::new(hub),
        now: clock.now(),
    }
}

async fn refuse(connection: &Connection, sender: FrameSender, reason: &str) {
    let refused = Welcome::Refused {
        reason: Label::new(reason),
    };
    refuse_with(connection, sender, &refused, reason).await;
}

async fn refuse_with(
    connection: &Connection,
    mut sender: FrameSender,
    refused: &Welcome,
    reason: &str,
) {
    deliver(&mut sender, refused).await;
    connection.close(CloseCode::Refused.into(), reason.as_bytes());
}

impl PeerSession {
    /// Accepts the peer: sends the welcome and raises the connection's limits.
    ///
    /// # Errors
    /// The welcome cannot be sent in time.
    pub async fn accept(&mut self, hub: &str, version: &str) -> Result<(), LinkError> {
        self.receiver.limit(FRAME_BYTES_MAX);
        raise_limits(&self.connection);
        let welcome = welcome(&self.hello, hub, version, &self.clock);
        let sent = timeout(HELLO_TIMEOUT, self.sender.send(&welcome)).await;
        let sent = sent.unwrap_or(Err(LinkError::HelloTimeout));
        sent.inspect_err(|error| close_with(&self.connection, error))
    }

    /// Refuses the peer with a reason, delivered before the connection closes.
    pub async fn refuse(self, reason: &str) {
        refuse(&self.connection, self.sender, reason).await;
    }

    /// Refuses the peer because another machine is connected with its identity.
    pub async fn refuse_copy(self, reason: &str) {
        let refused = Welcome::Copy {
            reason: Label::new(reason),
        };
        refuse_with(&self.connection, self.sender, &refused, reason).await;
    }

    /// How far the peer's clock is ahead of ours, accurate to half a round trip.
    pub fn clock_offset_ms(&self, now: UnixMs) -> i64 {
        let half = self.connection.rtt().as_millis() as i64 / 2;
        let offset = self.hello.now + half - now;
        offset.clamp(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX)
    }
}
