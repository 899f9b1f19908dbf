//! TLS for the page: certificates in files, or fetched by ACME.

mod acme;
mod files;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::server::WantsServerCert;
use rustls::{ConfigBuilder, ServerConfig};
use tokio_rustls::TlsAcceptor;

pub use acme::AcmeOptions;

/// The files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of them cannot be read.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: rustls::pki_types::pem::Error,
    },
    /// Where what is fetched is to be kept nothing can be.
    #[error(transparent)]
    Kept(#[from] sysmon_certs::CertError),
    /// They do not fit.
    #[error("certificate and key cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// One of them is not there.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Where the page's certificate comes from.
#[derive(Debug)]
pub struct Tls(Source);

#[derive(Debug)]
enum Source {
    Files(files::Files),
    Acme(Box<acme::Acme>),
}

impl Tls {
    /// Reads certificate and key from files, and again when they change.
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = files::Files::read(certificate, key)?;
        Ok(Self(Source::Files(files)))
    }

    /// Fetches a certificate by ACME, and renews it; until the first is there nobody gets in.
    pub fn fetch(options: AcmeOptions) -> Result<Self, TlsError> {
        let acme = Box::new(acme::Acme::new(options)?);
        Ok(Self(Source::Acme(acme)))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(match &self.0 {
            Source::Files(files) => files.config(),
            Source::Acme(acme) => acme.config(),
        })
    }

    /// Whether a connection was there only to see that the page's name leads here.
    pub(super) fn is_challenge(protocol: Option<&[u8]>) -> bool {
        protocol == Some(acme::PROTOCOL)
    }

    /// Sees to it that the certificate is a good one, for ever.
    pub(super) async fn renew(&self) {
        match &self.0 {
            Source::Files(files) => files.renew().await,
            Source::Acme(acme) => acme.renew().await,
        }
    }
}

/// A configuration that speaks HTTP.
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
