//! Pairing: a hub that dials out and an edge without a certificate recognize each other by a code.
//!
//! Both derive two Ed25519 keys from the code, one for each side, and each presents a certificate of its key in TLS 1.3.
//! A man in the middle has neither key, so the code is what the channel is bound to. A code has 125 random bits:
//! it cannot be guessed, neither by trying nor from a recorded handshake.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use ring::hmac;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme,
};
use sysmon_clock::Random;
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::provider::{no_tls12, provider, verify_signature};
use crate::{CertError, Role, key, server_name};

/// Digits of a code, five bits each.
const DIGITS: usize = 25;

/// Digits between two dashes.
const GROUP: usize = 5;

/// Without the digits that look like others: I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A pairing code, as an operator copies it from the edge to the hub.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode([u8; DIGITS]);

/// The text is not a pairing code.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "not a pairing code: copy the five groups of five characters that `sysmon-edge pair` printed"
)]
pub struct PairingCodeError;

impl PairingCode {
    /// A new code.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn generate(random: &Random) -> Result<Self, CertError> {
        let mut bytes = [0; DIGITS];
        random.fill_secret(&mut bytes)?;
        Ok(Self(bytes.map(digit)))
    }

    /// The key pair of one side.
    fn key(&self, role: Role) -> Result<KeyPair, CertError> {
        let of_code = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let purpose = format!("sysmon pairing key of the {role}");
        let mut seed = [0; 32];
        seed.copy_from_slice(hmac::sign(&of_code, purpose.as_bytes()).as_ref());
        key::ed25519(&seed)
    }

    /// A certificate of one side's key, and the key for TLS.
    fn presented(
        &self,
        role: Role,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertError> {
        let key = self.key(role)?;
        let params = CertificateParams::new([server_name(role).to_owned()])?;
        let certificate = params.self_signed(&key)?.der().clone();
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())
            .map_err(|error| CertError::Tls(error.to_string()))?;
        Ok((vec![certificate], key))
    }

    fn expects(&self, role: Role) -> Result<Arc<ByKey>, CertError> {
        let key = self.key(role)?;
        Ok(Arc::new(ByKey(key.der_bytes().to_vec())))
    }

    /// For the edge: accepts only the hub that has the code.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn server_config(&self, alpn: &[&[u8]]) -> Result<ServerConfig, CertError> {
        let (certificates, key) = self.presented(Role::Edge)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(self.expects(Role::Hub)?)
            .with_single_cert(certificates, key)
            .map_err(tls)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// For the hub: connects only to the edge that has the code.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn client_config(&self, alpn: &[&[u8]]) -> Result<ClientConfig, CertError> {
        let (certificates, key) = self.presented(Role::Hub)?;
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .dangerous()
            .with_custom_certificate_verifier(self.expects(Role::Edge)?)
            .with_client_auth_cert(certificates, key)
            .map_err(tls)?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn digit(byte: u8) -> u8 {
    // 256 is a multiple of 32, so every digit is equally likely.
    ALPHABET
        .get(usize::from(byte) % ALPHABET.len())
        .copied()
        .unwrap_or(b'0')
}

#[expect(clippy::needless_pass_by_value, reason = "the shape map_err wants")]
fn tls(error: rustls::Error) -> CertError {
    CertError::Tls(error.to_string())
}

impl fmt::Display for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, digit) in self.0.iter().enumerate() {
            if at > 0 && at % GROUP == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*digit))?;
        }
        Ok(())
    }
}

impl fmt::Debug for PairingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCode(…)")
    }
}

impl FromStr for PairingCode {
    type Err = PairingCodeError;

    /// Case, spaces and dashes do not matter, and O, I and L are read as the digits that they look like.
    fn from_str(text: &str) -> Result<Self, PairingCodeError> {
        let letters = text
            .chars()
            .filter(|letter| !matches!(letter, '-' | ' ' | '\n' | '\r'));
        let digits: Option<Vec<u8>> = letters
            .map(|letter| {
                let letter = match letter.to_ascii_uppercase() {
                    'O' => '0',
                    'I' | 'L' => '1',
                    other => other,
                };
                u8::try_from(letter)
                    .ok()
                    .filter(|digit| ALPHABET.contains(digit))
            })
            .collect();
        let digits = digits.ok_or(PairingCodeError)?;
        digits.try_into().map(Self).map_err(|_| PairingCodeError)
    }
}

/// Accepts the certificate of one public key.
#[derive(Debug)]
struct ByKey(Vec<u8>);

impl ByKey {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let is_it = X509Certificate::from_der(certificate)
            .is_ok_and(|(_, parsed)| *parsed.public_key().subject_public_key.data == self.0);
        match is_it {
            true => Ok(()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }
}

impl ServerCertVerifier for ByKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity)
            .map(|()| ServerCertVerified::assertion())
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
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for ByKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity)
            .map(|()| ClientCertVerified::assertion())
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
        vec![SignatureScheme::ED25519]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it_and_incomplete_ones_are_refused() {
        let code = PairingCode::generate(&Random::system()).unwrap();
        let text = code.to_string();
        assert_eq!((text.len(), text.split('-').count()), (29, 5));
        assert_eq!(text.parse(), Ok(code.clone()));
        let careless = format!(
            " {}\n",
            text.to_lowercase().replace('-', " ").replace('0', "o")
        );
        assert_eq!(careless.parse(), Ok(code.clone()));
        assert_eq!(text[1..].parse::<PairingCode>(), Err(PairingCodeError));
        assert_eq!(
            format!("{text}A").parse::<PairingCode>(),
            Err(PairingCodeError)
        );
        assert_eq!("hunter2".parse::<PairingCode>(), Err(PairingCodeError));
        assert_ne!(code, PairingCode::generate(&Random::system()).unwrap());
        assert!(!format!("{code:?}").contains(&text));
    }

    #[test]
    fn each_side_knows_the_other_by_the_code_and_is_not_the_other_itself() {
        let code = PairingCode::generate(&Random::system()).unwrap();
        let other = PairingCode::generate(&Random::system()).unwrap();
        let shown = |code: &PairingCode, role| code.presented(role).unwrap().0.remove(0);
        let edge = code.expects(Role::Edge).unwrap();
        assert!(edge.check(&shown(&code, Role::Edge)).is_ok());
        assert!(edge.check(&shown(&other, Role::Edge)).is_err());
        assert!(edge.check(&shown(&code, Role::Hub)).is_err(), "reflected");
        assert!(edge.check(&CertificateDer::from(vec![1, 2, 3])).is_err());
    }
}
