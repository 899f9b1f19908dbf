//! The side that connects: agents, terminals, and the hub towards its edges.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, SendStream, TokioRuntime};
use sysmon_certs::{Fingerprint, Identity, JoinKey, Role, Token, join_config, server_name};
use sysmon_wire::message::{Blob, Hello, JoinReply, JoinRequest, Purpose, Reply, Request, Welcome};
use sysmon_wire::{ALPN, Label, MINOR, UnixMs};

use crate::renewal::is_due;
use crate::transport::{HELLO_TIMEOUT, bind, client_config, farewell, quic_config};
use crate::{CloseCode, FrameReceiver, FrameSender, LinkError};

/// Time to wait for an answer from one address before the next is tried.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens connections to a hub with one identity.
#[derive(Clone, Debug)]
pub struct Connector {
    endpoint: Endpoint,
    pub(crate) credentials: Arc<Mutex<Credentials>>,
    /// One for each connector that uses the socket.
    users: Arc<()>,
    version: Label,
}

/// What a connector shows from its next connection on.
#[derive(Debug)]
pub(crate) struct Credentials {
    config: ClientConfig,
    /// None while it joins.
    pub(crate) identity: Option<Identity>,
    /// Whether the last hub it was shown to would renew it.
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
    /// The connection.
    pub connection: Connection,
    /// Control frames up.
    pub sender: FrameSender,
    /// Control frames down.
    pub receiver: FrameReceiver,
    /// Name of the hub.
    pub hub: Label,
    /// Version of its program.
    pub version: Label,
    /// Minor version both sides use.
    pub minor: u16,
    /// How far this machine's clock is ahead of the hub's, give or take half a round trip.
    pub clock_offset_ms: i64,
}

impl Connector {
    /// Connects as `identity`; `version` is the program's, for people.
    pub fn new(identity: &Identity, version: &str) -> Result<Self, LinkError> {
        Self::from_credentials(Credentials::of(identity)?, version)
    }

    fn from_credentials(credentials: Credentials, version: &str) -> Result<Self, LinkError> {
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
        })
    }

    /// For a machine without an identity: connects to the hub whose authority has this fingerprint.
    pub fn for_joining(fingerprint: Fingerprint, version: &str) -> Result<Self, LinkError> {
        let tls = join_config(fingerprint, &[ALPN])?;
        let credentials = Credentials {
            config: quic_config(tls)?,
            identity: None,
            is_due: false,
        };
        Self::from_credentials(credentials, version)
    }

    /// One that connects as another identity over the same socket.
    pub fn with_identity(&self, identity: &Identity) -> Result<Self, LinkError> {
        Ok(Self {
            credentials: Arc::new(Mutex::new(Credentials::of(identity)?)),
            ..self.clone()
        })
    }

    pub(crate) fn credentials(&self) -> MutexGuard<'_, Credentials> {
        self.credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to `target`, a `HOST:PORT`, and says hello. Every address of the name is tried.
    pub async fn connect(&self, target: &str, purpose: Purpose) -> Result<HubSession, LinkError> {
        self.connect_as(target, Role::Hub, purpose).await
    }

    /// Connects to a peer of another role that listens: an edge.
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
                .connect_to(self.reachable(address), role, purpose)
                .await
            {
                Ok(session) => return Ok(session),
                // A refusal is an answer: another address of the same hub would give the same.
                Err(e @ (LinkError::Refused(_) | LinkError::Certificate(_))) => return Err(e),
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    /// An IPv6 socket reaches IPv4 addresses in their mapped form.
    fn reachable(&self, address: SocketAddr) -> SocketAddr {
        let is_v6 = self
            .endpoint
            .local_addr()
            .is_ok_and(|local| local.is_ipv6());
        match address {
            SocketAddr::V4(v4) if is_v6 => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            other => other,
        }
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
                self.credentials().config.clone(),
                address,
                server_name(role),
            )
            .map_err(|e| LinkError::Tls(e.to_string()))?;
        let connection = match tokio::time::timeout(ANSWER_TIMEOUT, connecting).await {
            Ok(connected) => connected?,
            Err(_) => return Err(LinkError::NoAnswer(plain(address))),
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
        let now = UnixMs::from_system(SystemTime::now());
        let version = self.version.clone();
        // A hub that refuses our certificate closes the connection; its reason is worth more than
        // the failure to write or read.
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
                credentials.is_due = identity
                    .is_some_and(|own| is_due(&session.connection, session.clock_offset_ms, own));
                drop(credentials);
                Ok(session)
            }
            Ok(Some(Welcome::Refused { reason })) => {
                connection.close(CloseCode::Done.into(), b"");
                Err(LinkError::Refused(reason.to_string()))
            }
            Ok(None) | Err(LinkError::StreamEnded) => Err(connection.closed().await.into()),
            Err(error) => Err(connection.close_reason().map_or(error, Into::into)),
        }
    }

    /// Closes every connection, and leaves the word time to go out. A socket that others use too stays
    /// open: its connections close when they are dropped.
    pub async fn close(&self) {
        if Arc::strong_count(&self.users) == 1 {
            farewell(&self.endpoint, b"stopping").await;
        }
    }

    /// Gets a first certificate with a token: a key pair is made here, and signed by the hub.
    pub async fn join(
        &self,
        target: &str,
        token: &Token,
        name: &str,
    ) -> Result<Identity, LinkError> {
        let mut session = self.connect(target, Purpose::Join).await?;
        let key = JoinKey::generate()?;
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

/// The address as people write it.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl HubSession {
    /// Sends a request; its replies come on a stream of their own.
    pub async fn request(&self, request: &Request) -> Result<Replies, LinkError> {
        Replies::open(&self.connection, request).await
    }
}

/// Answers to one request. Dropping it cancels the request.
#[derive(Debug)]
pub struct Replies {
    frames: FrameReceiver,
    _request: SendStream,
}

impl Replies {
    /// Opens a stream for `request`.
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

    /// The next answer; `None` after the last. Can be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Reply>, LinkError> {
        self.frames.next().await
    }
}

/// The address an agent or terminal on the hub's own machine connects to.
pub(crate) fn loopback_of(listening: SocketAddr) -> SocketAddr {
    let ip = match listening {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        other => other.ip().to_canonical(),
    };
    SocketAddr::new(ip, listening.port())
}
