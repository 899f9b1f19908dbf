//! The cryptography that TLS uses, and what verifiers of single keys share.

use std::sync::Arc;

use rustls::DigitallySignedStruct;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::CertificateDer;

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let algorithms = provider().signature_verification_algorithms;
    verify_tls13_signature(message, certificate, signature, &algorithms)
}

pub(crate) fn no_tls12<T>() -> Result<T, rustls::Error> {
    Err(rustls::Error::General(
        "TLS 1.2 is not supported".to_owned(),
    ))
}
