//! TLS for connections to PostgreSQL.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::destination::DestinationOptions;
use crate::engines::DestinationError;

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
    let setting = |problem: String| DestinationError::Setting(problem);
    let mut roots = RootCertStore::empty();
    match &options.ca {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path);
            let certificates = certificates
                .map_err(|error| setting(format!("cannot read {}: {error}", path.display())))?;
            for certificate in certificates {
                let certificate = certificate
                    .map_err(|error| setting(format!("cannot read {}: {error}", path.display())))?;
                roots
                    .add(certificate)
                    .map_err(|error| setting(format!("{}: {error}", path.display())))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config
        .map_err(|error| setting(error.to_string()))?
        .with_root_certificates(roots);
    let config = match &options.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let wrong = |path: &std::path::Path, error: &dyn std::fmt::Display| {
                setting(format!("cannot read {}: {error}", path.display()))
            };
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let chain = chain.map_err(|error| wrong(certificate, &error))?;
            let of_file = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, &error))?;
            config
                .with_client_auth_cert(chain, of_file)
                .map_err(|error| wrong(certificate, &error))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}
