//! The joining side: a new key pair, the request to sign it, and trust in a hub by its fingerprint.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sysmon_clock::Random;

use crate::provider::{no_tls12, provider, verify_signature};
use crate::{CertError, Fingerprint, Identity, key};

/// A key pair without a certificate yet.
#[derive(Debug)]
pub struct JoinKey(KeyPair);

impl JoinKey {
    /// Generates a key pair; the private key never leaves this machine.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn generate(random: &Random) -> Result<Self, CertError> {
        Ok(Self(key::generate(random)?))
    }

    /// The signing request (PKCS #10, DER), which proves possession of the private key.
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn request(&self) -> Result<Vec<u8>, CertError> {
        let request = CertificateParams::default().serialize_request(&self.0)?;
        Ok(request.der().to_vec())
    }

    /// The identity with the certificate that the hub issued.
    ///
    /// # Errors
    /// The certificate is not for this key, or not from the authority with this fingerprint.
    pub fn identity(
        self,
        authority_pem: &str,
        certificate_pem: &str,
        fingerprint: Fingerprint,
    ) -> Result<Identity, CertError> {
        let identity = Identity::from_pem(
            authority_pem.to_owned(),
            certificate_pem.to_owned(),
            self.0.serialize_pem(),
        )?;
        let mut authorities = identity.authorities().iter();
        if authorities.any(|authority| Fingerprint::of(authority) == fingerprint) {
            Ok(identity)
        } else {
            Err(CertError::Tls(
                "the hub sent another authority than the one the token names".to_owned(),
            ))
        }
    }
}

impl JoinKey {
    /// The identity with the certificate that a hub issued over a channel that proves which hub it is.
    ///
    /// # Errors
    /// The certificate is not for this key.
    pub fn paired(self, authority_pem: &str, certificate_pem: &str) -> Result<Identity, CertError> {
        let key = self.0.serialize_pem();
        Identity::from_pem(authority_pem.to_owned(), certificate_pem.to_owned(), key)
    }
}

/// For a machine without a certificate: connects only to the hub whose authority has this fingerprint.
///
/// # Errors
/// TLS cannot be set up.
pub fn join_config(fingerprint: Fingerprint, alpn: &[&[u8]]) -> Result<ClientConfig, CertError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| CertError::Tls(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ByFingerprint(fingerprint)))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Verifies the server against the authority with a known fingerprint.
#[derive(Debug)]
struct ByFingerprint(Fingerprint);

impl ServerCertVerifier for ByFingerprint {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let known = intermediates
            .iter()
            .find(|shown| Fingerprint::of(shown) == self.0);
        let authority = known.ok_or(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer,
        ))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Role};
    use sysmon_clock::Clock;

    #[test]
    fn a_signed_request_becomes_an_identity_of_that_authority_only() {
        let now = Clock::system().system_time();
        let authority = Authority::in_memory(now, &Random::system()).unwrap();
        let name = "a".parse().unwrap();
        let sign = || {
            let key = JoinKey::generate(&Random::system()).unwrap();
            let signed = authority
                .sign(&key.request().unwrap(), Role::Agent, &name, now, 1)
                .unwrap();
            (key, signed)
        };
        let (key, signed) = sign();
        let print = authority.fingerprint().unwrap();
        let identity = key
            .identity(&signed.authority_pem, &signed.certificate_pem, print)
            .unwrap();
        assert_eq!(identity.peer().to_string(), "agent a");
        let (key, signed) = sign();
        let other = Fingerprint([0; 32]);
        assert!(
            key.identity(&signed.authority_pem, &signed.certificate_pem, other)
                .is_err()
        );
        // A certificate for another key is none for ours.
        let (key, _) = sign();
        assert!(
            key.identity(&signed.authority_pem, &signed.certificate_pem, print)
                .is_err()
        );
        assert!(
            authority
                .sign(b"garbage", Role::Agent, &name, now, 1)
                .is_err()
        );
    }
}
