//! TLS by the files of a destination.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, crypto};

use super::DestinationError;
use crate::destination::DestinationOptions;

/// What a client of a destination's engine checks and shows.
pub(super) fn client_config(
    options: &DestinationOptions,
) -> Result<ClientConfig, DestinationError> {
    let wrong = |path: &Path, problem: &dyn std::fmt::Display| {
        DestinationError::Setting(format!("cannot read {}: {problem}", path.display()))
    };
    let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>, DestinationError> {
        let read = CertificateDer::pem_file_iter(path).map_err(|error| wrong(path, &error))?;
        let certificates: Vec<_> = read
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(path, &error))?;
        match certificates.is_empty() {
            true => Err(wrong(path, &"it has no certificate in PEM")),
            false => Ok(certificates),
        }
    };
    let mut roots = RootCertStore::empty();
    match &options.ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(path, &error))?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let setting = |error: rustls::Error| DestinationError::Setting(error.to_string());
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(setting)?
        .with_root_certificates(roots);
    match &options.identity {
        Some((path, key_path)) => {
            let key =
                PrivateKeyDer::from_pem_file(key_path).map_err(|error| wrong(key_path, &error))?;
            config
                .with_client_auth_cert(certificates(path)?, key)
                .map_err(|error| wrong(path, &error))
        }
        None => Ok(config.with_no_client_auth()),
    }
}
