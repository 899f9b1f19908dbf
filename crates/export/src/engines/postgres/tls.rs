//! TLS for connections to PostgreSQL.

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::destination::DestinationOptions;
use crate::engines::DestinationError;
use crate::engines::tls::client_config;

/// Whether every server is on this machine.
pub(super) fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

pub(super) fn connector(
    options: &DestinationOptions,
) -> Result<MakeRustlsConnect, DestinationError> {
    Ok(MakeRustlsConnect::new(client_config(options)?))
}
