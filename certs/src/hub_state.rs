//! The hub's state directory: its authority, its own identity, and its owner's.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::files::{create_private_dir, write_private};
use crate::{Authority, CertError, Identity, PeerName, Register, Role, TokenStore};

/// Where the hub and those on its machine find what they need.
#[derive(Clone, Debug)]
pub struct HubState {
    dir: PathBuf,
}

impl HubState {
    /// The state directory `dir`.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The authority, made at the hub's first start.
    pub fn authority(&self, now: SystemTime) -> Result<Authority, CertError> {
        create_private_dir(&self.dir)?;
        Authority::open_or_create(&self.dir.join("ca"), now)
    }

    /// The authority of a hub that has run.
    pub fn existing_authority(&self) -> Result<Authority, CertError> {
        Authority::open(&self.dir.join("ca"))
    }

    /// When the authority was last replaced, by its file; none if there is none.
    pub fn authority_changed(&self) -> Option<SystemTime> {
        let dir = fs::metadata(self.dir.join("ca")).and_then(|dir| dir.modified());
        dir.ok()
    }

    /// Puts a new authority in the place of the present one, which stays trusted meanwhile.
    pub fn rotate_authority(&self, now: SystemTime) -> Result<Authority, CertError> {
        Authority::rotate(&self.dir.join("ca"), now)
    }

    /// Forgets the authority before this one.
    pub fn retire_authority(&self) -> Result<Authority, CertError> {
        Authority::retire(&self.dir.join("ca"))
    }

    /// The tokens that wait to be used.
    pub fn tokens(&self) -> TokenStore {
        TokenStore::new(self.dir.join("tokens"))
    }

    /// The certificates that were made.
    pub fn register(&self) -> Register {
        Register::new(self.dir.join("register"))
    }

    /// Makes an identity of the authority in this directory, and notes it.
    pub fn issue(
        &self,
        authority: &Authority,
        role: Role,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        let identity = authority.issue(role, name, now, days)?;
        self.register().record(&identity, now)?;
        Ok(identity)
    }

    /// The hub's own identity, made or renewed if need be.
    pub fn hub_identity(
        &self,
        authority: &Authority,
        name: &PeerName,
        now: SystemTime,
        days: u32,
    ) -> Result<Identity, CertError> {
        self.identity(&self.dir.join("hub"), authority, Role::Hub, name, now, days)
    }

    /// The hub's own identity, as it was last made.
    pub fn existing_identity(&self) -> Result<Identity, CertError> {
        Identity::load(&self.dir.join("hub"))
    }

    /// The identity of whoever owns the state directory, to look at the hub from its own machine.
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
        let is_good = |identity: &Identity| {
            identity.authority_pem() == authority.bundle_pem()
                && !identity.is_renewal_due(now)
                && identity.peer().role == role
                && identity.peer().name == *name
        };
        match Identity::load(dir) {
            Ok(identity) if is_good(&identity) => return Ok(identity),
            // None yet, outdated, of an authority since replaced, or a renewal that was cut short.
            Ok(_)
            | Err(CertError::NoIdentity(_) | CertError::Damaged { .. } | CertError::NoPeer) => {}
            Err(error) => return Err(error),
        }
        let identity = self.issue(authority, role, name, now, days)?;
        identity.save(dir)?;
        Ok(identity)
    }

    /// The owner's identity, made when the hub first ran.
    pub fn existing_owner(&self) -> Result<Identity, CertError> {
        let dir = self.dir.join("owner");
        if !dir.exists() {
            return Err(CertError::NotRunning(self.dir.clone()));
        }
        Identity::load(&dir)
    }

    /// Notes where the running hub is reached from this machine.
    pub fn write_address(&self, address: SocketAddr) -> Result<(), CertError> {
        write_private(&self.dir.join("address"), &address.to_string())
    }

    /// Forgets where, when the hub stops.
    pub fn remove_address(&self) {
        // If it cannot be removed, those who follow it find nobody there and say so.
        let _ = fs::remove_file(self.dir.join("address"));
    }

    /// Where the running hub is reached from this machine.
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

    #[test]
    fn the_first_start_makes_what_later_ones_find_and_renew() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(&dir.path().join("hub"));
        assert!(state.existing_authority().is_err() && state.existing_owner().is_err());
        let now = SystemTime::now();
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
    fn a_replaced_authority_or_a_renewal_cut_short_makes_identities_anew() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(dir.path());
        let (now, name) = (SystemTime::now(), PeerName::nearest("box"));
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
    fn an_authority_is_replaced_in_two_steps_and_each_may_be_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        let (state, ca) = (HubState::new(dir.path()), dir.path().join("ca"));
        let (now, name) = (SystemTime::now(), PeerName::nearest("box"));
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
        // Those who have not heard of the new one know the hub by the old one.
        assert_eq!(first.fingerprint().unwrap(), both.fingerprint().unwrap());
        assert_eq!(hub(&both).authorities().len(), 2);
        let new = state.retire_authority().unwrap();
        assert_ne!(first.fingerprint().unwrap(), new.fingerprint().unwrap());
        assert_eq!(hub(&new).authorities().len(), 1);

        // Cut after the copies were made: nothing has happened yet.
        for (from, to) in [("ca.pem", "old.pem"), ("ca-key.pem", "old-key.pem")] {
            fs::copy(ca.join(from), ca.join(to)).unwrap();
        }
        assert!(state.authority(now).unwrap().previous().is_none());
        // Cut after the new key was written: the new one is there.
        fs::remove_file(ca.join("ca.pem")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
        write_private(&ca.join("ca-key.pem"), &key).unwrap();
        let cut = state.authority(now).unwrap();
        assert_eq!(cut.fingerprint().unwrap(), new.fingerprint().unwrap());
        assert!(cut.previous().is_some());
    }

    #[test]
    fn a_hub_that_does_not_run_has_no_address() {
        let dir = tempfile::tempdir().unwrap();
        let state = HubState::new(dir.path());
        assert!(
            state
                .address()
                .unwrap_err()
                .to_string()
                .contains("no hub runs")
        );
        state
            .write_address("127.0.0.1:7979".parse().unwrap())
            .unwrap();
        assert_eq!(state.address().unwrap().port(), 7979);
        state.remove_address();
        assert!(state.address().is_err());
    }
}
