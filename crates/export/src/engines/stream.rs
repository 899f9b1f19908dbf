//! Connections over TCP, with TLS by the destination's files or without, on a thread of their own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::DestinationError;
use super::address::Server;
use super::tls::client_config;
use crate::EngineError;
use crate::destination::DestinationOptions;

/// Longest time until a connection is there, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Longest time that the destination's thread waits for its engine at once.
const WAIT_MAX: Duration = Duration::from_secs(25);

/// A connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Makes connections.
pub(super) struct Dialer {
    tls: Option<TlsConnector>,
    /// Whether others on the network may read what is sent. What a server names, as Sentinel does, is checked too.
    may_be_plain: bool,
}

impl Dialer {
    /// Connections by the settings of a destination; with TLS, `protocol` is asked for if it is not empty.
    pub(super) fn new(
        options: &DestinationOptions,
        is_tls: bool,
        protocol: &[u8],
    ) -> Result<Self, DestinationError> {
        let tls = match is_tls {
            true => {
                let mut config = client_config(options)?;
                let protocols = [protocol]
                    .into_iter()
                    .filter(|protocol| !protocol.is_empty());
                config.alpn_protocols = protocols.map(<[u8]>::to_vec).collect();
                Some(TlsConnector::from(Arc::new(config)))
            }
            false if options.ca.is_some() || options.identity.is_some() => {
                return Err(DestinationError::Setting(
                    "ca, cert and key are for TLS, which the scheme of url does not use".to_owned(),
                ));
            }
            false => None,
        };
        Ok(Self {
            tls,
            may_be_plain: options.is_set("plaintext"),
        })
    }

    /// Connects to a server; an error says which.
    pub(super) async fn dial(&self, server: &Server) -> Result<Box<dyn Stream>, EngineError> {
        let dial = async {
            let tcp = TcpStream::connect((server.host.as_str(), server.port)).await?;
            tcp.set_nodelay(true)?;
            let Some(tls) = &self.tls else {
                if !self.may_be_plain && !tcp.peer_addr()?.ip().is_loopback() {
                    return Err(io::Error::other(
                        "it is not on this machine, and nothing would be encrypted; use TLS, or set plaintext = true",
                    ));
                }
                return Ok(Box::new(tcp) as Box<dyn Stream>);
            };
            let name = ServerName::try_from(server.host.clone()).map_err(io::Error::other)?;
            Ok::<_, io::Error>(Box::new(tls.connect(name, tcp).await?) as Box<dyn Stream>)
        };
        let failed = |reason: &str| {
            EngineError::unavailable(format!("cannot connect to {server}: {reason}"))
        };
        match timeout(CONNECT_MAX, dial).await {
            Ok(connected) => connected.map_err(|error| failed(&error.to_string())),
            Err(_) => Err(failed("no answer in time")),
        }
    }
}

/// Runs futures on the calling thread. It is made by the first one, since it must not end on a thread of another runtime.
#[derive(Debug, Default)]
pub(super) struct Waiter(Option<Runtime>);

impl Waiter {
    /// Waits for a future, but not for long.
    pub(super) fn wait<T>(
        &mut self,
        future: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let runtime = match self.0.take() {
            Some(runtime) => runtime,
            None => Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| EngineError::unavailable(error.to_string()))?,
        };
        let runtime = self.0.insert(runtime);
        let waited = runtime.block_on(async { timeout(WAIT_MAX, future).await });
        waited.unwrap_or_else(|_| {
            Err(EngineError::unavailable(
                "the engine does not answer in time",
            ))
        })
    }
}
