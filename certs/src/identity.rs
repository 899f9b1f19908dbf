//! What a program shows to prove who it is.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files::{create_private_dir, read, read_private, write_private};
use crate::tls::provider;
use crate::{CertError, Peer, peer_of, serial_of};

const AUTHORITY_FILE: &str = "ca.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const KEY_FILE: &str = "key.pem";

/// The authority's certificate, one's own, and the private key to it.
#[derive(Clone)]
pub struct Identity {
    authority_pem: String,
    certificate_pem: String,
    key_pem: String,
    authority: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    peer: Peer,
    serial: String,
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
        let authority = certificate(AUTHORITY_FILE, &authority_pem)?;
        let own = certificate(CERTIFICATE_FILE, &certificate_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes())
            .map_err(|e| damaged(KEY_FILE, e.to_string()))?;
        // A stop between writing the two would otherwise show only as refused handshakes.
        CertifiedKey::from_der(vec![own.clone()], key.clone_key(), &provider()).map_err(|e| {
            damaged(
                KEY_FILE,
                format!("{e}; it must belong to {CERTIFICATE_FILE}"),
            )
        })?;
        let peer = peer_of(&own)?;
        let serial = serial_of(&own)?;
        let (_, parsed) = X509Certificate::from_der(&own).map_err(|_| CertError::NoPeer)?;
        let seconds = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        let not_after = UNIX_EPOCH + Duration::from_secs(seconds);
        Ok(Self {
            authority_pem,
            certificate_pem,
            key_pem,
            authority,
            certificate: own,
            key: Arc::new(key),
            peer,
            serial,
            not_after,
        })
    }

    /// The identity in `dir`.
    pub fn load(dir: &Path) -> Result<Self, CertError> {
        let key = dir.join(KEY_FILE);
        if !key.exists() {
            return Err(CertError::NoIdentity(dir.to_owned()));
        }
        let (authority, own) = (
            read(&dir.join(AUTHORITY_FILE))?,
            read(&dir.join(CERTIFICATE_FILE))?,
        );
        Self::from_pem(authority, own, read_private(&key)?).map_err(|error| match error {
            CertError::Damaged { path, reason } => CertError::Damaged {
                path: dir.join(path),
                reason,
            },
            other => other,
        })
    }

    /// Writes the identity to `dir`, which only its owner can enter.
    pub fn save(&self, dir: &Path) -> Result<(), CertError> {
        create_private_dir(dir)?;
        write_private(&dir.join(AUTHORITY_FILE), &self.authority_pem)?;
        write_private(&dir.join(CERTIFICATE_FILE), &self.certificate_pem)?;
        // The key comes last: with it the identity is whole.
        write_private(&dir.join(KEY_FILE), &self.key_pem)
    }

    /// Who this is.
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

    /// The certificate of the authority it trusts.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("peer", &self.peer)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
