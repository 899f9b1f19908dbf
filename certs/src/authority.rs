//! The certificate authority of one hub.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType,
};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::files::{create_private_dir, read, read_private, write_private};
use crate::identity::Identity;
use crate::{CertError, Fingerprint, Peer, PeerName, Role, serial_of, server_name, validity_of};

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca-key.pem";

/// The authority whose place another has taken, while it is still trusted.
const PREVIOUS_CERTIFICATE_FILE: &str = "old.pem";
const PREVIOUS_KEY_FILE: &str = "old-key.pem";

/// How long an authority lasts.
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// Days a certificate can be valid: as long as an authority lasts.
pub const CERTIFICATE_DAYS_MAX: u32 = 3650;

/// Bytes of a serial number: random, so that nobody can tell the next.
const SERIAL_BYTES: usize = 16;

/// Certificates are valid from a little before they are made, for peers whose clock is behind.
const BACKDATE: Duration = Duration::from_hours(1);

/// Makes the certificates that all peers of one hub trust.
///
/// While it takes the place of an previous one, both are trusted: it issues what peers show, and the previous one the
/// hub's own certificate, which all must be able to check who have not heard of the new one.
#[derive(Debug)]
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    previous: Option<Box<Self>>,
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
        let mut authority = Self::from_pem(
            read(&dir.join(CERTIFICATE_FILE))?,
            &read_private(&path)?,
            &path,
        )?;
        let previous = dir.join(PREVIOUS_CERTIFICATE_FILE);
        if previous.exists() {
            let path = dir.join(PREVIOUS_KEY_FILE);
            let previous = Self::from_pem(read(&previous)?, &read_private(&path)?, &path)?;
            // The same one is there twice where a rotation was cut short before it began.
            if previous.certificate_pem != authority.certificate_pem {
                authority.previous = Some(Box::new(previous));
            }
        }
        Ok(authority)
    }

    /// Puts a new authority in the place of the one in `dir`, which stays trusted until [`Authority::retire`].
    pub fn rotate(dir: &Path, now: SystemTime) -> Result<Self, CertError> {
        let present = Self::open(dir)?;
        if present.previous.is_some() {
            return Err(CertError::Rotating);
        }
        let copy = |from: &str, to: &str| write_private(&dir.join(to), &read(&dir.join(from))?);
        copy(KEY_FILE, PREVIOUS_KEY_FILE)?;
        copy(CERTIFICATE_FILE, PREVIOUS_CERTIFICATE_FILE)?;
        // From here on a cut leaves no certificate, or a key without one: the next start makes it anew.
        let path = dir.join(CERTIFICATE_FILE);
        fs::remove_file(&path).map_err(|source| CertError::Write { path, source })?;
        let key = KeyPair::generate()?;
        write_private(&dir.join(KEY_FILE), &key.serialize_pem())?;
        write_private(&dir.join(CERTIFICATE_FILE), &self_signed(&key, now)?)?;
        Self::open(dir)
    }

    /// Forgets the previous authority in `dir`: what it signed is worth nothing any more.
    pub fn retire(dir: &Path) -> Result<Self, CertError> {
        if Self::open(dir)?.previous.is_none() {
            return Err(CertError::NotRotating);
        }
        // Without its certificate, its key says nothing.
        for name in [PREVIOUS_CERTIFICATE_FILE, PREVIOUS_KEY_FILE] {
            let path = dir.join(name);
            fs::remove_file(&path).map_err(|source| CertError::Write { path, source })?;
        }
        Self::open(dir)
    }

    /// The authority whose place this one takes, while both are trusted.
    pub fn previous(&self) -> Option<&Self> {
        self.previous.as_deref()
    }

    /// The certificates of all that are trusted, the newest first.
    pub(crate) fn bundle_pem(&self) -> String {
        let previous = self
            .previous()
            .map_or("", |previous| &previous.certificate_pem);
        format!("{}{previous}", self.certificate_pem)
    }

    /// The one that those know who have not heard of any other.
    fn best_known(&self) -> &Self {
        self.previous().unwrap_or(self)
    }

    /// When it was made, to the second, and until when it is good.
    pub fn validity(&self) -> Result<(SystemTime, SystemTime), CertError> {
        let (from, until) = validity_of(&self.der()?)?;
        Ok((from + BACKDATE, until))
    }

    fn der(&self) -> Result<CertificateDer<'static>, CertError> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())
            .map_err(|error| CertError::Tls(error.to_string()))
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
            previous: None,
        })
    }

    /// What tells the hub's authority from others.
    pub fn fingerprint(&self) -> Result<Fingerprint, CertError> {
        Ok(Fingerprint::of(&self.best_known().der()?))
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
        let issuer = match role {
            Role::Hub => &self.best_known().issuer,
            _ => &self.issuer,
        };
        let key = KeyPair::generate()?;
        let certificate = params(role, name, now, days)?.signed_by(&key, issuer)?;
        Identity::from_pem(self.bundle_pem(), certificate.pem(), key.serialize_pem())
    }

    /// Makes a certificate for a key pair that somebody else holds, who proves that by the signing
    /// request (PKCS #10, DER). Only the key is taken from it: role and name are ours to say.
    pub fn sign(
        &self,
        request: &[u8],
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<SignedCertificate, CertError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        let certificate =
            params(role, name, now, days)?.signed_by(&request.public_key, &self.issuer)?;
        Ok(SignedCertificate {
            serial: serial_of(certificate.der())?,
            authority_pem: self.bundle_pem(),
            certificate_pem: certificate.pem(),
        })
    }
}

/// A certificate for somebody else's key pair.
#[derive(Clone, Debug)]
pub struct SignedCertificate {
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// The certificates of the authorities that are trusted.
    pub authority_pem: String,
    /// The certificate.
    pub certificate_pem: String,
}

fn params(
    role: Role,
    name: &PeerName,
    now: SystemTime,
    days: u32,
) -> Result<CertificateParams, CertError> {
    let peer = Peer {
        role,
        name: name.clone(),
    };
    let mut params = CertificateParams::default();
    let mut serial = vec![0; SERIAL_BYTES];
    let filled = SystemRandom::new().fill(&mut serial);
    filled.map_err(|_| CertError::Tls("the system has no random numbers".to_owned()))?;
    // A positive number, with all its bytes.
    if let Some(first) = serial.first_mut() {
        *first = *first & 0x3f | 0x40;
    }
    params.serial_number = Some(serial.into());
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
    Ok(params)
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
