//! The certificate authority of one hub.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
    SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sysmon_clock::Random;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use sysmon_files::{
    create_private_subdir, credential, read_private, read_public, read_secret, remove_file,
    write_private,
};

use crate::identity::Identity;
use crate::{
    CertError, Fingerprint, HostScope, Peer, PeerName, Role, key, serial_of, server_name,
    validity_of,
};

const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca-key.pem";

/// The previous authority, during a rotation.
const PREVIOUS_CERTIFICATE_FILE: &str = "old.pem";
const PREVIOUS_KEY_FILE: &str = "old-key.pem";

/// How long an authority is valid.
const AUTHORITY_LIFE: Duration = Duration::from_hours(10 * 365 * 24);

/// The longest validity of a certificate in days: that of an authority.
pub const CERTIFICATE_DAYS_MAX: u32 = 3650;

/// Serial numbers are random, so that the next cannot be predicted.
const SERIAL_BYTES: usize = 16;

/// Certificates are valid from an hour before they are issued, for peers whose clock is behind.
const BACKDATE: Duration = Duration::from_hours(1);

/// Issues the certificates that all peers of one hub trust.
///
/// During a rotation two authorities are trusted: the new one issues the peers' certificates, the previous one the hub's,
/// which peers that do not know the new authority must be able to verify.
#[derive(Debug)]
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    previous: Option<Box<Self>>,
    random: Random,
}

impl Authority {
    /// A new authority that is not saved.
    ///
    /// # Errors
    /// There are no random numbers for its key.
    pub fn in_memory(now: SystemTime, random: &Random) -> Result<Self, CertError> {
        let key = key::generate(random)?;
        let certificate = self_signed(&key, now)?;
        Self::from_pem(
            certificate,
            &key.serialize_pem(),
            Path::new(KEY_FILE),
            random,
        )
    }

    /// Opens the authority in `dir`, or creates one, from the credential `ca-key.pem` if there is one.
    ///
    /// # Errors
    /// Its files are damaged or cannot be written.
    pub fn open_or_create(dir: &Path, now: SystemTime, random: &Random) -> Result<Self, CertError> {
        if !dir.join(CERTIFICATE_FILE).exists() {
            create_private_subdir(dir)?;
            let path = dir.join(KEY_FILE);
            // An existing key is reused, so that certificates signed with it stay valid.
            let ca_key = if path.exists() {
                KeyPair::from_pem(&read_private(&path)?).map_err(damaged(&path))?
            } else if let Some(passed) = credential(KEY_FILE) {
                let passed_key = read_secret(&passed)?;
                let ca_key = KeyPair::from_pem(&passed_key).map_err(damaged(&passed))?;
                write_private(&path, ca_key.serialize_pem())?;
                ca_key
            } else {
                let new = key::generate(random)?;
                write_private(&path, new.serialize_pem())?;
                new
            };
            // The certificate last: its presence marks a complete authority.
            write_private(&dir.join(CERTIFICATE_FILE), &self_signed(&ca_key, now)?)?;
        }
        Self::open(dir, random)
    }

    /// Opens the authority in `dir`.
    ///
    /// # Errors
    /// There is none, or its files are damaged.
    pub fn open(dir: &Path, random: &Random) -> Result<Self, CertError> {
        let path = dir.join(KEY_FILE);
        if !fs::exists(&path).unwrap_or(false) {
            return Err(CertError::NoAuthority(dir.to_owned()));
        }
        let mut authority = Self::from_pem(
            read_public(&dir.join(CERTIFICATE_FILE))?,
            &read_private(&path)?,
            &path,
            random,
        )?;
        let previous = dir.join(PREVIOUS_CERTIFICATE_FILE);
        if previous.exists() {
            let path = dir.join(PREVIOUS_KEY_FILE);
            let previous = Self::from_pem(
                read_public(&previous)?,
                &read_private(&path)?,
                &path,
                random,
            )?;
            // An interrupted rotation can leave two copies of the same authority.
            if previous.certificate_pem != authority.certificate_pem {
                authority.previous = Some(Box::new(previous));
            }
        }
        Ok(authority)
    }

    /// Replaces the authority in `dir`, which stays trusted until [`Authority::retire`].
    ///
    /// # Errors
    /// There is none, another rotation is not complete, or a file cannot be written.
    pub fn rotate(dir: &Path, now: SystemTime, random: &Random) -> Result<Self, CertError> {
        let present = Self::open(dir, random)?;
        if present.previous.is_some() {
            return Err(CertError::Rotating);
        }
        let copy =
            |from: &str, to: &str| write_private(&dir.join(to), read_public(&dir.join(from))?);
        copy(KEY_FILE, PREVIOUS_KEY_FILE)?;
        copy(CERTIFICATE_FILE, PREVIOUS_CERTIFICATE_FILE)?;
        // An interruption from here on leaves a key without a certificate: the next start creates the certificate.
        let path = dir.join(CERTIFICATE_FILE);
        remove_file(&path)?;
        let key = key::generate(random)?;
        write_private(&dir.join(KEY_FILE), key.serialize_pem())?;
        write_private(&dir.join(CERTIFICATE_FILE), &self_signed(&key, now)?)?;
        Self::open(dir, random)
    }

