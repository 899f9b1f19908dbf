//! TLS handshakes: whether the chain is trusted, and when its certificate expires.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Attempt, add};

/// The verifier of what the system trusts; where it has nothing, of the public authorities.
pub(super) fn trusted(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .ok()
}

/// Notes the server's certificate, trusted or not, before its chain is verified.
#[derive(Debug)]
struct Recorder {
    provider: Arc<CryptoProvider>,
    /// None if every chain is accepted.
    trusted: Option<Arc<WebPkiServerVerifier>>,
    seen: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.to_vec());
        match &self.trusted {
            Some(trusted) => trusted.verify_server_cert(certificate, chain, name, ocsp, now),
            None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl Attempt<'_> {
    /// A whole handshake, never a resumed one: it shows the certificate.
    pub(super) async fn secure(
        &mut self,
        stream: TcpStream,
        host: &str,
        is_verified: bool,
    ) -> Result<TlsStream<TcpStream>, String> {
        let environment = self.environment;
        if is_verified && environment.trusted.is_none() {
            return Err("this system trusts no authority of certificates".to_owned());
        }
        let recorder = Arc::new(Recorder {
            provider: Arc::clone(&environment.provider),
            trusted: environment.trusted.clone().filter(|_| is_verified),
            seen: Mutex::new(None),
        });
        let config = ClientConfig::builder_with_provider(Arc::clone(&environment.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&recorder) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| format!("{host} cannot be the name of a certificate"))?;
        let start = environment.clock.instant();
        let connected = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await;
        let took = environment.clock.instant() - start;
        let seen = recorder
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.expiry_s = seen.and_then(|certificate| {
            let (_, certificate) = x509_parser::parse_x509_certificate(&certificate).ok()?;
            let until = certificate.validity().not_after.timestamp();
            Some(until.saturating_sub(environment.clock.now().0 / 1000))
        });
        let connected = connected.map_err(|error| self.explain(&error))?;
        add(&mut self.phases.tls, took);
        Ok(connected)
    }

    fn explain(&self, error: &std::io::Error) -> String {
        use rustls::{CertificateError, Error};
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>());
        match inner {
            Some(Error::InvalidCertificate(problem)) => match problem {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    let days = self.expiry_s.map_or(0, |left| -left / 86_400);
                    format!("the certificate expired {days} days ago")
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "the certificate is not valid yet".to_owned()
                }
                CertificateError::UnknownIssuer => {
                    "the certificate is of an authority that this system does not trust".to_owned()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "the certificate is for another name".to_owned()
                }
                other => format!("the certificate is not valid: {other:?}"),
            },
            Some(other) => format!("no TLS handshake: {other}"),
            None => format!("no TLS handshake: {}", super::reason(error)),
        }
    }
}
