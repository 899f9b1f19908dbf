//! Pairing an edge: the hub dials it, both prove that they have the code, and the hub signs the edge's key.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, Endpoint, EndpointConfig, TokioRuntime};
use sysmon_certs::{Identity, JoinKey, PairingCode, Role, server_name};
use sysmon_clock::Random;
use sysmon_wire::Label;
use sysmon_wire::message::{Blob, JoinReply, PairOffer, Paired};
use tokio::time::timeout;

use crate::admission::{Admission, AdmissionLimits, Refusal, canonical};
use crate::client::reachable;
use crate::transport::{
    HELLO_TIMEOUT, UNKNOWN_FRAME_BYTES_MAX, bind, close_endpoint, quic_config, quic_server_config,
};
use crate::{CloseCode, FrameReceiver, FrameSender, LinkError};

/// Not the protocol of a running edge, so that the two cannot be confused.
const ALPN: &[u8] = b"sysmon-pair/1";

/// Only one hub is expected, but the port is public.
const ADMISSION: AdmissionLimits = AdmissionLimits {
    connections: 256,
    handshakes_per_network: 8,
    challenge_from: 8,
};

/// Peers without the code that an edge puts up with. The code cannot be guessed; who tries it that often has to be seen.
const ATTEMPTS_MAX: u32 = 1_000;

/// Time for the hub to sign and for the edge to save its identity.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// An edge that waits to be paired.
#[derive(Debug)]
pub struct PairingListener {
    endpoint: Endpoint,
    admission: Admission,
}

/// A paired edge's new identity, and the exchange that tells the hub when it is saved.
#[derive(Debug)]
pub struct PairedEdge {
    /// To be saved before [`PairedEdge::confirm`].
    pub identity: Identity,
    /// The hub's name.
    pub hub: Label,
    connection: Connection,
    sender: FrameSender,
}

impl PairingListener {
    /// Listens on `address` for the hub that has the code.
    ///
    /// # Errors
    /// The address is in use or not allowed, or TLS cannot be set up.
    pub fn bind(address: SocketAddr, code: &PairingCode) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Listen { address, source };
        let config = quic_server_config(code.server_config(&[ALPN])?)?;
        let socket = bind(address).map_err(failed)?;
        let runtime = Arc::new(TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime);
        Ok(Self {
            endpoint: endpoint.map_err(failed)?,
            admission: Admission::new(ADMISSION),
        })
    }

    /// The local address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.local_addr().ok()
    }

    /// Waits for the hub and has it sign a new key as edge `name`. `failed` hears of peers that do not have the code.
    ///
    /// # Errors
    /// The hub refuses, or too many peers without the code came.
    pub async fn pair(
        &self,
        name: &str,
        random: &Random,
        mut failed: impl FnMut(SocketAddr, &LinkError),
    ) -> Result<PairedEdge, LinkError> {
        for _ in 0..ATTEMPTS_MAX {
            let (incoming, _admitted) = match self.admission.next(&self.endpoint).await {
                Some(Ok(admitted)) => admitted,
                Some(Err(Refusal { address, reason })) => {
                    failed(address, &LinkError::Refused(reason.to_owned()));
                    continue;
                }
                None => return Err(LinkError::StreamEnded),
            };
            let address = canonical(incoming.remote_address());
            let connection = match incoming.accept() {
                Ok(connecting) => timeout(HELLO_TIMEOUT, connecting).await,
                Err(error) => Ok(Err(error)),
            };
            let connection = match connection {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => {
                    failed(address, &error.into());
                    continue;
                }
                Err(_) => {
                    failed(address, &LinkError::HelloTimeout);
                    continue;
                }
            };
            // From here on the peer is the hub: it has the code.
            let paired = timeout(EXCHANGE_TIMEOUT, offer(connection.clone(), name, random)).await;
            return match paired {
                Ok(Err(error)) => Err(connection.close_reason().map_or(error, Into::into)),
                Ok(paired) => paired,
                Err(_) => Err(LinkError::HelloTimeout),
            };
        }
        Err(LinkError::TooManyAttempts(ATTEMPTS_MAX))
    }

    /// Waits briefly for the last packets to leave.
    pub async fn close(&self) {
        close_endpoint(&self.endpoint, b"paired").await;
    }
}

async fn offer(
    connection: Connection,
    name: &str,
    random: &Random,
) -> Result<PairedEdge, LinkError> {
    let key = JoinKey::generate(random)?;
    let (send, recv) = connection.open_bi().await?;
    let (mut sender, mut receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
    receiver.limit(UNKNOWN_FRAME_BYTES_MAX);
    let offer = PairOffer {
        name: Label::new(name),
        request: Blob(key.request()?),
    };
    sender.send(&offer).await?;
    let reply = receiver.next::<JoinReply>().await?;
    match reply.ok_or(LinkError::StreamEnded)? {
        JoinReply::Granted {
            authority,
            certificate,
        } => {
            let text = |blob: &Blob| String::from_utf8_lossy(&blob.0).into_owned();
            let identity = key.paired(&text(&authority), &text(&certificate))?;
            if identity.peer().role != Role::Edge {
                let found = identity.peer();
                return Err(LinkError::Refused(format!(
                    "the hub signed the key for {found}, not for an edge"
                )));
            }
            let hub = receiver.next::<Paired>().await?;
            Ok(PairedEdge {
                identity,
                hub: hub.ok_or(LinkError::StreamEnded)?.name,
                connection,
                sender,
            })
        }
        JoinReply::Refused { reason } => Err(LinkError::Refused(reason.to_string())),
    }
}

impl PairedEdge {
    /// Tells the hub that the identity is saved.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn confirm(mut self) -> Result<(), LinkError> {
        let name = Label::new(self.identity.peer().name.as_str());
        self.sender.send(&Paired { name }).await?;
        self.sender.finish();
        // The hub closes the connection once it knows.
        let _ = timeout(HELLO_TIMEOUT, self.connection.closed()).await;
        Ok(())
    }
}

