//! An identity: the certificate, key and trusted authorities of one program.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{CertificateParams, KeyPair};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use sysmon_files::{create_private_dir, read_private, read_public, write_private};

use crate::provider::provider;
use crate::{CertError, Peer, peer_of, serial_of, validity_of};

const AUTHORITY_FILE: &str = "ca.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const KEY_FILE: &str = "key.pem";

/// Authorities trusted at once: two during a rotation.
const AUTHORITIES_MAX: usize = 4;

/// A certificate, its private key, and the certificates of the trusted authorities.
#[derive(Clone)]
pub struct Identity {
    authority_pem: String,
    certificate_pem: String,
    key_pem: String,
    authorities: Vec<CertificateDer<'static>>,
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    peer: Peer,
    serial: String,
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Identity {
    pub(crate) fn from_pem(
        authority_pem: String,
        certificate_pem: String,
        key_pem: String,
    ) -> Result<Self, CertError> {
        let damaged = |file: &str, reason: String| CertError::Damaged {
            path: file.into(),
            reason,
        };
        let certificate = |file: &str, pem: &str| {
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|e| damaged(file, e.to_string()))
        };
        let authorities =
            authorities(&authority_pem).map_err(|reason| damaged(AUTHORITY_FILE, reason))?;
        let own = certificate(CERTIFICATE_FILE, &certificate_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|e| damaged(KEY_FILE, e.to_string()))?;
        // A crash between writing certificate and key would otherwise surface only as refused handshakes.
        CertifiedKey::from_der(vec![own.clone()], key.clone_key(), &provider()).map_err(|e| {
            damaged(
                KEY_FILE,
                format!("{e}; it must belong to {CERTIFICATE_FILE}"),
            )
        })?;
        let peer = peer_of(&own)?;
        let serial = serial_of(&own)?;
        let (not_before, not_after) = validity_of(&own)?;
        Ok(Self {
            authority_pem,
            certificate_pem,
            key_pem,
            authorities,
            certificate: own,
            key: Arc::new(key),
            peer,
            serial,
            not_before,
            not_after,
        })
    }

    /// Loads the identity in `dir`.
    ///
    /// # Errors
    /// There is none, a file is damaged, or other users can read the key.
    pub fn load(dir: &Path) -> Result<Self, CertError> {
        let key = dir.join(KEY_FILE);
        if !key.exists() {
            return Err(CertError::NoIdentity(dir.to_owned()));
        }
        let (authority, own) = (
            read_public(&dir.join(AUTHORITY_FILE))?,
            read_public(&dir.join(CERTIFICATE_FILE))?,
        );
        Self::from_pem(authority, own, read_private(&key)?).map_err(|error| match error {
            CertError::Damaged { path, reason } => CertError::Damaged {
                path: dir.join(path),
                reason,
            },
            other => other,
        })
    }

    /// Saves the identity in `dir`, which only its owner can enter.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), CertError> {
        create_private_dir(dir)?;
        write_private(&dir.join(AUTHORITY_FILE), &self.authority_pem)?;
        write_private(&dir.join(CERTIFICATE_FILE), &self.certificate_pem)?;
        // The key last: its presence marks a complete identity.
        write_private(&dir.join(KEY_FILE), &self.key_pem)?;
        Ok(())
    }

    /// The role and name in the certificate.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The certificate's serial number, in hexadecimal digits.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// When the certificate expires.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    pub(crate) fn authority_pem(&self) -> &str {
        &self.authority_pem
    }

    /// The certificates of the trusted authorities, newest first.
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// Whether two thirds of the certificate's life have passed.
    pub fn is_renewal_due(&self, now: SystemTime) -> bool {
        let life = self.not_after.duration_since(self.not_before);
        now >= self.not_before + life.unwrap_or_default() / 3 * 2
    }

    /// A signing request for the same key (PKCS #10, DER).
    ///
    /// # Errors
    /// The key cannot be used.
    pub fn renewal_request(&self) -> Result<Vec<u8>, CertError> {
        let key = KeyPair::from_pem(&self.key_pem)?;
        let request = CertificateParams::default().serialize_request(&key)?;
        Ok(request.der().to_vec())
    }

    /// This identity with the certificate that answers [`Self::renewal_request`].
    ///
    /// # Errors
    /// The certificate is damaged, or for another peer or key.
    pub fn renewed(&self, authority_pem: &str, certificate_pem: &str) -> Result<Self, CertError> {
        let renewed = Self::from_pem(
            authority_pem.to_owned(),
            certificate_pem.to_owned(),
            self.key_pem.clone(),
        )?;
        if renewed.peer == self.peer {
            Ok(renewed)
        } else {
            Err(CertError::Tls(format!(
                "the hub sent a certificate for {}, not for {}",
                renewed.peer, self.peer
            )))
        }
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// The certificates in a bundle.
fn authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .take(AUTHORITIES_MAX)
        .collect();
    let all = all.map_err(|error| error.to_string())?;
    if all.is_empty() {
        return Err("it contains no certificate".to_owned());
    }
    Ok(all)
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("peer", &self.peer)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Authority, Role};
    use std::time::Duration;
    use sysmon_clock::{Clock, Random};

    #[test]
    fn a_certificate_is_renewed_for_the_same_key_and_name_only() {
        let now = Clock::system().system_time();
        let day = Duration::from_hours(24);
        let authority = Authority::in_memory(now, &Random::system()).unwrap();
        let name = "a".parse().unwrap();
        let old = authority.issue(Role::Agent, &name, now, 30).unwrap();
        assert!(!old.is_renewal_due(now + day * 19) && old.is_renewal_due(now + day * 20));
        let request = old.renewal_request().unwrap();
        let later = now + day * 20;
        let sign = |role, name: &str| {
            let name = name.parse().unwrap();
            let signed = authority.sign(&request, role, &name, later, 30).unwrap();
            (signed.authority_pem, signed.certificate_pem)
        };
        let (ca, cert) = sign(Role::Agent, "a");
        let new = old.renewed(&ca, &cert).unwrap();
        assert!(new.not_after() > old.not_after() && !new.is_renewal_due(later));
        for (role, name) in [(Role::Operator, "a"), (Role::Agent, "b")] {
            let (ca, cert) = sign(role, name);
            assert!(old.renewed(&ca, &cert).is_err());
        }
        let other = authority.issue(Role::Agent, &name, now, 30).unwrap();
        assert!(old.renewed(&ca, &other.certificate_pem).is_err());
    }
}
