//! The register: which certificates were issued, and which of them are revoked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sysmon_files::{
    FileError, append_line, create_private_subdir, open_private, read_private, write_private,
};

use crate::{CertError, Identity, Peer, PeerName, Role, SignedCertificate};

const DAY: Duration = Duration::from_hours(24);

/// How long names of peers stay taken after their last certificate expired, and revocations are recorded beyond the
/// certificate's life: a clock that is wrong for a while must not make a stolen certificate valid again.
const ENDED_KEPT: Duration = Duration::from_hours(365 * 24);

/// How long a replaced certificate is recorded after it expired.
const REPLACED_KEPT: Duration = Duration::from_hours(7 * 24);

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

impl IssuedCertificate {
    fn is_of(&self, role: Role, name: &PeerName) -> bool {
        self.role == role.to_string() && self.name == name.as_str()
    }
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

    /// The file with the serial numbers of revoked certificates, one a line, each with when it expires.
    pub fn revoked_path(&self) -> PathBuf {
        self.dir.join("revoked")
    }

    /// Records an issued certificate.
    ///
    /// # Errors
    /// The register cannot be written.
    pub fn record(&self, identity: &Identity, now: SystemTime) -> Result<(), CertError> {
        let _lock = self.lock()?;
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
        let _lock = self.lock()?;
        let peer = Peer {
            role,
            name: name.clone(),
        };
        self.append(&signed.serial, &peer, now, now + DAY * days)
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
        self.append(&signed.serial, peer, now, now + DAY * days)?;
        Ok(true)
    }

    /// Serializes changes across processes.
    fn lock(&self) -> Result<File, CertError> {
        create_private_subdir(&self.dir)?;
        let path = self.dir.join("lock");
        let file = open_private(&path, OpenOptions::new().write(true))?;
        let locked = file.lock();
        locked.map_err(|source| FileError::Write { path, source })?;
        Ok(file)
    }

    fn append(
        &self,
        serial: &str,
        peer: &Peer,
        now: SystemTime,
        expires: SystemTime,
    ) -> Result<(), CertError> {
        let issued = IssuedCertificate {
            serial: serial.to_owned(),
            role: peer.role.to_string(),
            name: peer.name.to_string(),
            issued_ms: unix_ms(now),
            expires_ms: unix_ms(expires),
        };
        Ok(append_line(&self.issued_path(), &line_of(&issued))?)
    }

