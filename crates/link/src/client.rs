//! The connecting side: agents, terminals, and the hub towards its edges.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, SendStream, TokioRuntime};
use sysmon_certs::{
    Fingerprint, Identity, JoinKey, PeerName, Role, Token, join_config, server_name,
};
use sysmon_clock::{Clock, Random};
use sysmon_wire::message::{Blob, Hello, JoinReply, JoinRequest, Purpose, Reply, Request, Welcome};
use sysmon_wire::{ALPN, Label, MINOR};

use crate::admission::canonical;
use crate::certificate::is_renewal_due;
use crate::transport::{
    HELLO_TIMEOUT, bind, client_config, close_endpoint, for_purpose, quic_config,
};
use crate::{CloseCode, FrameReceiver, FrameSender, LinkError};

/// Time to wait for one address before trying the next.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections to a hub with one identity.
#[derive(Clone, Debug)]
pub struct Connector {
    endpoint: Endpoint,
    pub(crate) credentials: Arc<Mutex<Credentials>>,
    /// Counts the connectors that share the socket.
    users: Arc<()>,
    version: Label,
    clock: Clock,
}

/// What a connector presents from its next connection on.
#[derive(Debug)]
pub(crate) struct Credentials {
    config: ClientConfig,
    /// `None` before joining.
    pub(crate) identity: Option<Identity>,
    /// Whether it was due for renewal at the last connection.
    pub(crate) is_due: bool,
}

impl Credentials {
    pub(crate) fn of(identity: &Identity) -> Result<Self, LinkError> {
        Ok(Self {
            config: client_config(identity)?,
            identity: Some(identity.clone()),
            is_due: false,
        })
    }
}

/// A connection to a hub after its welcome.
#[derive(Debug)]
pub struct HubSession {
    /// The QUIC connection, for further streams.
    pub connection: Connection,
    /// Sends control frames to the hub.
    pub sender: FrameSender,
    /// Receives the hub's control frames.
    pub receiver: FrameReceiver,
    /// The hub's name.
    pub hub: Label,
    /// The version of the hub's program.
    pub version: Label,
    /// The minor protocol version that both sides use.
    pub minor: u16,
    /// How far this machine's clock is ahead of the hub's, accurate to half a round trip.
    pub clock_offset_ms: i64,
}

impl Connector {
    /// Connects as `identity`; `version` is that of the program, for display.
    ///
    /// # Errors
    /// No socket can be opened, or TLS rejects the identity.
    pub fn new(identity: &Identity, version: &str, clock: &Clock) -> Result<Self, LinkError> {
        Self::from_credentials(Credentials::of(identity)?, version, clock)
    }

    fn from_credentials(
        credentials: Credentials,
        version: &str,
        clock: &Clock,
    ) -> Result<Self, LinkError> {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let socket = bind(any).map_err(LinkError::Socket)?;
        let config = EndpointConfig::default();
        let endpoint = Endpoint::new(config, None, socket, Arc::new(TokioRuntime))
            .map_err(LinkError::Socket)?;
        Ok(Self {
            endpoint,
            credentials: Arc::new(Mutex::new(credentials)),
            users: Arc::new(()),
            version: Label::new(version),
            clock: clock.clone(),
        })
    }

    /// For a machine without an identity: connects only to the hub whose authority has this fingerprint.
    ///
    /// # Errors
    /// No socket can be opened, or TLS cannot be set up.
    pub fn for_joining(
        fingerprint: Fingerprint,
        version: &str,
        clock: &Clock,
    ) -> Result<Self, LinkError> {
        let tls = join_config(fingerprint, &[ALPN])?;
        let credentials = Credentials {
            config: quic_config(tls)?,
            identity: None,
            is_due: false,
        };
        Self::from_credentials(credentials, version, clock)
    }

