//! The hub's state directory: authority, identities, tokens and register.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sysmon_clock::Random;

use sysmon_files::{
    StateLock, check_private_dir, create_private_dir, create_private_subdir, write_private,
};

use crate::{Authority, CertError, HostScope, Identity, PeerName, Register, Role, TokenStore};

/// A hub's state directory, as the hub and commands on its machine use it.
#[derive(Clone, Debug)]
pub struct HubState {
    dir: PathBuf,
    random: Random,
}

impl HubState {
    /// The state directory `dir`; keys and secrets created there come from `random`.
    pub fn new(dir: &Path, random: &Random) -> Self {
        Self {
            dir: dir.to_owned(),
            random: random.clone(),
        }
    }

    /// The path of the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Locks the directory, which is created if it does not exist, for `program`.
    ///
    /// # Errors
    /// Another program uses it, or it cannot be created.
    pub fn lock(&self, program: &str) -> Result<StateLock, CertError> {
        create_private_dir(&self.dir)?;
        Ok(StateLock::acquire(&self.dir, program)?)
    }

    /// Refuses a directory that another user owns or can change.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check_owner(&self) -> Result<(), CertError> {
        for dir in ["", "ca", "register", "tokens", "hub", "owner"] {
            check_private_dir(&self.dir.join(dir))?;
        }
        Ok(())
    }

    /// The authority, created at the hub's first start.
    ///
    /// # Errors
    /// Its files are damaged or cannot be written.
    pub fn authority(&self, now: SystemTime) -> Result<Authority, CertError> {
        create_private_dir(&self.dir)?;
        Authority::open_or_create(&self.dir.join("ca"), now, &self.random)
    }

    /// The authority of a hub that has run before.
    ///
    /// # Errors
    /// There is none, or its files are damaged.
    pub fn existing_authority(&self) -> Result<Authority, CertError> {
        Authority::open(&self.dir.join("ca"), &self.random)
    }

    /// When the authority's directory last changed; `None` if there is none.
    pub fn authority_changed(&self) -> Option<SystemTime> {
        let dir = fs::metadata(self.dir.join("ca")).and_then(|dir| dir.modified());
        dir.ok()
    }

    /// Replaces the authority; the previous one stays trusted until [`HubState::retire_authority`].
    ///
    /// # Errors
    /// As [`Authority::rotate`].
    pub fn rotate_authority(&self, now: SystemTime) -> Result<Authority, CertError> {
        Authority::rotate(&self.dir.join("ca"), now, &self.random)
    }

    /// Stops trusting the previous authority.
    ///
    /// # Errors
    /// As [`Authority::retire`].
    pub fn retire_authority(&self) -> Result<Authority, CertError> {
        Authority::retire(&self.dir.join("ca"), &self.random)
    }

    /// The unused join tokens.
    pub fn tokens(&self) -> TokenStore {
        TokenStore::new(self.dir.join("tokens"), &self.random)
    }

    /// The certificates that were issued.
    pub fn register(&self) -> Register {
        Register::new(self.dir.join("register"))
    }

    /// Issues an identity and records it.
    ///
    /// # Errors
    /// It cannot be issued, or the register cannot be written.
    pub fn issue(
        &self,
        authority: &Authority,
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        self.issue_scoped(authority, role, name, None, now, days)
    }

    /// Like [`HubState::issue`], with the hosts that a gateway may write.
    ///
    /// # Errors
    /// As [`HubState::issue`].
    pub fn issue_scoped(
        &self,
        authority: &Authority,
        role: Role,
        name: &PeerName,
        scope: Option<&HostScope>,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        let identity = authority.issue_scoped(role, name, scope, now, days)?;
        self.register().record(&identity, now)?;
        Ok(identity)
    }

    /// The hub's own identity, issued or renewed where necessary.
    ///
    /// # Errors
    /// It cannot be read, issued or saved.
    pub fn hub_identity(
        &self,
        authority: &Authority,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        self.identity(&self.dir.join("hub"), authority, Role::Hub, name, now, days)
    }

    /// The hub's own identity as last issued.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn existing_identity(&self) -> Result<Identity, CertError> {
        Identity::load(&self.dir.join("hub"))
    }

    /// An operator identity for the owner of the state directory, issued or renewed where necessary.
    ///
    /// # Errors
    /// It cannot be read, issued or saved.
    pub fn owner_identity(
        &self,
        authority: &Authority,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        let name = PeerName::nearest("owner");
        self.identity(
            &self.dir.join("owner"),
            authority,
            Role::Operator,
            &name,
            now,
            days,
        )
    }

    fn identity(
        &self,
        dir: &Path,
        authority: &Authority,
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        let is_current = |identity: &Identity| {
            identity.authority_pem() == authority.bundle_pem()
                && !identity.is_renewal_due(now)
                && identity.peer().role == role
                && identity.peer().name == *name
        };
        match Identity::load(dir) {
            Ok(identity) if is_current(&identity) => return Ok(identity),
            // Missing, outdated, from a replaced authority, or left by an interrupted renewal.
            Ok(_)
            | Err(CertError::NoIdentity(_) | CertError::Damaged { .. } | CertError::NoPeer) => {}
            Err(error) => return Err(error),
        }
        let identity = self.issue(authority, role, name, now, days)?;
        create_private_subdir(dir)?;
        identity.save(dir)?;
        Ok(identity)
    }

    /// The owner's identity, which the hub's first start created.
    ///
    /// # Errors
    /// The hub never ran, or the identity is damaged.
    pub fn existing_owner(&self) -> Result<Identity, CertError> {
        let dir = self.dir.join("owner");
        if !dir.exists() {
            return Err(CertError::NotRunning(self.dir.clone()));
        }
        Identity::load(&dir)
    }

    /// Records the address that programs on this machine connect to.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_address(&self, address: SocketAddr) -> Result<(), CertError> {
        Ok(write_private(
            &self.dir.join("address"),
            address.to_string(),
        )?)
    }

    /// Removes the recorded address when the hub stops.
    pub fn remove_address(&self) {
        // A stale address only makes commands report that no hub answers there.
        let _ = fs::remove_file(self.dir.join("address"));
    }

    /// The recorded address of the running hub.
    ///
    /// # Errors
    /// No hub is running with this state directory.
    pub fn address(&self) -> Result<SocketAddr, CertError> {
        fs::read_to_string(self.dir.join("address"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| CertError::NotRunning(self.dir.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use sysmon_clock::Clock;

    #[test]
    fn the_first_start_creates_identities_that_later_starts_reuse_and_renew() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(&dir.path().join("hub"), &Random::system());
        assert!(state.existing_authority().is_err() && state.existing_owner().is_err());
        let now = Clock::system().system_time();
        let name = PeerName::nearest("box");
        let made = |now| {
            let authority = state.authority(now).unwrap();
            state.owner_identity(&authority, now, 30).unwrap();
            state
                .hub_identity(&authority, &name, now, 30)
                .unwrap()
                .not_after()
        };
        let first = made(now);
        assert_eq!(made(now), first);
        assert!(made(now + Duration::from_hours(24 * 25)) > first);
        assert!(state.existing_owner().is_ok() && state.existing_authority().is_ok());
    }

    #[test]
    fn identities_are_reissued_after_a_new_authority_or_an_interrupted_renewal() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(dir.path(), &Random::system());
        let (now, name) = (Clock::system().system_time(), PeerName::nearest("box"));
        let hub = || {
            let authority = state.authority(now).unwrap();
            let identity = state.hub_identity(&authority, &name, now, 30).unwrap();
            (authority, identity)
        };
        let (_, first) = hub();
        fs::remove_dir_all(dir.path().join("ca")).unwrap();
        let (authority, second) = hub();
        assert_ne!(first.authority_pem(), second.authority_pem());
        assert_eq!(second.authority_pem(), authority.bundle_pem());

        let other = authority.issue(Role::Hub, &name, now, 30).unwrap();
        other.save(&dir.path().join("other")).unwrap();
        let key = dir.path().join("hub/key.pem");
        fs::rename(dir.path().join("other/key.pem"), key).unwrap();
        let error = Identity::load(&dir.path().join("hub")).unwrap_err();
        assert!(
            error.to_string().contains("must belong to cert.pem"),
            "{error}"
        );
        hub();
        assert!(Identity::load(&dir.path().join("hub")).is_ok());
    }

    #[test]
    fn rotating_and_retiring_an_authority_survive_interruption() {
        let dir = tempfile::tempdir().unwrap();
        let (state, ca) = (
            HubState::new(dir.path(), &Random::system()),
            dir.path().join("ca"),
        );
        let (now, name) = (Clock::system().system_time(), PeerName::nearest("box"));
        let first = state.authority(now).unwrap();
        let hub = |authority: &Authority| state.hub_identity(authority, &name, now, 30).unwrap();
        hub(&first);
        assert!(matches!(
            state.retire_authority(),
            Err(CertError::NotRotating)
        ));
        let both = state.rotate_authority(now).unwrap();
        assert!(matches!(
            state.rotate_authority(now),
            Err(CertError::Rotating)
        ));
        // Peers that do not know the new one verify the hub by the old one.
        assert_eq!(first.fingerprint().unwrap(), both.fingerprint().unwrap());
        assert_eq!(hub(&both).authorities().len(), 2);
        let new = state.retire_authority().unwrap();
        assert_ne!(first.fingerprint().unwrap(), new.fingerprint().unwrap());
        assert_eq!(hub(&new).authorities().len(), 1);

        // Interrupted after the copies: nothing has changed.
        for (from, to) in [("ca.pem", "old.pem"), ("ca-key.pem", "old-key.pem")] {
            fs::copy(ca.join(from), ca.join(to)).unwrap();
        }
        assert!(state.authority(now).unwrap().previous().is_none());
        // Interrupted after writing the new key: the new authority is used.
        fs::remove_file(ca.join("ca.pem")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        write_private(&ca.join("ca-key.pem"), &key).unwrap();
        let resumed = state.authority(now).unwrap();
        assert_eq!(resumed.fingerprint().unwrap(), new.fingerprint().unwrap());
        assert!(resumed.previous().is_some());
    }

    #[test]
    fn a_stopped_hub_has_no_address() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(dir.path(), &Random::system());
        assert!(
            state
                .address()
                .unwrap_err()
                .to_string()
                .contains("no hub is running")
        );
        state
            .write_address("127.0.0.1:7979".parse().unwrap())
            .unwrap();
        assert_eq!(state.address().unwrap().port(), 7979);
        state.remove_address();
        assert!(state.address().is_err());
    }
}
