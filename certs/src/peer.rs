//! The peer that a certificate names.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use crate::{CertError, PeerName, Role};

/// A certificate names its peer by a URI among the subject alternative names: `sysmon://ROLE/NAME`.
const SCHEME: &str = "sysmon://";

/// A role and a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// What the peer may do.
    pub role: Role,
    /// Unique within its role.
    pub name: PeerName,
}

impl Peer {
    /// The URI in the peer's certificate.
    pub(crate) fn uri(&self) -> String {
        format!("{SCHEME}{}/{}", self.role, self.name)
    }

    fn from_uri(uri: &str) -> Option<Self> {
        let (role, name) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        Some(Self {
            role: role.parse().ok()?,
            name: name.parse().ok()?,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

/// The peer named by an end certificate (DER) whose chain is verified.
///
/// # Errors
/// It does not parse, is an authority's, or names no peer or several.
pub fn peer_of(certificate: &[u8]) -> Result<Peer, CertError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CertError::NoPeer)?;
    if certificate.is_ca() {
        return Err(CertError::NoPeer);
    }
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .ok_or(CertError::NoPeer)?;
    let mut peers = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Peer::from_uri(uri),
            _ => None,
        });
    match (peers.next(), peers.next()) {
        (Some(peer), None) => Ok(peer),
        _ => Err(CertError::NoPeer),
    }
}

/// Whether a signing request (PKCS #10, DER) is for the key of a certificate (DER).
pub fn is_of_same_key(request: &[u8], certificate: &[u8]) -> bool {
    let request = X509CertificationRequest::from_der(request);
    let certificate = X509Certificate::from_der(certificate);
    matches!((request, certificate), (Ok((_, request)), Ok((_, certificate)))
        if request.certification_request_info.subject_pki.raw == certificate.public_key().raw)
}

/// The serial number of a certificate (DER) in hexadecimal digits.
///
/// # Errors
/// The certificate does not parse.
pub fn serial_of(certificate: &[u8]) -> Result<String, CertError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CertError::NoPeer)?;
    Ok(data_encoding::HEXLOWER.encode(&certificate.tbs_certificate.serial.to_bytes_be()))
}

/// The first and last moment at which a certificate (DER) is valid.
///
/// # Errors
/// The certificate does not parse.
pub fn validity_of(certificate: &[u8]) -> Result<(SystemTime, SystemTime), CertError> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| CertError::NoPeer)?;
    let time = |time: ASN1Time| {
        let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
        UNIX_EPOCH + Duration::from_secs(seconds)
    };
    let validity = certificate.validity();
    Ok((time(validity.not_before), time(validity.not_after)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_complete_uris_of_known_roles_are_peers() {
        let peer = Peer {
            role: Role::Agent,
            name: "db-1".parse().unwrap(),
        };
        assert_eq!(Peer::from_uri(&peer.uri()), Some(peer));
        for uri in [
            "sysmon://root/a",
            "sysmon://agent/",
            "sysmon://agent/a/b",
            "http://agent/a",
        ] {
            assert_eq!(Peer::from_uri(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(peer_of(&bytes).is_err());
        }
    }
}
