//! TLS 1.3 configurations: both sides present a certificate of the same authority.

use std::slice;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;

use crate::provider::provider;
use crate::{CertError, Identity, Role};

impl Identity {
    /// For the listening side. A presented certificate must be from a trusted authority. Where `accepts_joins`, a
    /// client without one is accepted at this level, and may only join.
    ///
    /// # Errors
    /// TLS rejects the identity.
    pub fn server_config(
        &self,
        alpn: &[&[u8]],
        accepts_joins: bool,
    ) -> Result<ServerConfig, CertError> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider());
        let verifier = match accepts_joins {
            true => verifier.allow_unauthenticated(),
            false => verifier,
        };
        let verifier = verifier
            .build()
            .map_err(|e| CertError::Tls(e.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.presented(), self.key())
            .map_err(tls)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // A resumed session would skip verifying the certificate, and so its revocation.
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// For the connecting side: to a server of the same authority, by the server name of its role.
    ///
    /// # Errors
    /// TLS rejects the identity.
    pub fn client_config(&self, alpn: &[&[u8]]) -> Result<ClientConfig, CertError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.presented(), self.key())
            .map_err(tls)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// A hub shows its authorities too: to peers that know one only by its fingerprint, and to those, edges among them,
    /// that have to renew their certificate because one is new.
    fn presented(&self) -> Vec<CertificateDer<'static>> {
        let authorities = match self.peer().role {
            Role::Hub => self.authorities(),
            _ => &[],
        };
        [slice::from_ref(self.certificate()), authorities].concat()
    }

    fn roots(&self) -> Result<RootCertStore, CertError> {
        let mut roots = RootCertStore::empty();
        for authority in self.authorities() {
            roots.add(authority.clone()).map_err(tls)?;
        }
        Ok(roots)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn tls(error: rustls::Error) -> CertError {
    CertError::Tls(error.to_string())
}
