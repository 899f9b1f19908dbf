//! TLS for browsers, with certificates from files or by ACME.

mod acme;
mod files;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WantsServerCert;
use rustls::{ConfigBuilder, ServerConfig};
use tokio_rustls::TlsAcceptor;

pub use acme::AcmeOptions;

/// Why TLS cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file is unreadable or has no certificate or key.
    #[error("cannot read {0}: {1}")]
    File(PathBuf, rustls::pki_types::pem::Error),
    /// The directory for ACME's account and certificate cannot be used.
    #[error(transparent)]
    Cache(#[from] sysmon_certs::CertError),
    /// The certificate does not belong to the key, or has a form that rustls refuses.
    #[error("cannot use certificate and key: {0}")]
    Tls(#[from] rustls::Error),
    /// A file's metadata cannot be read.
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, io::Error),
}

/// A source of the page's certificate.
#[derive(Debug)]
pub struct Tls(Source);

#[derive(Debug)]
enum Source {
    Files(files::Files),
    Acme(Box<acme::Acme>),
}

impl Tls {
    /// Reads certificate and key from files, and again when they change.
    ///
    /// # Errors
    /// A file is unreadable, or the two do not belong together.
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = files::Files::read(certificate, key)?;
        Ok(Self(Source::Files(files)))
    }

    /// Obtains a certificate by ACME and renews it; handshakes fail until the first one is there.
    ///
    /// # Errors
    /// The cache directory or the file of roots cannot be used.
    pub fn acme(options: AcmeOptions) -> Result<Self, TlsError> {
        let acme = Box::new(acme::Acme::new(options)?);
        Ok(Self(Source::Acme(acme)))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(match &self.0 {
            Source::Files(files) => files.config(),
            Source::Acme(acme) => acme.config(),
        })
    }

    /// Whether the connection was only ACME's check that the domain leads here.
    pub(super) fn is_challenge(protocol: Option<&[u8]>) -> bool {
        protocol == Some(acme::PROTOCOL)
    }

    /// Renews or reloads the certificate until it is dropped.
    pub(super) async fn renew(&self) {
        match &self.0 {
            Source::Files(files) => files.renew().await,
            Source::Acme(acme) => acme.renew().await,
        }
    }
}

/// A server configuration for HTTP/2 and HTTP/1.1.
fn configure(
    finish: impl FnOnce(
        ConfigBuilder<ServerConfig, WantsServerCert>,
    ) -> Result<ServerConfig, rustls::Error>,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth();
    let mut config = finish(builder)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
