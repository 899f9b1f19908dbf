//! TLS for browsers, with certificates from files or by ACME.

#[cfg(feature = "acme")]
mod acme;
mod files;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WantsServerCert;
use rustls::{ConfigBuilder, ServerConfig};
use tokio_rustls::TlsAcceptor;

#[cfg(feature = "acme")]
pub use acme::AcmeOptions;

/// The protocol of TLS-ALPN-01, in which the certificate authority checks that a domain leads here.
const ACME_TLS_ALPN: &[u8] = b"acme-tls/1";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {0}: {1}")]
    File(PathBuf, rustls::pki_types::pem::Error),
    #[error(transparent)]
    Cache(#[from] sysmon_files::FileError),
    #[error("cannot use certificate and key: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, io::Error),
}

#[derive(Debug)]
pub struct Tls(Source);

#[derive(Debug)]
enum Source {
    Files(files::Files),
    #[cfg(feature = "acme")]
    Acme(Box<acme::Acme>),
}

impl Tls {
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = files::Files::read(certificate, key)?;
        Ok(Self(Source::Files(files)))
    }

    /// Obtains a certificate by ACME and renews it; handshakes fail until the first one is there.
    #[cfg(feature = "acme")]
    pub fn acme(options: AcmeOptions) -> Result<Self, TlsError> {
        let acme = Box::new(acme::Acme::new(options)?);
        Ok(Self(Source::Acme(acme)))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(match &self.0 {
            Source::Files(files) => files.config(),
            #[cfg(feature = "acme")]
            Source::Acme(acme) => acme.config(),
        })
    }

    /// Whether the connection was only ACME's check that the domain leads here.
    pub(super) fn is_challenge(protocol: Option<&[u8]>) -> bool {
        protocol == Some(ACME_TLS_ALPN)
    }

    pub(super) async fn renew(&self) {
        match &self.0 {
            Source::Files(files) => files.renew().await,
            #[cfg(feature = "acme")]
            Source::Acme(acme) => acme.renew().await,
        }
    }
}

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