    /// A connector with another identity on the same socket.
    ///
    /// # Errors
    /// TLS rejects the identity.
    pub fn with_identity(&self, identity: &Identity) -> Result<Self, LinkError> {
        Ok(Self {
            credentials: Arc::new(Mutex::new(Credentials::of(identity)?)),
            ..self.clone()
        })
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to `target` (`HOST:PORT`) and says hello, trying every address of the name.
    ///
    /// # Errors
    /// The name does not resolve, no address answers, or the hub refuses.
    pub async fn connect(&self, target: &str, purpose: Purpose) -> Result<HubSession, LinkError> {
        self.connect_as(target, Role::Hub, purpose).await
    }

    /// Like [`Connector::connect`], to a listener of another role: an edge.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect_as(
        &self,
        target: &str,
        role: Role,
        purpose: Purpose,
    ) -> Result<HubSession, LinkError> {
        let failed = |source| LinkError::Resolve {
            target: target.to_owned(),
            source,
        };
        let addresses = tokio::net::lookup_host(target).await.map_err(failed)?;
        let mut error = LinkError::NoAddress(target.to_owned());
        for address in addresses {
            match self
                .connect_to(reachable(&self.endpoint, address), role, purpose)
                .await
            {
                Ok(session) => return Ok(session),
                // The hub would refuse on its other addresses too.
                Err(e @ (LinkError::Refused(_) | LinkError::Certificate(_))) => return Err(e),
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        role: Role,
        purpose: Purpose,
    ) -> Result<HubSession, LinkError> {
        let connecting = self
            .endpoint
            .connect_with(
                for_purpose(self.credentials().config.clone(), purpose),
                address,
                server_name(role),
            )
            .map_err(|e| LinkError::Tls(e.to_string()))?;
        let connection = match tokio::time::timeout(ANSWER_TIMEOUT, connecting).await {
            Ok(connected) => connected?,
            Err(_) => return Err(LinkError::NoAnswer(canonical(address))),
        };
        match tokio::time::timeout(HELLO_TIMEOUT, self.hello(connection, purpose)).await {
            Ok(session) => session,
            Err(_) => Err(LinkError::HelloTimeout),
        }
    }

    async fn hello(
        &self,
        connection: Connection,
        purpose: Purpose,
    ) -> Result<HubSession, LinkError> {
        let (send, recv) = connection.open_bi().await?;
        let mut sender = FrameSender::new(send);
        let mut receiver = FrameReceiver::new(recv);
        let now = self.clock.now();
        let version = self.version.clone();
        let hello = Hello {
            minor: MINOR,
            version,
            purpose,
            now,
        };
        let sent = sender.send(&hello).await;
        let answer = match sent {
            Ok(()) => receiver.next::<Welcome>().await,
            Err(e) => Err(e),
        };
        match answer {
            Ok(Some(Welcome::Accepted {
                minor,
                version,
                name,
                now: hub_now,
            })) => {
                let rtt = connection.rtt().as_millis() as i64;
                let clock_offset_ms = now + rtt / 2 - hub_now;
                let hub = name;
                let session = HubSession {
                    connection,
                    sender,
                    receiver,
                    hub,
                    version,
                    minor,
                    clock_offset_ms,
                };
                let mut credentials = self.credentials();
                let identity = credentials.identity.as_ref();
                credentials.is_due = identity.is_some_and(|identity| {
                    let now = self.clock.system_time();
                    is_renewal_due(&session.connection, now, session.clock_offset_ms, identity)
                });
                drop(credentials);
                Ok(session)
            }
            Ok(Some(Welcome::Refused { reason })) => {
                connection.close(CloseCode::Done.into(), b"");
                Err(LinkError::Refused(reason.to_string()))
            }
            Ok(Some(Welcome::Copy { reason })) => {
                connection.close(CloseCode::Done.into(), b"");
                Err(LinkError::Copy(reason.to_string()))
            }
            // A hub that refuses the certificate closes the connection: that reason says more than a failed read.
            Ok(None) | Err(LinkError::StreamEnded) => Err(connection.closed().await.into()),
            Err(error) => Err(connection.close_reason().map_or(error, Into::into)),
        }
    }

    /// Closes every connection and waits briefly for the close frames to leave. A socket shared with other connectors
    /// stays open: its connections close when they are dropped.
    pub async fn close(&self) {
        if Arc::strong_count(&self.users) == 1 {
            close_endpoint(&self.endpoint, b"stopping").await;
        }
    }

    /// Enrols a machine without an identity with the hub at `target`.
    ///
    /// # Errors
    /// As [`Self::for_joining`] and [`Self::join`].
    pub async fn enrol(
        target: &str,
        token: &Token,
        name: &PeerName,
        version: &str,
        (clock, random): (&Clock, &Random),
    ) -> Result<Identity, LinkError> {
        let connector = Self::for_joining(token.fingerprint(), version, clock)?;
        connector.join(target, token, name.as_str(), random).await
    }

    /// Enrols this machine: generates a key pair here and has the hub sign it, authorized by the token.
    ///
    /// # Errors
    /// The connection fails, the hub refuses the token, or its answer does not match the token.
    pub async fn join(
        &self,
        target: &str,
        token: &Token,
        name: &str,
        random: &Random,
    ) -> Result<Identity, LinkError> {
        let mut session = self.connect(target, Purpose::Join).await?;
        let key = JoinKey::generate(random)?;
        let request = JoinRequest {
            secret: Blob(token.secret().to_vec()),
            name: Label::new(name),
            request: Blob(key.request()?),
        };
        session.sender.send(&request).await?;
        let answer = tokio::time::timeout(HELLO_TIMEOUT, session.receiver.next()).await;
        let answer = answer.map_err(|_| LinkError::HelloTimeout)??;
        match answer.ok_or(LinkError::StreamEnded)? {
            JoinReply::Granted {
                authority,
                certificate,
            } => {
                let text = |blob: &Blob| String::from_utf8_lossy(&blob.0).into_owned();
                let (authority, certificate) = (text(&authority), text(&certificate));
                Ok(key.identity(&authority, &certificate, token.fingerprint())?)
            }
            JoinReply::Refused { reason } => Err(LinkError::Refused(reason.to_string())),
        }
    }
}

/// An IPv6 socket reaches IPv4 addresses in their mapped form.
pub(crate) fn reachable(endpoint: &Endpoint, address: SocketAddr) -> SocketAddr {
    let is_v6 = endpoint.local_addr().is_ok_and(|local| local.is_ipv6());
    match address {
        SocketAddr::V4(v4) if is_v6 => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        other => other,
    }
}

impl HubSession {
    /// Opens a stream for `request`.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn request(&self, request: &Request) -> Result<Replies, LinkError> {
        Replies::open(&self.connection, request).await
    }
}

/// The replies to one request. Dropping it cancels the request.
#[derive(Debug)]
pub struct Replies {
    frames: FrameReceiver,
    _request: SendStream,
}

impl Replies {
    /// Opens a stream for `request`.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn open(connection: &Connection, request: &Request) -> Result<Self, LinkError> {
        let (send, recv) = connection.open_bi().await?;
        let mut sender = FrameSender::new(send);
        sender.send(request).await?;
        sender.finish();
        Ok(Self {
            frames: FrameReceiver::new(recv),
            _request: sender.into_stream(),
        })
    }

    /// The next reply; `None` after the last. Cancel-safe.
    ///
    /// # Errors
    /// The stream ends early or carries bytes that do not decode.
    pub async fn next(&mut self) -> Result<Option<Reply>, LinkError> {
        self.frames.next().await
    }
}