/// The hub's side of a pairing, connected to an edge that has the code.
#[derive(Debug)]
pub struct Pairing {
    /// What the edge asks for.
    pub offer: PairOffer,
    endpoint: Endpoint,
    connection: Connection,
    sender: FrameSender,
    receiver: FrameReceiver,
}

impl Pairing {
    /// Dials the edge at `target` (`HOST:PORT`).
    ///
    /// # Errors
    /// Nothing answers there, or what answers does not have the code.
    pub async fn connect(target: &str, code: &PairingCode) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Resolve {
            target: target.to_owned(),
            source,
        };
        let addresses = tokio::net::lookup_host(target).await.map_err(failed)?;
        let socket =
            bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))).map_err(LinkError::Socket)?;
        let runtime = Arc::new(TokioRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime);
        let endpoint = endpoint.map_err(LinkError::Socket)?;
        let config = quic_config(code.client_config(&[ALPN])?)?;
        let mut error = LinkError::NoAddress(target.to_owned());
        for address in addresses {
            let address = reachable(&endpoint, address);
            let name = server_name(Role::Edge);
            let connecting = endpoint.connect_with(config.clone(), address, name);
            let connecting = connecting.map_err(|error| LinkError::Tls(error.to_string()))?;
            match timeout(HELLO_TIMEOUT, connecting).await {
                Ok(Ok(connection)) => {
                    return Self::receive_offer(endpoint, connection, target).await;
                }
                Ok(Err(lost)) => match LinkError::from(lost) {
                    LinkError::Certificate(_) => return Err(LinkError::Code(target.to_owned())),
                    lost => error = lost,
                },
                Err(_) => error = LinkError::NotPairing(target.to_owned()),
            }
        }
        Err(error)
    }

    async fn receive_offer(
        endpoint: Endpoint,
        connection: Connection,
        target: &str,
    ) -> Result<Self, LinkError> {
        let offer = async {
            let (send, recv) = connection.accept_bi().await?;
            let (sender, mut receiver) = (FrameSender::new(send), FrameReceiver::new(recv));
            receiver.limit(UNKNOWN_FRAME_BYTES_MAX);
            let offer = receiver.next::<PairOffer>().await?;
            Ok((offer.ok_or(LinkError::StreamEnded)?, sender, receiver))
        };
        let (offer, sender, receiver) = match timeout(HELLO_TIMEOUT, offer).await {
            Ok(Ok(offer)) => offer,
            // An edge that does not accept our key closes the connection after our side of the handshake.
            Ok(Err(error)) => {
                return Err(match connection.close_reason().map(LinkError::from) {
                    Some(LinkError::Certificate(_)) => LinkError::Code(target.to_owned()),
                    Some(lost) => lost,
                    None => error,
                });
            }
            Err(_) => return Err(LinkError::HelloTimeout),
        };
        Ok(Self {
            offer,
            endpoint,
            connection,
            sender,
            receiver,
        })
    }

    /// Sends the certificate, and waits until the edge has saved it.
    ///
    /// # Errors
    /// The connection is lost, or the edge cannot save its identity.
    pub async fn grant(
        mut self,
        hub: &str,
        authority_pem: &str,
        certificate_pem: &str,
    ) -> Result<(), LinkError> {
        let granted = JoinReply::Granted {
            authority: Blob(authority_pem.as_bytes().to_vec()),
            certificate: Blob(certificate_pem.as_bytes().to_vec()),
        };
        self.sender.queue(&granted)?;
        let name = Label::new(hub);
        self.sender.queue(&Paired { name })?;
        self.sender.flush().await?;
        let saved = timeout(EXCHANGE_TIMEOUT, self.receiver.next::<Paired>()).await;
        let saved = saved.map_err(|_| LinkError::HelloTimeout)?;
        self.connection.close(CloseCode::Done.into(), b"");
        close_endpoint(&self.endpoint, b"").await;
        saved?.ok_or(LinkError::StreamEnded)?;
        Ok(())
    }

    /// Refuses the edge, which learns the reason.
    pub async fn refuse(mut self, reason: &str) {
        let refused = JoinReply::Refused {
            reason: Label::new(reason),
        };
        if self.sender.send(&refused).await.is_ok() {
            let _ = timeout(HELLO_TIMEOUT, self.sender.delivered()).await;
        }
        self.connection.close(CloseCode::Refused.into(), b"refused");
        close_endpoint(&self.endpoint, b"").await;
    }
}