    /// Deletes the previous authority in `dir`: certificates that it signed are no longer trusted.
    ///
    /// # Errors
    /// There is no previous authority, or a file cannot be removed.
    pub fn retire(dir: &Path, random: &Random) -> Result<Self, CertError> {
        if Self::open(dir, random)?.previous.is_none() {
            return Err(CertError::NotRotating);
        }
        // The certificate first: a key without it is ignored.
        for name in [PREVIOUS_CERTIFICATE_FILE, PREVIOUS_KEY_FILE] {
            let path = dir.join(name);
            remove_file(&path)?;
        }
        Self::open(dir, random)
    }

    /// The previous authority, during a rotation.
    pub fn previous(&self) -> Option<&Self> {
        self.previous.as_deref()
    }

    /// The certificates of all trusted authorities, newest first.
    pub(crate) fn bundle_pem(&self) -> String {
        let previous = self
            .previous()
            .map_or("", |previous| &previous.certificate_pem);
        format!("{}{previous}", self.certificate_pem)
    }

    /// The authority that every peer knows.
    fn oldest(&self) -> &Self {
        self.previous().unwrap_or(self)
    }

    /// When the authority was created, to the second, and when it expires.
    ///
    /// # Errors
    /// Its certificate does not parse.
    pub fn validity(&self) -> Result<(SystemTime, SystemTime), CertError> {
        let (from, until) = validity_of(&self.der()?)?;
        Ok((from + BACKDATE, until))
    }

    fn der(&self) -> Result<CertificateDer<'static>, CertError> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes())
            .map_err(|error| CertError::Tls(error.to_string()))
    }

    fn from_pem(
        certificate_pem: String,
        key: &str,
        path: &Path,
        random: &Random,
    ) -> Result<Self, CertError> {
        let key = KeyPair::from_pem(key).map_err(damaged(path))?;
        if !is_of_key(&certificate_pem, &key) {
            return Err(CertError::Damaged {
                path: path.to_owned(),
                reason: format!("it does not belong to {CERTIFICATE_FILE}"),
            });
        }
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(damaged(path))?;
        Ok(Self {
            certificate_pem,
            issuer,
            previous: None,
            random: random.clone(),
        })
    }

    /// The fingerprint that join tokens carry.
    ///
    /// # Errors
    /// The certificate does not parse.
    pub fn fingerprint(&self) -> Result<Fingerprint, CertError> {
        Ok(Fingerprint::of(&self.oldest().der()?))
    }

    /// Issues an identity with a new key pair, valid for `days` from `now`, at most [`CERTIFICATE_DAYS_MAX`].
    ///
    /// # Errors
    /// There are no random numbers for its key.
    pub fn issue(
        &self,
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        self.issue_scoped(role, name, None, now, days)
    }

    /// Like [`Authority::issue`], with the hosts that a gateway may write.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_scoped(
        &self,
        role: Role,
        name: &PeerName,
        scope: Option<&HostScope>,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        let issuer = match role {
            Role::Hub => &self.oldest().issuer,
            _ => &self.issuer,
        };
        let key = key::generate(&self.random)?;
        let certificate = self
            .params(role, name, scope, now, days)?
            .signed_by(&key, issuer)?;
        Identity::from_pem(self.bundle_pem(), certificate.pem(), key.serialize_pem())
    }

    /// Issues a certificate for a key pair that the peer holds, as its signing request (PKCS #10, DER) proves. Only the
    /// key comes from the request: the caller decides role and name.
    ///
    /// # Errors
    /// The request does not parse, its signature is wrong, or there are no random numbers.
    pub fn sign(
        &self,
        request: &[u8],
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<SignedCertificate, CertError> {
        self.sign_scoped(request, role, name, None, now, days)
    }

    /// Like [`Authority::sign`], with the hosts that a gateway may write.
    ///
    /// # Errors
    /// As [`Authority::sign`].
    pub fn sign_scoped(
        &self,
        request: &[u8],
        role: Role,
        name: &PeerName,
        scope: Option<&HostScope>,
        now: SystemTime,
        days: u32,
    ) -> Result<SignedCertificate, CertError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        let certificate = self
            .params(role, name, scope, now, days)?
            .signed_by(&request.public_key, &self.issuer)?;
        Ok(SignedCertificate {
            serial: serial_of(certificate.der())?,
            authority_pem: self.bundle_pem(),
            certificate_pem: certificate.pem(),
        })
    }

    fn params(
        &self,
        role: Role,
        name: &PeerName,
        scope: Option<&HostScope>,
        now: SystemTime,
        days: u32,
    ) -> Result<CertificateParams, CertError> {
        let peer = Peer {
            role,
            name: name.clone(),
        };
        let mut params = CertificateParams::default();
        let mut serial = vec![0; SERIAL_BYTES];
        self.random.fill_secret(&mut serial)?;
        // Positive, and as long in DER as here.
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
        if let Some(scope) = scope {
            let uri = SanType::URI(scope.uri().try_into()?);
            params.subject_alt_names.push(uri);
        }
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
}

/// A certificate for a key pair that the peer holds.
#[derive(Clone, Debug)]
pub struct SignedCertificate {
    /// Serial number in hexadecimal digits.
    pub serial: String,
    /// The certificates of all trusted authorities.
    pub authority_pem: String,
    /// The issued certificate.
    pub certificate_pem: String,
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
    // A distinct name makes a peer of another hub fail as unknown issuer, not as bad signature.
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
