//! TLS 1.3 for HTTP clients, which have no certificate.

use std::path::Path;

use rustls::ServerConfig;
use rustls::version::TLS13;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sysmon_files::{read_public, read_secret};

use crate::provider::provider;
use crate::{CertError, Identity};

impl Identity {
    /// With this certificate, which clients verify by the hub's authority and [`crate::server_name`].
    ///
    /// # Errors
    /// TLS rejects the identity.
    pub fn https_config(&self) -> Result<ServerConfig, CertError> {
        configure(vec![self.certificate().clone()], self.key())
    }
}

/// With a certificate chain and a key in files (PEM).
///
/// # Errors
/// A file cannot be read, other users can read the key, or the two do not belong together.
pub fn https_config_of(certificate: &Path, key: &Path) -> Result<ServerConfig, CertError> {
    let damaged = |path: &Path, reason: String| CertError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let pem = read_public(certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|error| damaged(certificate, error.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(read_secret(key)?.as_bytes());
    let private = private.map_err(|error| damaged(key, error.to_string()))?;
    configure(chain, private)
}

fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, CertError> {
    let tls = |error: rustls::Error| CertError::Tls(error.to_string());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(tls)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
