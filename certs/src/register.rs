//! The register: which certificates were issued, and which of them are revoked.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::files::{create_private_dir, write_private};
use crate::{CertError, Identity, Peer, PeerName, Role, SignedCertificate};

/// Bytes read of the register: about 80,000 certificates.
const BYTES_MAX: usize = 16 << 20;

/// A line of the register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// Serial number in hexadecimal digits.
    pub serial: String,
    /// The peer's role.
    pub role: String,
    /// The peer's name.
    pub name: String,
    /// When it was issued, in Unix milliseconds.
    pub issued_ms: u64,
    /// When it expires, in Unix milliseconds.
    pub expires_ms: u64,
}

/// The certificates that one hub's authority issued.
#[derive(Clone, Debug)]
pub struct Register {
    dir: PathBuf,
}

impl Register {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn issued_path(&self) -> PathBuf {
        self.dir.join("issued.jsonl")
    }

    /// The file with the serial numbers of revoked certificates, one a line.
    pub fn revoked_path(&self) -> PathBuf {
        self.dir.join("revoked")
    }

    /// Records an issued certificate.
    ///
    /// # Errors
    /// The register cannot be written.
    pub fn record(&self, identity: &Identity, now: SystemTime) -> Result<(), CertError> {
        self.append(
            identity.serial(),
            identity.peer(),
            now,
            identity.not_after(),
        )
    }

    /// Records a certificate for a key that the peer holds.
    ///
    /// # Errors
    /// The register cannot be written.
    pub fn record_signed(
        &self,
        signed: &SignedCertificate,
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<(), CertError> {
        let peer = Peer {
            role,
            name: name.clone(),
        };
        let expires = now + Duration::from_hours(24) * days;
        self.append(&signed.serial, &peer, now, expires)
    }

    /// Records the renewal of the certificate with serial number `of.1`. False if that is revoked: the new certificate
    /// must then not be sent. Holds the register's lock, so that a concurrent revocation sees both.
    ///
    /// # Errors
    /// The register cannot be read or written.
    pub fn record_renewal(
        &self,
        signed: &SignedCertificate,
        of: (&Peer, &str),
        now: SystemTime,
        days: u32,
    ) -> Result<bool, CertError> {
        let _lock = self.lock()?;
        let (peer, serial) = of;
        if self.revoked()?.contains(serial) {
            return Ok(false);
        }
        self.record_signed(signed, peer.role, &peer.name, now, days)?;
        Ok(true)
    }

    /// Serializes revoking and renewing across processes.
    fn lock(&self) -> Result<File, CertError> {
        create_private_dir(&self.dir)?;
        let path = self.dir.join("lock");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let locked = options.open(&path).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        locked.map_err(|source| CertError::Write { path, source })
    }

    fn append(
        &self,
        serial: &str,
        peer: &Peer,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<(), CertError> {
        create_private_dir(&self.dir)?;
        let issued = IssuedCertificate {
            serial: serial.to_owned(),
            role: peer.role.to_string(),
            name: peer.name.to_string(),
            issued_ms: unix_ms(now),
            expires_ms: unix_ms(expires),
        };
        let path = self.issued_path();
        let line = format!("{}\n", serde_json::to_string(&issued).unwrap_or_default());
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|source| CertError::Write { path, source })
    }

    /// All issued certificates, oldest first.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn issued(&self) -> Result<Vec<IssuedCertificate>, CertError> {
        let text = Self::read(self.issued_path())?;
        // A crash can leave a partial line; that certificate was never sent.
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// The still valid certificates of peers that received no newer one since `moment`.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn not_reissued_since(
        &self,
        moment: SystemTime,
        now: SystemTime,
    ) -> Result<Vec<IssuedCertificate>, CertError> {
        let revoked = self.revoked()?;
        let mut newest = BTreeMap::new();
        for issued in self.issued()? {
            newest.insert((issued.role.clone(), issued.name.clone()), issued);
        }
        let is_missing = |issued: &IssuedCertificate| {
            issued.role != Role::Hub.to_string()
                && issued.issued_ms < unix_ms(moment)
                && issued.expires_ms > unix_ms(now)
                && !revoked.contains(&issued.serial)
        };
        Ok(newest.into_values().filter(is_missing).collect())
    }

    /// Serial numbers of revoked certificates.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn revoked(&self) -> Result<HashSet<String>, CertError> {
        let text = Self::read(self.revoked_path())?;
        Ok(text
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect())
    }

    fn read(path: PathBuf) -> Result<String, CertError> {
        match fs::read_to_string(&path) {
            Ok(mut text) => {
                let mut end = text.len().min(BYTES_MAX);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.truncate(end);
                Ok(text)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(CertError::Read { path, source }),
        }
    }

    /// Revokes every certificate of a name; returns how many were not revoked before.
    ///
    /// # Errors
    /// The register cannot be read or written.
    pub fn revoke(&self, name: &PeerName) -> Result<usize, CertError> {
        let _lock = self.lock()?;
        let mut revoked = self.revoked()?;
        let issued = self.issued()?;
        let of_name = issued
            .into_iter()
            .filter(|issued| issued.name == name.as_str());
        let before = revoked.len();
        revoked.extend(of_name.map(|issued| issued.serial));
        let count = revoked.len() - before;
        if count > 0 {
            let mut lines: Vec<_> = revoked.into_iter().collect();
            lines.sort_unstable();
            write_private(&self.revoked_path(), &format!("{}\n", lines.join("\n")))?;
        }
        Ok(count)
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;
    use sysmon_clock::{Clock, Random};

    #[test]
    fn certificates_are_recorded_and_revoked_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let now = Clock::system().system_time();
        let register = Register::new(dir.path().to_owned());
        let authority = Authority::in_memory(now, &Random::system()).unwrap();
        for name in ["a", "b", "a"] {
            let identity = authority
                .issue(Role::Agent, &name.parse().unwrap(), now, 1)
                .unwrap();
            register.record(&identity, now).unwrap();
        }
        let issued = register.issued().unwrap();
        assert_eq!(issued.len(), 3);
        assert_ne!(issued[0].serial, issued[2].serial);
        assert_eq!(register.revoke(&"a".parse().unwrap()).unwrap(), 2);
        assert_eq!(register.revoke(&"a".parse().unwrap()).unwrap(), 0);
        let revoked = register.revoked().unwrap();
        assert!(revoked.contains(&issued[0].serial) && !revoked.contains(&issued[1].serial));
    }
}
