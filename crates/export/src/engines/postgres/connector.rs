//! How to reach a server.

use std::time::Duration;

use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::tls;
use crate::destination::DestinationOptions;
use crate::engines::DestinationError;

/// Longest time for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Where a server is, and who asks.
pub(crate) struct Connector {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
}

impl Connector {
    /// For sessions with these settings.
    pub(crate) fn new(
        options: &DestinationOptions,
        session: &str,
    ) -> Result<Self, DestinationError> {
        let mut config: tokio_postgres::Config = options.url.reveal().parse().map_err(|_| {
            DestinationError::Setting("url: write postgres://USER@HOST/DATABASE".to_owned())
        })?;
        if let Some((user, password)) = &options.login {
            config.user(user).password(password.reveal());
        }
        config
            .application_name("sysmon-hub")
            .connect_timeout(CONNECT_MAX)
            .options(session);
        if !tls::is_local(&config) && !options.is_set("plaintext") {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
        }
        Ok(Self {
            config,
            tls: tls::connector(options)?,
        })
    }

    /// Connects. The second part has to run for as long as the client is used.
    pub(crate) async fn connect(
        &self,
    ) -> Result<(Client, Connection<Socket, Stream>), tokio_postgres::Error> {
        self.config.connect(self.tls.clone()).await
    }
}
