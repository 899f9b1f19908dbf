//! The certificate authority of one hub.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files::{create_private_dir, read, read_private, write_private};
use crate::identity::Identity;
use crate::{CertError, Peer, PeerName, Role, server_name};

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca-key.pem";

/// How long an authority lasts.
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// Days a certificate can be valid: as long as an authority lasts.
pub const CERTIFICATE_DAYS_MAX: u32 = 3650;

/// Certificates are valid from a little before they are made, for peers whose clock is behind.
const BACKDATE: Duration = Duration::from_hours(1);

/// Makes the certificates that all peers of one hub trust.
#[derive(Debug)]
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority that nothing remembers.
    pub fn in_memory(now: SystemTime) -> Result<Self, CertError> {
        let key = KeyPair::generate()?;
        let certificate = self_signed(&key, now)?;
        Self::from_pem(certificate, &key.serialize_pem(), Path::new(KEY_FILE))
    }

    /// The authority in `dir`, made if there is none.
    pub fn open_or_create(dir: &Path, now: SystemTime) -> Result<Self, CertError> {
        if !dir.join(CERTIFICATE_FILE).exists() {
            create_private_dir(dir)?;
            let path = dir.join(KEY_FILE);
            // A key that is there is kept: peers that hold certificates made with it stay trusted.
            let key = if path.exists() {
                KeyPair::from_pem(&read_private(&path)?).map_err(damaged(&path))?
            } else {
                let key = KeyPair::generate()?;
                write_private(&path, &key.serialize_pem())?;
                key
            };
            // The certificate comes last: with it the authority is whole.
            write_private(&dir.join(CERTIFICATE_FILE), &self_signed(&key, now)?)?;
        }
        Self::open(dir)
    }

    /// The authority in `dir`.
    pub fn open(dir: &Path) -> Result<Self, CertError> {
        let path = dir.join(KEY_FILE);
        if !fs::exists(&path).unwrap_or(false) {
            return Err(CertError::NoAuthority(dir.to_owned()));
        }
        Self::from_pem(
            read(&dir.join(CERTIFICATE_FILE))?,
            &read_private(&path)?,
            &path,
        )
    }

    fn from_pem(certificate_pem: String, key: &str, path: &Path) -> Result<Self, CertError> {
        let key = KeyPair::from_pem(key).map_err(damaged(path))?;
        if !is_of_key(&certificate_pem, &key) {
            return Err(CertError::Damaged {
                path: path.to_owned(),
                reason: format!("it does not belong to {CERTIFICATE_FILE} beside it"),
            });
        }
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(damaged(path))?;
        Ok(Self {
            certificate_pem,
            issuer,
        })
    }

    pub(crate) fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a key pair and a certificate for it, valid for `days` from `now`, or for
    /// [`CERTIFICATE_DAYS_MAX`] if that is less.
    pub fn issue(
        &self,
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        let peer = Peer {
            role,
            name: name.clone(),
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("{name} ({role})"));
        params.not_before = OffsetDateTime::from(now - BACKDATE);
        params.not_after =
            OffsetDateTime::from(now + Duration::from_hours(24) * days.min(CERTIFICATE_DAYS_MAX));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(peer.uri().try_into()?)];
        if role.listens() {
            params
                .extended_key_usages
                .push(ExtendedKeyUsagePurpose::ServerAuth);
            params
                .subject_alt_names
                .push(SanType::DnsName(server_name(role).try_into()?));
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Identity::from_pem(
            self.certificate_pem.clone(),
            certificate.pem(),
            key.serialize_pem(),
        )
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn damaged(path: &Path) -> impl Fn(rcgen::Error) -> CertError {
    |error| CertError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn is_of_key(certificate_pem: &str, key: &KeyPair) -> bool {
    CertificateDer::from_pem_slice(certificate_pem.as_bytes()).is_ok_and(|der| {
        X509Certificate::from_der(&der)
            .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info())
    })
}

fn self_signed(key: &KeyPair, now: SystemTime) -> Result<String, CertError> {
    let mut params = CertificateParams::default();
    // Told apart by name: then a peer of another hub is refused as unknown, not as forged.
    let id: String = params
        .key_identifier(key)
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params.distinguished_name = common_name(&format!("sysmon authority {id}"));
    params.not_before = OffsetDateTime::from(now - BACKDATE);
    params.not_after = OffsetDateTime::from(now + AUTHORITY_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params.self_signed(key)?.pem())
}