    /// All recorded certificates, oldest first.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn issued(&self) -> Result<Vec<IssuedCertificate>, CertError> {
        let text = read(&self.issued_path())?;
        // A crash can leave a partial line; that certificate was never sent.
        Ok(text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect())
    }

    /// Whether a peer of a role has had a name, in whatever case: also one whose certificate expired or was revoked,
    /// since its history goes by that name.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn is_known(&self, role: Role, name: &PeerName) -> Result<bool, CertError> {
        let issued = self.issued()?;
        let is_same = |issued: &IssuedCertificate| {
            issued.role == role.to_string() && issued.name.eq_ignore_ascii_case(name.as_str())
        };
        Ok(issued.iter().any(is_same))
    }

    /// The agents, each with whether its newest certificate is revoked: those send no rows any more, by decision.
    ///
    /// # Errors
    /// The register cannot be read.
    pub fn agents(&self) -> Result<BTreeMap<String, bool>, CertError> {
        let revoked = self.revoked()?;
        let mut agents = BTreeMap::new();
        for issued in self.issued()? {
            if issued.role == Role::Agent.to_string() {
                agents.insert(issued.name, revoked.contains(&issued.serial));
            }
        }
        Ok(agents)
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
        Ok(self.revocations()?.into_keys().collect())
    }

    /// Revoked serial numbers, each with when it expires; none where that is not recorded.
    fn revocations(&self) -> Result<BTreeMap<String, Option<u64>>, CertError> {
        let text = read(&self.revoked_path())?;
        let entry = |line: &str| {
            let mut words = line.split_whitespace();
            let serial = words.next()?.to_owned();
            Some((serial, words.next().and_then(|word| word.parse().ok())))
        };
        Ok(text.lines().filter_map(entry).collect())
    }

    fn write_revocations(&self, revoked: &BTreeMap<String, Option<u64>>) -> Result<(), CertError> {
        let line = |(serial, expires_ms): (&String, &Option<u64>)| match expires_ms {
            Some(expires_ms) => format!("{serial} {expires_ms}\n"),
            None => format!("{serial}\n"),
        };
        let text: String = revoked.iter().map(line).collect();
        Ok(write_private(&self.revoked_path(), text)?)
    }

    /// Revokes every certificate of a name and role; returns how many were not revoked before. Without a role, the one
    /// that has valid certificates of this name; a hub's certificates are never revoked.
    ///
    /// # Errors
    /// Peers of several roles have this name, or the register cannot be read or written.
    pub fn revoke(
        &self,
        name: &PeerName,
        role: Option<Role>,
        now: SystemTime,
    ) -> Result<usize, CertError> {
        let _lock = self.lock()?;
        let (issued, mut revoked) = (self.issued()?, self.revocations()?);
        let roles: Vec<Role> = match role {
            Some(role) => vec![role],
            None => {
                let is_valid = |issued: &IssuedCertificate| {
                    issued.expires_ms > unix_ms(now) && !revoked.contains_key(&issued.serial)
                };
                let has_valid = |role: &Role| {
                    issued
                        .iter()
                        .any(|issued| issued.is_of(*role, name) && is_valid(issued))
                };
                Role::PEERS.into_iter().filter(has_valid).collect()
            }
        };
        let role = match roles.as_slice() {
            [] => return Ok(0),
            [role] => *role,
            _ => {
                let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
                return Err(CertError::SeveralRoles {
                    name: name.to_string(),
                    roles: roles.join(" and "),
                });
            }
        };
        let before = revoked.len();
        for issued in issued.iter().filter(|issued| issued.is_of(role, name)) {
            revoked.insert(issued.serial.clone(), Some(issued.expires_ms));
        }
        let count = revoked.len() - before;
        if count > 0 {
            self.write_revocations(&revoked)?;
        }
        Ok(count)
    }

    /// Drops what is no longer needed: replaced certificates that expired, peers that ended a year ago, and
    /// revocations of certificates that expired a year ago. Returns how many lines.
    ///
    /// # Errors
    /// The register cannot be read or written.
    pub fn compact(&self, now: SystemTime) -> Result<usize, CertError> {
        let _lock = self.lock()?;
        let (now_ms, issued) = (unix_ms(now), self.issued()?);
        let mut expiries = HashMap::new();
        let mut newest = HashMap::new();
        for issued in &issued {
            expiries.insert(issued.serial.clone(), issued.expires_ms);
            newest.insert(
                (issued.role.clone(), issued.name.clone()),
                issued.serial.clone(),
            );
        }
        let is_kept = |issued: &IssuedCertificate| {
            let key = (issued.role.clone(), issued.name.clone());
            let is_newest = newest.get(&key) == Some(&issued.serial);
            let kept = if is_newest { ENDED_KEPT } else { REPLACED_KEPT };
            issued.expires_ms.saturating_add(span_ms(kept)) > now_ms
        };
        let mut dropped = self.rewrite(&issued, is_kept)?;
        let mut revoked = self.revocations()?;
        let before = revoked.len();
        revoked.retain(|serial, expires_ms| {
            let expires_ms = expires_ms.or_else(|| expiries.get(serial).copied());
            expires_ms.is_none_or(|expires| expires.saturating_add(span_ms(ENDED_KEPT)) > now_ms)
        });
        if revoked.len() != before {
            dropped += before - revoked.len();
            self.write_revocations(&revoked)?;
        }
        Ok(dropped)
    }

    /// Forgets an agent's name, so that another machine can have it; false if it has a valid certificate, and stays.
    ///
    /// # Errors
    /// The register cannot be read or written.
    pub fn forget_agent(&self, name: &PeerName, now: SystemTime) -> Result<bool, CertError> {
        let _lock = self.lock()?;
        let (issued, revoked) = (self.issued()?, self.revocations()?);
        let of_name = |issued: &IssuedCertificate| issued.is_of(Role::Agent, name);
        let is_valid = |issued: &IssuedCertificate| {
            issued.expires_ms > unix_ms(now) && !revoked.contains_key(&issued.serial)
        };
        if issued
            .iter()
            .any(|issued| of_name(issued) && is_valid(issued))
        {
            return Ok(false);
        }
        self.rewrite(&issued, |issued| !of_name(issued))?;
        Ok(true)
    }

    /// Adds what another register has and this one lacks: certificates that it issued, and revocations.
    ///
    /// # Errors
    /// A register cannot be read or written.
    pub fn merge(&self, other: &Self) -> Result<(), CertError> {
        let _lock = self.lock()?;
        let (issued, mut revoked) = (self.issued()?, self.revocations()?);
        let known: HashSet<_> = issued.iter().map(|issued| &issued.serial).collect();
        for more in other.issued()? {
            if !known.contains(&more.serial) {
                append_line(&self.issued_path(), &line_of(&more))?;
            }
        }
        let before = revoked.len();
        for (serial, expires_ms) in other.revocations()? {
            revoked.entry(serial).or_insert(expires_ms);
        }
        if revoked.len() > before {
            self.write_revocations(&revoked)?;
        }
        Ok(())
    }

    fn rewrite(
        &self,
        issued: &[IssuedCertificate],
        is_kept: impl Fn(&IssuedCertificate) -> bool,
    ) -> Result<usize, CertError> {
        let kept: Vec<_> = issued.iter().filter(|issued| is_kept(issued)).collect();
        let dropped = issued.len() - kept.len();
        if dropped > 0 {
            let line = |issued: &&IssuedCertificate| line_of(issued) + "\n";
            let text: String = kept.iter().map(line).collect();
            write_private(&self.issued_path(), text)?;
        }
        Ok(dropped)
    }
}

fn line_of(issued: &IssuedCertificate) -> String {
    serde_json::to_string(issued).unwrap_or_default()
}

fn read(path: &Path) -> Result<String, CertError> {
    match read_private(path) {
        Err(error) if error.is_not_found() => Ok(String::new()),
        read => Ok(read?),
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    span_ms(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn span_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Authority;
    use sysmon_clock::{Clock, Random};

    struct Place {
        dir: tempfile::TempDir,
        register: Register,
        authority: Authority,
        now: SystemTime,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let now = Clock::system().system_time();
        Place {
            register: Register::new(dir.path().to_owned()),
            authority: Authority::in_memory(now, &Random::system()).unwrap(),
            dir,
            now,
        }
    }

    impl Place {
        fn issue(&self, role: Role, name: &str, days_ago: u32, days: u32) -> String {
            let issued = self.now - DAY * days_ago;
            let name = name.parse().unwrap();
            let identity = self.authority.issue(role, &name, issued, days).unwrap();
            self.register.record(&identity, issued).unwrap();
            identity.serial().to_owned()
        }

        fn revoke(&self, name: &str, role: Option<Role>) -> Result<usize, CertError> {
            self.register.revoke(&name.parse().unwrap(), role, self.now)
        }
    }

    #[test]
    fn certificates_are_recorded_and_revoked_by_name() {
        let place = place();
        let serials = ["a", "b", "a"].map(|name| place.issue(Role::Agent, name, 0, 1));
        assert_eq!(place.register.issued().unwrap().len(), 3);
        assert_ne!(serials[0], serials[2]);
        assert_eq!(place.revoke("a", None).unwrap(), 2);
        assert_eq!(place.revoke("a", None).unwrap(), 0);
        let revoked = place.register.revoked().unwrap();
        assert!(revoked.contains(&serials[0]) && !revoked.contains(&serials[1]));
        let agents = || {
            place
                .register
                .agents()
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>()
        };
        let of = |a, b| [("a".to_owned(), a), ("b".to_owned(), b)];
        assert_eq!(agents(), of(true, false));
        place.issue(Role::Agent, "a", 0, 1);
        assert_eq!(agents(), of(false, false));
    }

    #[test]
    fn revoking_a_name_spares_other_roles_and_asks_which_where_two_have_it() {
        let place = place();
        let hub = place.issue(Role::Hub, "box", 0, 30);
        let agent = place.issue(Role::Agent, "box", 0, 30);
        assert_eq!(place.revoke("box", None).unwrap(), 1);
        let revoked = place.register.revoked().unwrap();
        assert!(revoked.contains(&agent) && !revoked.contains(&hub));
        let again = place.issue(Role::Agent, "box", 0, 30);
        let operator = place.issue(Role::Operator, "box", 0, 30);
        let error = place.revoke("box", None).unwrap_err().to_string();
        assert!(
            error.contains("agent and operator") && error.contains("--role"),
            "{error}"
        );
        assert_eq!(place.revoke("box", Some(Role::Operator)).unwrap(), 1);
        let revoked = place.register.revoked().unwrap();
        assert!(revoked.contains(&operator) && !revoked.contains(&again));
    }

    #[test]
    fn years_of_renewals_leave_what_is_alive_and_the_newest_can_still_be_revoked() {
        let place = place();
        for days_ago in (0..700).rev() {
            place.issue(Role::Agent, "a", days_ago, 1);
        }
        place.issue(Role::Agent, "gone", 600, 30);
        place.issue(Role::Agent, "ended", 100, 30);
        let newest = place.issue(Role::Agent, "stolen", 0, 30);
        let dropped = place.register.compact(place.now).unwrap();
        let left = place.register.issued().unwrap();
        assert_eq!((left.len(), dropped), (703 - dropped, 703 - left.len()));
        assert!(left.len() < 15, "{} lines", left.len());
        assert_eq!(place.revoke("stolen", None).unwrap(), 1);
        assert!(place.register.revoked().unwrap().contains(&newest));
        let is_known = |name: &str| {
            let name = name.parse().unwrap();
            place.register.is_known(Role::Agent, &name).unwrap()
        };
        assert!(is_known("ENDED") && !is_known("gone"));
        // A revocation outlives its certificate by a year, and no longer.
        place.register.compact(place.now + DAY * 100).unwrap();
        assert_eq!(place.register.revoked().unwrap().len(), 1);
        place.register.compact(place.now + DAY * 400).unwrap();
        assert!(place.register.revoked().unwrap().is_empty());
    }

    #[test]
    fn a_register_of_more_than_sixteen_mebibytes_revokes_its_newest_certificate() {
        let place = place();
        let line = line_of(&IssuedCertificate {
            serial: "0".repeat(40),
            role: "agent".to_owned(),
            name: "x".repeat(60),
            issued_ms: 0,
            expires_ms: u64::MAX,
        });
        let lines = (17 << 20) / line.len();
        write_private(
            &place.register.issued_path(),
            format!("{line}\n").repeat(lines),
        )
        .unwrap();
        let newest = place.issue(Role::Agent, "stolen", 0, 30);
        assert_eq!(place.revoke("stolen", None).unwrap(), 1);
        assert!(place.register.revoked().unwrap().contains(&newest));
        assert!(place.dir.path().join("revoked").exists());
    }

    #[test]
    fn a_forgotten_agents_name_is_free_unless_its_certificate_is_valid() {
        let place = place();
        let name: PeerName = "a".parse().unwrap();
        place.issue(Role::Agent, "a", 0, 30);
        let operator = place.issue(Role::Operator, "a", 0, 30);
        assert!(!place.register.forget_agent(&name, place.now).unwrap());
        place.revoke("a", Some(Role::Agent)).unwrap();
        assert!(place.register.forget_agent(&name, place.now).unwrap());
        let left = place.register.issued().unwrap();
        assert_eq!(
            left.iter().map(|issued| &issued.serial).collect::<Vec<_>>(),
            [&operator]
        );
        assert_eq!(
            place.register.revoked().unwrap().len(),
            1,
            "it stays revoked"
        );
    }
}
